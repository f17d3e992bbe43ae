"""The input of a Responses request as messages, and both ways without loss."""

from hypothesis import given
from hypothesis import strategies as st

from providers.adapters.openai_responses import OpenAIResponsesAdapter
from providers.dialects.openai_responses.items import decode_items, encode_items
from providers.specs import ProviderSpec
from providers.transport import Endpoint
from providers.types import FilePart, ImagePart, Message, ReasoningBlock, RefusalPart, TextPart, ToolCall


def test_consecutive_items_of_the_assistant_are_one_message_next_to_its_outputs():
    messages = decode_items(
        [
            {"role": "user", "content": "x"},
            {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
            {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
            {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "ENC"},
            {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "g", "arguments": ""},
            {"type": "function_call_output", "call_id": "call_1", "output": "1"},
            {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "2"}]},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
            {"type": "message", "role": "assistant", "content": "b"},
        ]
    )
    assert [message.role for message in messages] == ["user", "assistant", "tool", "tool", "assistant", "assistant"]
    turn = messages[1]
    assert [(made.id, made.name, made.arguments) for made in turn.tool_calls] == [
        ("call_1", "f", "{}"),
        ("call_2", "g", "{}"),
    ]
    assert turn.reasoning == (ReasoningBlock(text="hm"), ReasoningBlock(encrypted="ENC"))


WORDS = st.text(min_size=1, max_size=8)
PARTS = st.one_of(
    st.builds(TextPart, text=WORDS),
    st.builds(ImagePart, url=WORDS, detail=st.sampled_from([None, "low", "high"])),
    st.builds(FilePart, data=WORDS, filename=WORDS),
)
CALLS = st.builds(ToolCall, id=WORDS, name=WORDS, arguments=WORDS, custom=st.booleans())
MESSAGES = st.one_of(
    st.builds(Message, role=st.sampled_from(["user", "developer"]), parts=st.tuples(PARTS, PARTS)),
    st.builds(
        Message,
        role=st.just("assistant"),
        parts=st.tuples(st.builds(TextPart, text=WORDS), st.builds(RefusalPart, text=WORDS)),
        tool_calls=st.lists(CALLS, max_size=3).map(tuple),
        reasoning=st.lists(st.builds(ReasoningBlock, text=WORDS, encrypted=WORDS), max_size=2).map(tuple),
    ),
    st.builds(Message, role=st.just("tool"), tool_call_id=WORDS, parts=st.tuples(PARTS)),
)


@st.composite
def conversations(draw):
    """Two turns of the assistant never follow each other directly: as items they would be one."""
    messages = draw(st.lists(MESSAGES, min_size=1, max_size=6))
    return tuple(
        message
        for message, before in zip(messages, [None, *messages], strict=False)
        if before is None or message.role != "assistant" or before.role != "assistant"
    )


@given(conversations())
def test_no_message_is_lost_on_the_way_there_and_back(messages):
    assert decode_items(encode_items(messages, provider="acme")) == messages


def test_an_empty_text_is_no_part():
    assert [message.parts for message in decode_items([{"role": "user", "content": ""}])] == [()]


def test_the_adapter_of_the_dialect_lists_models_at_the_same_address():
    endpoint = Endpoint(scheme="https", host="api.openai.com", port=443)
    provider = ProviderSpec(id=1, name="o", kind="openai_responses", endpoint=endpoint, base_path="")
    sent = OpenAIResponsesAdapter().models_request(provider, "key")
    assert (sent.method, sent.path) == ("GET", "/v1/models")
