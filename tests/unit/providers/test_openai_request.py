"""Client bodies as typed calls: nothing lost, nothing invented, and a wrong type names its field."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.openai_chat import decode_request
from providers.dialects.openai_chat.messages import decode_message, encode_message
from providers.dialects.openai_chat.reasoning import decode_reasoning, encode_reasoning
from providers.errors import ClientFault
from providers.types import (
    AudioPart,
    ChatCall,
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


def decode(**fields: Any) -> ChatCall:
    return decode_request({"model": "m", "messages": [{"role": "user", "content": "x"}], **fields})


def message(value: Any) -> Message:
    return decode(messages=[value]).messages[0]


class TestMessages:
    @pytest.mark.parametrize("role", ["system", "developer", "user", "assistant"])
    def test_keep_their_role_and_text(self, role: str) -> None:
        assert message({"role": role, "content": "x", "name": "n"}) == Message(
            role=role,  # type: ignore[arg-type]
            parts=(TextPart(text="x"),),
            name="n",
        )

    def test_hold_every_kind_of_part(self) -> None:
        content = [
            {"type": "text", "text": "a", "cache_control": {"type": "ephemeral"}},
            {"type": "image_url", "image_url": {"url": "https://x.test/a.png", "detail": "low"}},
            {"type": "image_url", "image_url": "data:image/png;base64,AA=="},
            {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
            {"type": "file", "file": {"file_data": "AA==", "filename": "a.pdf"}},
            {"type": "file", "file": {"file_id": "f-1"}},
            {"type": "video_url", "video_url": {"url": "u"}},
            "bare text",
        ]
        assert message({"role": "user", "content": content}).parts == (
            TextPart(text="a", cache_control={"type": "ephemeral"}),
            ImagePart(url="https://x.test/a.png", detail="low"),
            ImagePart(url="data:image/png;base64,AA=="),
            AudioPart(data="AA==", format="wav"),
            FilePart(data="AA==", filename="a.pdf"),
            FilePart(file_id="f-1"),
            OpaquePart(raw={"type": "video_url", "video_url": {"url": "u"}}),
            TextPart(text="bare text"),
        )

    def test_hold_tool_calls_and_refusals(self) -> None:
        calls = [
            {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x":1}'}},
            {"id": "b", "type": "custom", "custom": {"name": "g", "input": "free"}},
            {"id": "c", "type": "function", "function": {"name": "h", "arguments": None}},
        ]
        found = message({"role": "assistant", "content": None, "refusal": "no", "tool_calls": calls})
        assert found.parts == (RefusalPart(text="no"),)
        assert found.tool_calls == (
            ToolCall(id="a", name="f", arguments='{"x":1}'),
            ToolCall(id="b", name="g", arguments="free", custom=True),
            ToolCall(id="c", name="h", arguments=""),
        )

    def test_of_the_old_function_interface_become_tool_messages(self) -> None:
        call = decode(
            messages=[
                {"role": "assistant", "content": None, "function_call": {"name": "f", "arguments": "{}"}},
                {"role": "function", "name": "f", "content": "42"},
            ],
            functions=[{"name": "f", "parameters": {"type": "object"}}],
            function_call={"name": "f"},
        )
        asked, answered = call.messages
        assert asked.tool_calls[0].id == answered.tool_call_id
        assert answered.role == "tool"
        assert call.tools == (Tool(name="f", parameters={"type": "object"}),)
        assert call.tool_choice == ToolChoice(mode="tool", name="f")

    def test_carry_reasoning_for_replay(self) -> None:
        details = [
            {"type": "reasoning.text", "text": "t", "signature": "s"},
            {"type": "reasoning.encrypted", "data": "d"},
            {"type": "reasoning.summary", "summary": "x"},
        ]
        found = message({"role": "assistant", "content": "x", "reasoning_content": "t", "reasoning_details": details})
        assert found.reasoning == (ReasoningBlock(text="t", signature="s"), ReasoningBlock(encrypted="d"))
        shown = message({"role": "assistant", "content": "x", "reasoning": "only shown"})
        assert shown.reasoning == (ReasoningBlock(text="only shown"),)

    def test_keep_fields_nobody_knows(self) -> None:
        assert message({"role": "user", "content": "x", "cache_control": {"a": 1}}).extra == {"cache_control": {"a": 1}}


class TestTools:
    def test_are_functions_custom_or_the_providers_own(self) -> None:
        tools = decode(
            tools=[
                {"type": "function", "function": {"name": "f", "description": "d", "parameters": {}, "strict": True}},
                {"type": "custom", "custom": {"name": "g", "format": {"type": "text"}}},
                {"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
                {"type": "function", "function": {"name": "h"}, "cache_control": {"type": "ephemeral"}},
            ]
        ).tools
        assert tools == (
            Tool(name="f", description="d", parameters={}, strict=True),
            Tool(name="g", custom=True, custom_format={"type": "text"}),
            Tool(
                name="web_search",
                extra={"type": "web_search_20250305", "name": "web_search", "max_uses": 2},
            ),
            Tool(name="h", extra={"cache_control": {"type": "ephemeral"}}),
        )

    @pytest.mark.parametrize(
        ("choice", "expected"),
        [
            ("auto", ToolChoice(mode="auto")),
            ("none", ToolChoice(mode="none")),
            ("required", ToolChoice(mode="required")),
            ({"type": "function", "function": {"name": "f"}}, ToolChoice(mode="tool", name="f")),
            ({"type": "custom", "custom": {"name": "g"}}, ToolChoice(mode="tool", name="g", custom=True)),
            (
                {
                    "type": "allowed_tools",
                    "allowed_tools": {"mode": "required", "tools": [{"type": "function", "function": {"name": "f"}}]},
                },
                ToolChoice(mode="required", allowed=("f",)),
            ),
        ],
    )
    def test_are_chosen_in_every_form(self, choice: Any, expected: ToolChoice) -> None:
        assert decode(tool_choice=choice).tool_choice == expected


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ({"type": "text"}, ResponseFormat(kind="text")),
        ({"type": "json_object"}, ResponseFormat(kind="json_object")),
        (
            {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object"}, "strict": True}},
            ResponseFormat(kind="json_schema", name="n", schema={"type": "object"}, strict=True),
        ),
    ],
)
def test_reads_every_response_format(wanted: Any, expected: ResponseFormat) -> None:
    assert decode(response_format=wanted).response_format == expected


def test_prefers_the_newer_name_of_the_token_limit() -> None:
    assert decode(max_tokens=5).max_output_tokens == 5
    assert decode(max_tokens=5, max_completion_tokens=7).max_output_tokens == 7
    assert decode(max_tokens=5.0).max_output_tokens == 5
    assert decode(max_completion_tokens=0, max_tokens=5).max_output_tokens == 0


def test_keeps_unknown_fields_and_stream_options() -> None:
    call = decode(stream=True, stream_options={"include_usage": True, "include_obfuscation": False}, top_k=4, x=None)
    assert call.stream
    assert call.include_usage
    assert call.extra == {"stream_options": {"include_obfuscation": False}, "top_k": 4}


def test_reads_every_field_into_its_place() -> None:
    numbers = {
        "temperature": 0.5,
        "top_p": 1,
        "presence_penalty": -1.5,
        "frequency_penalty": 2,
        "n": 2,
        "seed": -(2**63) + 1,
    }
    words = {"reasoning_effort": "low", "verbosity": "high", "user": "u", "service_tier": "flex"}
    rest = {"logit_bias": {"5": -100}, "logprobs": True, "top_logprobs": 3, "parallel_tool_calls": False}
    assert decode(**numbers, **words, **rest, stop="x", unknown={"deep": [1]}) == ChatCall(
        model="m",
        messages=(Message(role="user", parts=(TextPart(text="x"),)),),
        stop=("x",),
        extra={"unknown": {"deep": [1]}},
        **numbers,  # type: ignore[arg-type]
        **words,  # type: ignore[arg-type]
        **rest,  # type: ignore[arg-type]
    )


@pytest.mark.parametrize(
    ("fields", "param"),
    [
        ({"model": 5}, "model"),
        ({"model": None}, "model"),
        ({"messages": []}, "messages"),
        ({"messages": None}, "messages"),
        ({"messages": "hi"}, "messages"),
        ({"messages": ["hi"]}, "messages"),
        ({"messages": [{"content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [5]}]}, "messages[0].content[0]"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "text"}]}]}, "messages[0].content[0].text"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "messages[0].content[0].image_url"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {}}]}]},
            "messages[0].content[0].image_url.url",
        ),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].tool_call_id"),
        ({"messages": [{"role": "assistant", "tool_calls": [{}]}]}, "messages[0].tool_calls[0].function"),
        ({"temperature": "hot"}, "temperature"),
        ({"temperature": True}, "temperature"),
        ({"n": 1.5}, "n"),
        ({"stop": [1]}, "stop"),
        ({"stream": "yes"}, "stream"),
        ({"stream_options": []}, "stream_options"),
        ({"logit_bias": {"5": "x"}}, "logit_bias.5"),
        ({"tools": [{"type": "function"}]}, "tools[0].function"),
        ({"tools": [{"type": "function", "function": {}}]}, "tools[0].function.name"),
        ({"tool_choice": "maybe"}, "tool_choice"),
        ({"tool_choice": {"type": "mcp"}}, "tool_choice.type"),
        ({"response_format": {"type": "xml"}}, "response_format.type"),
        ({"response_format": {"type": "json_schema"}}, "response_format.json_schema"),
        ({"reasoning_effort": 3}, "reasoning_effort"),
    ],
)
def test_names_the_field_that_is_wrong(fields: dict[str, Any], param: str) -> None:
    with pytest.raises(ClientFault) as caught:
        decode(**fields)
    assert caught.value.param == param
    assert caught.value.status == 400
    assert param in caught.value.message


# ------------------------------------------------------------------------------------------------ round trips

TEXT = st.text(min_size=1, max_size=5)
PARTS = st.one_of(
    st.builds(TextPart, text=st.text(max_size=5), cache_control=st.none() | st.just({"type": "ephemeral"})),
    st.builds(ImagePart, url=TEXT, detail=st.none() | TEXT),
    st.builds(AudioPart, data=TEXT, format=TEXT),
    st.builds(FilePart, data=st.none() | TEXT, file_id=st.none() | TEXT, filename=st.none() | TEXT),
    st.builds(OpaquePart, raw=st.just({"type": "hologram", "x": 1})),
)
CALLS = st.builds(ToolCall, id=TEXT, name=TEXT, arguments=st.text(max_size=5), custom=st.booleans())


def test_reasoning_keeps_the_name_of_who_can_read_it() -> None:
    """The others refuse it, and the conversation with it, when a call fails over to them."""
    details = [
        {"type": "reasoning.text", "text": "t", "signature": "s", "format": "anthropic-claude-v1"},
        {"type": "reasoning.encrypted", "data": "d", "format": "openai-responses-v1"},
    ]
    blocks = decode_reasoning({"reasoning_details": details})
    assert [block.format for block in blocks] == ["anthropic-claude-v1", "openai-responses-v1"]
    assert encode_reasoning(blocks)["reasoning_details"] == details


BLOCKS = st.one_of(st.builds(ReasoningBlock, text=TEXT, signature=TEXT), st.builds(ReasoningBlock, encrypted=TEXT))
EXTRA = st.just({}) | st.just({"unknown": {"deep": [1]}})
MESSAGES = st.one_of(
    st.builds(
        Message,
        role=st.sampled_from(["system", "developer", "user"]),
        parts=st.lists(PARTS, max_size=3).map(tuple),
        name=st.none() | TEXT,
        extra=EXTRA,
    ),
    st.builds(
        Message,
        role=st.just("assistant"),
        parts=st.lists(PARTS, max_size=2).map(tuple),
        tool_calls=st.lists(CALLS, max_size=2).map(tuple),
        reasoning=st.lists(BLOCKS, max_size=2).map(tuple),
        extra=EXTRA,
    ),
    st.builds(Message, role=st.just("tool"), parts=st.tuples(PARTS), tool_call_id=TEXT),
)


@given(said=MESSAGES)
def test_loses_nothing_of_a_message_there_and_back(said: Message) -> None:
    assert decode_message(encode_message(said), "messages[0].") == said
