"""A Responses request as a chat call, and both ways without loss."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.adapters.base import Quirks
from providers.adapters.openai_responses import OpenAIResponsesAdapter
from providers.dialects.openai_responses.request import decode_request, encode_request
from providers.errors import ClientFault
from providers.specs import ProviderSpec
from providers.transport import Endpoint
from providers.types import (
    ChatCall,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningBlock,
    RefusalPart,
    TextPart,
    Tool,
    ToolCall,
)
from tests.unit.providers.responses_calls import encode, says


def test_a_string_is_one_user_message_and_instructions_come_first():
    call = decode_request({"model": "m", "input": "Hi", "instructions": "Be brief.", "stream": True})
    assert call.messages == (says("system", "Be brief."), says("user", "Hi"))
    assert call.stream
    assert call.include_usage


def test_consecutive_items_of_the_assistant_are_one_message_next_to_its_outputs():
    call = decode_request(
        {
            "model": "m",
            "input": [
                {"role": "user", "content": "x"},
                {"type": "reasoning", "id": "rs_1", "summary": [{"type": "summary_text", "text": "hm"}]},
                {"type": "function_call", "id": "fc_1", "call_id": "call_1", "name": "f", "arguments": "{}"},
                {"type": "reasoning", "id": "rs_2", "summary": [], "encrypted_content": "ENC"},
                {"type": "function_call", "id": "fc_2", "call_id": "call_2", "name": "g", "arguments": ""},
                {"type": "function_call_output", "call_id": "call_1", "output": "1"},
                {"type": "function_call_output", "call_id": "call_2", "output": [{"type": "input_text", "text": "2"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
                {"type": "message", "role": "assistant", "content": "b"},
            ],
        }
    )
    assert [message.role for message in call.messages] == [
        "user",
        "assistant",
        "tool",
        "tool",
        "assistant",
        "assistant",
    ]
    turn = call.messages[1]
    assert [(made.id, made.name, made.arguments) for made in turn.tool_calls] == [
        ("call_1", "f", "{}"),
        ("call_2", "g", "{}"),
    ]
    assert turn.reasoning == (ReasoningBlock(text="hm"), ReasoningBlock(encrypted="ENC"))


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"input": "x"}, "model"),
        ({"model": "m"}, "input"),
        ({"model": "m", "input": [1]}, "input"),
        ({"model": "m", "input": [{"type": "item_reference", "id": "x"}]}, "input"),
        ({"model": "m", "input": [{"type": "function_call_output", "output": "x"}]}, "input"),
        ({"model": "m", "input": [{"role": "user", "content": 1}]}, "input"),
        ({"model": "m", "input": [{"role": "king", "content": "x"}]}, "input"),
        ({"model": "m", "input": "x", "tools": {}}, "tools"),
        ({"model": "m", "input": "x", "tools": [{"type": "function"}]}, "tools"),
        ({"model": "m", "input": "x", "tool_choice": {"type": "mcp"}}, "tool_choice"),
        ({"model": "m", "input": "x", "text": "plain"}, "text"),
        ({"model": "m", "input": "x", "text": {"format": {"type": "regex"}}}, "text.format"),
    ],
)
def test_a_wrong_request_is_the_clients_fault_and_names_the_field(body, param):
    with pytest.raises(ClientFault) as caught:
        decode_request(body)
    assert caught.value.param == param


def test_parts_that_have_no_type_here_stay_as_they_are_within_the_dialect():
    raw = {"type": "input_file", "file_url": "https://x.test/a.pdf"}
    call = decode_request({"model": "m", "input": [{"role": "user", "content": [raw]}]})
    assert call.messages[0].parts == (OpaquePart(raw=raw),)
    assert encode(*call.messages)["input"][0]["content"] == [raw]


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


@given(
    call=st.builds(
        ChatCall,
        model=st.just("m"),
        messages=conversations(),
        tools=st.lists(
            st.builds(Tool, name=WORDS, description=WORDS, parameters=st.just({"type": "object"}), strict=st.booleans())
        ).map(tuple),
        max_output_tokens=st.none() | st.integers(16, 10_000),
        temperature=st.none() | st.floats(0, 2),
        parallel_tool_calls=st.none() | st.booleans(),
        verbosity=st.none() | st.sampled_from(["low", "high"]),
        service_tier=st.none() | st.just("flex"),
        user=st.none() | WORDS,
        extra=st.just({"store": True, "metadata": {"k": "v"}}),
    )
)
def test_no_field_is_lost_on_the_way_there_and_back(call):
    body = encode_request(call, model="m", quirks=Quirks(), provider="acme")
    decoded = decode_request(body)
    decoded.extra.pop("include", None)
    assert decoded == call


def test_tools_of_every_kind_are_read():
    hosted = {"type": "mcp", "server_label": "s", "server_url": "https://x.test"}
    grammar = {"definition": "start: 'a'", "syntax": "lark"}
    flat = {"type": "custom", "name": "p", "format": {"type": "grammar", **grammar}}
    tools = [hosted, flat, {"type": "custom", "name": "t"}]
    call = decode_request(
        {"model": "m", "input": "x", "tools": tools, "reasoning": {"summary": "auto", "effort": "low"}}
    )
    assert call.tools == (
        Tool(name="mcp", extra=hosted),
        Tool(name="p", custom=True, custom_format={"type": "grammar", "grammar": grammar}),
        Tool(name="t", custom=True),
    )
    body = encode(tools=call.tools, reasoning_effort="low", extra=call.extra)
    assert body["tools"] == tools
    assert body["reasoning"] == {"summary": "auto", "effort": "low"}


def test_empty_contents_are_empty_texts():
    call = decode_request({"model": "m", "input": [{"role": "user"}, {"role": "assistant", "content": ""}]})
    assert [message.parts for message in call.messages] == [(), ()]
    assert [item["content"] for item in encode(*call.messages)["input"]] == ["", ""]


def test_the_adapter_of_the_dialect_lists_models_at_the_same_address():
    endpoint = Endpoint(scheme="https", host="api.openai.com", port=443)
    provider = ProviderSpec(id=1, name="o", kind="openai_responses", endpoint=endpoint, base_path="")
    sent = OpenAIResponsesAdapter().models_request(provider, "key")
    assert (sent.method, sent.path) == ("GET", "/v1/models")
