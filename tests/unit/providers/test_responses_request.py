"""A chat call as a Responses request, row by row of the mapping."""

import pytest

from providers.adapters.base import Quirks
from providers.errors import ClientFault, Unsupported
from providers.types import (
    AudioPart,
    FilePart,
    ImagePart,
    Message,
    OpaquePart,
    ReasoningBlock,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from tests.unit.providers.responses_calls import encode, says


def test_a_plain_call_names_the_upstream_model_and_is_not_stored():
    assert encode() == {
        "model": "upstream-name",
        "input": [{"type": "message", "role": "user", "content": "Hi"}],
        "store": False,
    }


def test_the_first_system_message_becomes_instructions_and_later_ones_stay_where_they_are():
    body = encode(says("system", "Be brief."), says("user", "Hi"), says("system", "Now in French."))
    assert body["instructions"] == "Be brief."
    assert [item["role"] for item in body["input"]] == ["user", "system"]


def test_a_system_message_alone_is_the_input_because_an_empty_one_is_refused():
    body = encode(says("system", "Be brief."))
    assert "instructions" not in body
    assert body["input"] == [{"type": "message", "role": "system", "content": "Be brief."}]


def test_a_system_message_that_asks_for_json_is_input_because_only_there_the_word_counts():
    wanted = ResponseFormat(kind="json_object")
    body = encode(says("system", "Answer in JSON."), says("user", "Hi"), response_format=wanted)
    assert "instructions" not in body
    assert [item["role"] for item in body["input"]] == ["system", "user"]


def test_an_empty_text_beside_calls_is_no_message_and_alone_it_is():
    call = ToolCall(id="call_1", name="f", arguments="{}")
    empty = (TextPart(text=""),)
    output = Message(role="tool", tool_call_id="call_1", parts=empty)
    with_call = Message(role="assistant", parts=empty, tool_calls=(call,))
    assert [item["type"] for item in encode(says("user", "x"), with_call, output)["input"]] == [
        "message",
        "function_call",
        "function_call_output",
    ]
    alone = encode(says("user", "x"), Message(role="assistant", parts=empty))["input"]
    assert alone[1] == {"type": "message", "role": "assistant", "content": ""}


def test_a_developer_message_keeps_its_role():
    body = encode(says("developer", "Be brief."), says("user", "Hi"))
    assert "instructions" not in body
    assert body["input"][0] == {"type": "message", "role": "developer", "content": "Be brief."}


def test_parts_take_their_flat_form():
    parts = (
        TextPart(text="Look:"),
        ImagePart(url="https://x.test/a.png", detail="low"),
        ImagePart(url="data:image/png;base64,AA=="),
        FilePart(data="data:application/pdf;base64,AA==", filename="a.pdf"),
        FilePart(file_id="file_1"),
    )
    assert encode(Message(role="user", parts=parts))["input"][0]["content"] == [
        {"type": "input_text", "text": "Look:"},
        {"type": "input_image", "image_url": "https://x.test/a.png", "detail": "low"},
        {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "auto"},
        {"type": "input_file", "file_data": "data:application/pdf;base64,AA==", "filename": "a.pdf"},
        {"type": "input_file", "file_id": "file_1"},
    ]


def test_an_assistants_parts_are_output_and_refusals():
    message = Message(role="assistant", parts=(TextPart(text="a"), RefusalPart(text="no")))
    content = encode(says("user", "x"), message)["input"][1]["content"]
    assert content == [{"type": "output_text", "text": "a"}, {"type": "refusal", "refusal": "no"}]


def test_a_call_and_its_output_are_items_joined_by_call_id():
    turn = Message(
        role="assistant",
        parts=(TextPart(text="One moment."),),
        tool_calls=(
            ToolCall(id="call_1", name="f", arguments='{"x":1}'),
            ToolCall(id="call_2", name="g", arguments=""),
            ToolCall(id="call_3", name="sh", arguments="ls", custom=True),
        ),
    )
    outputs = tuple(
        Message(role="tool", tool_call_id=f"call_{n}", parts=(TextPart(text=f"out {n}"),)) for n in (1, 2, 3)
    )
    assert encode(says("user", "x"), turn, *outputs)["input"][1:] == [
        {"type": "message", "role": "assistant", "content": "One moment."},
        {"type": "function_call", "call_id": "call_1", "name": "f", "arguments": '{"x":1}'},
        {"type": "function_call", "call_id": "call_2", "name": "g", "arguments": "{}"},
        {"type": "custom_tool_call", "call_id": "call_3", "name": "sh", "input": "ls"},
        {"type": "function_call_output", "call_id": "call_1", "output": "out 1"},
        {"type": "function_call_output", "call_id": "call_2", "output": "out 2"},
        {"type": "custom_tool_call_output", "call_id": "call_3", "output": "out 3"},
    ]


def test_encrypted_reasoning_is_replayed_before_the_text_and_asked_for_again():
    turn = Message(
        role="assistant",
        parts=(TextPart(text="4"),),
        reasoning=(ReasoningBlock(text="2+2", encrypted="ENC"), ReasoningBlock(text="signed", signature="elsewhere")),
    )
    body = encode(says("user", "2+2?"), turn)
    assert body["input"][1] == {
        "type": "reasoning",
        "summary": [{"type": "summary_text", "text": "2+2"}],
        "encrypted_content": "ENC",
    }
    assert [item["type"] for item in body["input"]] == ["message", "reasoning", "message"]
    assert body["include"] == ["reasoning.encrypted_content"]


def test_encrypted_reasoning_of_other_vendors_is_not_replayed():
    foreign = Message(
        role="assistant",
        parts=(TextPart(text="4"),),
        reasoning=(ReasoningBlock(encrypted="enc", format="anthropic-claude-v1"),),
    )
    body = encode(says("user", "2+2?"), foreign)
    assert [item["type"] for item in body["input"]] == ["message", "message"]
    assert "include" not in body


def test_encrypted_reasoning_is_not_asked_of_models_that_do_not_reason():
    assert "include" not in encode()
    assert "include" not in encode(reasoning_effort="none")
    assert encode(reasoning_effort="high")["include"] == ["reasoning.encrypted_content"]


def test_a_tool_says_always_whether_it_is_strict_because_the_defaults_differ():
    tools = (
        Tool(name="f", description="d", parameters={"type": "object"}, strict=True),
        Tool(name="g"),
    )
    assert encode(tools=tools)["tools"] == [
        {"type": "function", "name": "f", "description": "d", "parameters": {"type": "object"}, "strict": True},
        {"type": "function", "name": "g", "parameters": {"type": "object", "properties": {}}, "strict": False},
    ]


def test_a_custom_tools_grammar_is_flat():
    grammar = {"definition": "start: 'a'", "syntax": "lark"}
    tool = Tool(name="p", custom=True, custom_format={"type": "grammar", "grammar": grammar})
    assert encode(tools=(tool,))["tools"] == [{"type": "custom", "name": "p", "format": {"type": "grammar", **grammar}}]


def test_hosted_tools_pass_and_those_of_another_dialect_are_refused():
    hosted = {"type": "web_search", "search_context_size": "low"}
    assert encode(tools=(Tool(name="web_search", extra=hosted),))["tools"] == [hosted]
    with pytest.raises(Unsupported, match="web_search_20250305"):
        encode(tools=(Tool(name="web_search", extra={"type": "web_search_20250305"}),))


@pytest.mark.parametrize(
    ("choice", "encoded"),
    [
        (ToolChoice(mode="auto"), "auto"),
        (ToolChoice(mode="none"), "none"),
        (ToolChoice(mode="required"), "required"),
        (ToolChoice(mode="tool", name="f"), {"type": "function", "name": "f"}),
        (ToolChoice(mode="tool", name="f", custom=True), {"type": "custom", "name": "f"}),
        (
            ToolChoice(mode="required", allowed=("f", "g")),
            {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}, {"type": "function", "name": "g"}],
            },
        ),
    ],
)
def test_tool_choices_are_flat(choice, encoded):
    assert encode(tool_choice=choice)["tool_choice"] == encoded


@pytest.mark.parametrize(
    ("wanted", "encoded"),
    [
        (ResponseFormat(kind="text"), {"type": "text"}),
        (ResponseFormat(kind="json_object"), {"type": "json_object"}),
        (
            ResponseFormat(kind="json_schema", name="n", description="d", schema={"type": "object"}, strict=True),
            {"type": "json_schema", "name": "n", "description": "d", "schema": {"type": "object"}, "strict": True},
        ),
    ],
)
def test_the_answers_format_is_flat_below_text(wanted, encoded):
    assert encode(response_format=wanted)["text"] == {"format": encoded}


def test_a_schema_without_a_name_gets_one_because_responses_requires_it():
    body = encode(response_format=ResponseFormat(kind="json_schema", schema={}))
    assert body["text"]["format"]["name"] == "answer"


def test_the_rest_of_the_fields_have_their_places():
    body = encode(
        max_output_tokens=100,
        temperature=0.5,
        top_p=0.9,
        verbosity="low",
        reasoning_effort="high",
        parallel_tool_calls=False,
        service_tier="flex",
        user="u",
        logprobs=True,
        top_logprobs=3,
        extra={"metadata": {"a": "b"}, "safety_identifier": "s", "store": True, "unheard_of": 1, "prediction": {}},
    )
    del body["input"], body["model"]
    assert body == {
        "max_output_tokens": 100,
        "temperature": 0.5,
        "top_p": 0.9,
        "text": {"verbosity": "low"},
        "reasoning": {"effort": "high"},
        "parallel_tool_calls": False,
        "service_tier": "flex",
        "user": "u",
        "top_logprobs": 3,
        "include": ["reasoning.encrypted_content", "message.output_text.logprobs"],
        "metadata": {"a": "b"},
        "safety_identifier": "s",
        "store": True,
    }


def test_fewer_tokens_than_the_smallest_number_allowed_become_that_number():
    assert encode(max_output_tokens=3)["max_output_tokens"] == 16


def test_web_search_options_become_the_tool_with_a_flat_location():
    options = {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"country": "BR", "city": "Recife"}},
    }
    assert encode(extra={"web_search_options": options})["tools"] == [
        {
            "type": "web_search",
            "search_context_size": "low",
            "user_location": {"type": "approximate", "country": "BR", "city": "Recife"},
        }
    ]


@pytest.mark.parametrize(
    ("field", "fields"),
    [
        ("n", {"n": 2}),
        ("stop", {"stop": ("x",)}),
        ("logit_bias", {"logit_bias": {"1": 2}}),
        ("presence_penalty", {"presence_penalty": 0.5}),
        ("frequency_penalty", {"frequency_penalty": -0.5}),
        ("audio", {"extra": {"modalities": ["text", "audio"]}}),
        ("logprobs", {"logprobs": True, "stream": True}),
    ],
)
def test_what_a_client_would_miss_is_refused_by_name(field, fields):
    with pytest.raises(Unsupported) as caught:
        encode(**fields)
    assert caught.value.param == field
    assert "acme" in caught.value.message


def test_defaults_and_best_effort_fields_are_left_out_in_silence():
    assert encode(n=1, presence_penalty=0.0, frequency_penalty=0.0, seed=7, extra={"modalities": ["text"]}) == encode()


def test_names_of_participants_are_left_out():
    body = encode(Message(role="user", name="ana", parts=(TextPart(text="Hi"),)))
    assert body["input"] == [{"type": "message", "role": "user", "content": "Hi"}]


@pytest.mark.parametrize("part", [AudioPart(data="AA==", format="wav"), OpaquePart(raw={"type": "video_url"})])
def test_parts_without_a_place_are_refused(part):
    with pytest.raises(Unsupported, match=r"messages\.content"):
        encode(Message(role="user", parts=(TextPart(text="x"), part)))


def test_a_tool_message_without_its_call_is_the_clients_fault():
    with pytest.raises(ClientFault, match="tool_call_id"):
        encode(Message(role="tool", parts=(TextPart(text="x"),)))


def test_quirks_refuse_and_drop_fields_of_a_provider():
    quirks = Quirks(refused=frozenset({"logprobs"}), dropped=frozenset({"user"}))
    assert "user" not in encode(user="u", quirks=quirks)
    with pytest.raises(Unsupported, match="logprobs"):
        encode(logprobs=True, quirks=quirks)


# ----------------------------------------------------------------------------------------------------------- decoding
