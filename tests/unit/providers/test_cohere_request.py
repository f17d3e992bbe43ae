"""Requests to Cohere's v2 chat: what is mapped, what is refused, and that nothing is lost on the way back."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.dialects.cohere_chat import encode_request
from providers.dialects.cohere_chat.messages import encode_messages
from providers.errors import ClientFault, Unsupported
from providers.types import (
    AudioPart,
    ChatCall,
    FilePart,
    ImagePart,
    JsonObject,
    Message,
    OpaquePart,
    ReasoningBlock,
    ResponseFormat,
    TextPart,
    Tool,
    ToolCall,
    ToolChoice,
)
from tests.unit.providers.cohere_reading import read_request

ASK = Message(role="user", parts=(TextPart(text="Hi"),))
WEATHER = Tool(name="weather", description="Weather", parameters={"type": "object", "properties": {}})
CLOCK = Tool(name="clock")


def call(*messages: Message, **fields: object) -> ChatCall:
    return ChatCall(model="front", messages=messages or (ASK,), **fields)  # type: ignore[arg-type]


def encode(*messages: Message, **fields: object) -> JsonObject:
    return encode_request(call(*messages, **fields), model="command-a", provider="cohere")


def encoded_message(message: Message) -> JsonObject:
    return encode(message)["messages"][0]


def test_a_bare_request_names_the_upstream_model_and_nothing_more() -> None:
    assert encode() == {"model": "command-a", "messages": [{"role": "user", "content": "Hi"}]}


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"max_output_tokens": 5}, {"max_tokens": 5}),
        ({"temperature": 0.5}, {"temperature": 0.5}),
        ({"temperature": 1.7}, {"temperature": 1}),
        ({"temperature": 0}, {"temperature": 0}),
        ({"top_p": 0.5}, {"p": 0.5}),
        ({"top_p": 1.0}, {"p": 0.99}),
        ({"top_p": 0}, {"p": 0.01}),
        ({"stop": ("a", "", "b")}, {"stop_sequences": ["a", "b"]}),
        ({"stop": ("",)}, {}),
        ({"presence_penalty": 0.4}, {"presence_penalty": 0.4}),
        ({"frequency_penalty": 1.5}, {"frequency_penalty": 1}),
        ({"presence_penalty": 0, "frequency_penalty": 0}, {}),
        ({"seed": 7}, {"seed": 7}),
        ({"seed": -1}, {"seed": 0x7FFF_FFFF_FFFF_FFFF}),
        ({"logprobs": True}, {"logprobs": True}),
        ({"logprobs": False}, {}),
        ({"stream": True}, {"stream": True}),
        ({"reasoning_effort": "none"}, {"thinking": {"type": "disabled"}}),
        ({"reasoning_effort": "low"}, {"thinking": {"type": "enabled", "token_budget": 1024}}),
        ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled"}}),
        ({"response_format": ResponseFormat(kind="text")}, {}),
        ({"response_format": ResponseFormat(kind="json_object")}, {"response_format": {"type": "json_object"}}),
        (
            {"response_format": ResponseFormat(kind="json_schema", name="x", schema={"type": "object"})},
            {"response_format": {"type": "json_object", "json_schema": {"type": "object"}}},
        ),
        ({"extra": {"top_k": 40}}, {"k": 40}),
        ({"extra": {"k": 3, "top_k": 40}}, {"k": 3}),
        ({"extra": {"safety_mode": "STRICT", "priority": 2}}, {"safety_mode": "STRICT", "priority": 2}),
        ({"extra": {"documents": ["d"]}}, {"documents": ["d"]}),
        ({"extra": {"citation_options": {"mode": "FAST"}}}, {"citation_options": {"mode": "FAST"}}),
        (
            {"extra": {"thinking": {"type": "disabled"}}, "reasoning_effort": "high"},
            {"thinking": {"type": "disabled"}},
        ),
        # Dropped: nothing that a client could see depends on them.
        ({"n": 1, "user": "u", "service_tier": "auto", "verbosity": "low", "parallel_tool_calls": True}, {}),
        ({"parallel_tool_calls": False, "logit_bias": {}, "top_logprobs": 0}, {}),
        ({"extra": {"metadata": {}, "store": True, "modalities": ["text"], "prediction": {}, "unheard_of": 1}}, {}),
        ({"tool_choice": ToolChoice(mode="required")}, {}),
    ],
)
def test_maps_each_parameter(fields: JsonObject, expected: JsonObject) -> None:
    body = encode(**fields)
    assert {key: value for key, value in body.items() if key not in ("model", "messages")} == expected


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"n": 2}, "n"),
        ({"logit_bias": {"50256": -100}}, "logit_bias"),
        ({"logprobs": True, "top_logprobs": 2}, "top_logprobs"),
        ({"logprobs": True, "stream": True}, "logprobs"),
        ({"presence_penalty": -0.1}, "presence_penalty"),
        ({"frequency_penalty": -2}, "frequency_penalty"),
        ({"stop": ("a", "b", "c", "d", "e", "f")}, "stop"),
        ({"extra": {"modalities": ["text", "audio"]}}, "modalities"),
        ({"extra": {"web_search_options": {}}}, "web_search_options"),
        ({"extra": {"moderation": {"model": "m"}}}, "moderation"),
        ({"response_format": ResponseFormat(kind="json_object"), "tools": (WEATHER,)}, "response_format"),
        ({"response_format": ResponseFormat(kind="json_object"), "extra": {"documents": ["d"]}}, "response_format"),
        ({"tools": (Tool(name="grep", custom=True),)}, "tools[0]"),
        ({"tools": (WEATHER, Tool(name="get-time"))}, "tools[1].function.name"),
        ({"tools": (Tool(name="2fa"),)}, "tools[0].function.name"),
        ({"tools": (Tool(name="", extra={"type": "web_search"}),)}, "tools[0]"),
    ],
)
def test_refuses_what_the_client_would_miss(fields: JsonObject, named: str) -> None:
    with pytest.raises(Unsupported) as refused:
        encode(**fields)
    assert refused.value.param == named
    assert refused.value.status == 400
    assert "cohere" in refused.value.message
    assert refused.value.fails_over


def test_a_refusal_names_the_provider_as_configured() -> None:
    with pytest.raises(Unsupported, match="'cohere-eu'"):
        encode_request(call(n=2), model="m", provider="cohere-eu")


# ------------------------------------------------------------------------------------------------------------ tools


def test_a_function_without_parameters_takes_none() -> None:
    function = encode(tools=(CLOCK,))["tools"][0]["function"]
    assert function == {"name": "clock", "parameters": {"type": "object", "properties": {}}}


@pytest.mark.parametrize(
    ("choice", "names", "tool_choice"),
    [
        (None, ["weather", "clock"], None),
        (ToolChoice(mode="auto"), ["weather", "clock"], None),
        (ToolChoice(mode="none"), ["weather", "clock"], "NONE"),
        (ToolChoice(mode="required"), ["weather", "clock"], "REQUIRED"),
        (ToolChoice(mode="tool", name="clock"), ["clock"], "REQUIRED"),
        (ToolChoice(mode="auto", allowed=("weather",)), ["weather"], None),
        (ToolChoice(mode="required", allowed=("weather",)), ["weather"], "REQUIRED"),
    ],
)
def test_a_choice_cohere_does_not_have_is_made_by_sending_only_the_chosen(
    choice: ToolChoice | None, names: list[str], tool_choice: str | None
) -> None:
    body = encode(tools=(WEATHER, CLOCK), tool_choice=choice)
    assert [tool["function"]["name"] for tool in body["tools"]] == names
    assert body.get("tool_choice") == tool_choice


def test_a_choice_of_an_unknown_tool_is_the_clients_fault() -> None:
    with pytest.raises(ClientFault, match="nope") as fault:
        encode(tools=(WEATHER,), tool_choice=ToolChoice(mode="tool", name="nope"))
    assert fault.value.param == "tool_choice"
    assert not isinstance(fault.value, Unsupported)


def test_one_strict_tool_makes_all_of_them_strict() -> None:
    body = encode(tools=(WEATHER, Tool(name="clock", strict=True)))
    assert body["strict_tools"] is True
    assert all("strict" not in tool["function"] for tool in body["tools"])


def test_tools_that_are_not_strict_do_not_ask_for_it() -> None:
    assert "strict_tools" not in encode(tools=(Tool(name="clock", strict=False),))


# --------------------------------------------------------------------------------------------------------- messages


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (Message(role="developer", parts=(TextPart(text="d"),)), {"role": "system", "content": "d"}),
        (
            Message(role="system", parts=(TextPart(text="a"), TextPart(text="b"))),
            {"role": "system", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]},
        ),
        (Message(role="user", name="bob", parts=(TextPart(text="x"),)), {"role": "user", "content": "x"}),
        (Message(role="user"), {"role": "user", "content": ""}),
        (
            Message(role="user", parts=(TextPart(text="see"), ImagePart(url="https://x/i.png", detail="original"))),
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "see"},
                    {"type": "image_url", "image_url": {"url": "https://x/i.png", "detail": "high"}},
                ],
            },
        ),
        (
            Message(role="user", parts=(ImagePart(url="data:image/png;base64,AA=="),)),
            {
                "role": "user",
                "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}],
            },
        ),
        (
            Message(
                role="assistant",
                parts=(TextPart(text="I look"),),
                tool_calls=(ToolCall(id="c", name="f", arguments=""),),
            ),
            {
                "role": "assistant",
                "tool_plan": "I look",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
        ),
        (
            Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments='{"a": 1'),)),
            {
                "role": "assistant",
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1'}}],
            },
        ),
        (
            Message(
                role="assistant",
                parts=(TextPart(text="42"),),
                reasoning=(ReasoningBlock(text="hm", signature="s"), ReasoningBlock(encrypted="zzz")),
            ),
            {"role": "assistant", "content": [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "42"}]},
        ),
        (
            Message(role="tool", tool_call_id="c", parts=(TextPart(text="21"),)),
            {"role": "tool", "tool_call_id": "c", "content": "21"},
        ),
        (
            Message(
                role="tool",
                tool_call_id="c",
                parts=(TextPart(text="21"), OpaquePart(raw={"type": "document", "document": {"data": {"t": "x"}}})),
            ),
            {
                "role": "tool",
                "tool_call_id": "c",
                "content": [{"type": "text", "text": "21"}, {"type": "document", "document": {"data": {"t": "x"}}}],
            },
        ),
    ],
)
def test_maps_each_kind_of_message(message: Message, expected: JsonObject) -> None:
    assert encoded_message(message) == expected


@pytest.mark.parametrize(
    "message",
    [
        Message(role="user", parts=(TextPart(text="x"), AudioPart(data="AA==", format="wav"))),
        Message(role="user", parts=(TextPart(text="x"), FilePart(file_id="f"))),
        Message(role="user", parts=(TextPart(text="x"), OpaquePart(raw={"type": "video"}))),
        Message(role="assistant", parts=(TextPart(text="x"), ImagePart(url="https://x"))),
    ],
)
def test_refuses_a_part_it_cannot_send_and_says_which(message: Message) -> None:
    with pytest.raises(Unsupported) as refused:
        encoded_message(message)
    assert refused.value.param == "messages[0].content[1]"


def test_a_refusal_names_the_clients_message_also_behind_an_image_of_a_tool() -> None:
    shown = Message(role="tool", tool_call_id="c", parts=(ImagePart(url="https://x"),))
    with pytest.raises(Unsupported) as refused:
        encode_messages([shown, Message(role="user", parts=(AudioPart(data="AA==", format="wav"),))], provider="cohere")
    assert refused.value.param == "messages[1].content[0]"


def test_beside_an_image_a_tools_documents_stay() -> None:
    document = {"type": "document", "document": {"data": {"t": "x"}}}
    parts = (TextPart(text="21"), ImagePart(url="https://x"), OpaquePart(raw=document))
    result, shown = encode_messages([Message(role="tool", tool_call_id="c", parts=parts)], provider="cohere")
    assert [part["type"] for part in result["content"]] == ["text", "text", "document"]
    assert (shown["role"], shown["content"][1]["type"]) == ("user", "image_url")


def test_refuses_a_custom_tool_call_in_the_history() -> None:
    with pytest.raises(Unsupported, match="custom"):
        encoded_message(Message(role="assistant", tool_calls=(ToolCall(id="c", name="f", arguments="x", custom=True),)))


def test_a_tool_result_without_its_call_is_the_clients_fault() -> None:
    with pytest.raises(ClientFault) as fault:
        encoded_message(Message(role="tool", parts=(TextPart(text="x"),)))
    assert fault.value.param == "messages[0].tool_call_id"


# -------------------------------------------------------------------------------------------------------- both ways


def test_a_full_body_comes_back_unchanged() -> None:
    tool = {"type": "function", "function": {"name": "f", "description": "d", "parameters": {"type": "object"}}}
    body: JsonObject = {
        "model": "command-a",
        "messages": [
            {"role": "system", "content": "s"},
            {
                "role": "user",
                "content": [{"type": "text", "text": "t"}, {"type": "image_url", "image_url": {"url": "u"}}],
            },
            {
                "role": "assistant",
                "tool_plan": "p",
                "content": [{"type": "thinking", "thinking": "hm"}],
                "tool_calls": [{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
            },
            {"role": "tool", "tool_call_id": "c", "content": [{"type": "document", "document": {"data": "x"}}]},
            {"role": "assistant", "content": "a", "citations": [{"start": 0, "end": 1, "text": "a"}]},
        ],
        "stream": True,
        "tools": [tool],
        "strict_tools": True,
        "tool_choice": "REQUIRED",
        "max_tokens": 10,
        "temperature": 0.3,
        "p": 0.75,
        "k": 5,
        "seed": 1,
        "stop_sequences": ["x"],
        "presence_penalty": 0.1,
        "thinking": {"type": "enabled", "token_budget": 3},
        "safety_mode": "OFF",
        "priority": 1,
    }
    assert encode_request(read_request(body), model="command-a", provider="cohere") == body


texts = st.text(min_size=1, max_size=20)
parts = st.lists(texts.map(lambda text: TextPart(text=text)), min_size=1, max_size=3).map(tuple)
calls = st.builds(ToolCall, id=texts, name=texts, arguments=texts)
messages = st.one_of(
    st.builds(Message, role=st.sampled_from(["system", "user"]), parts=parts),
    st.builds(
        Message,
        role=st.just("assistant"),
        parts=parts,
        reasoning=st.lists(st.builds(ReasoningBlock, text=texts), max_size=2).map(tuple),
    ),
    st.builds(
        Message,
        role=st.just("assistant"),
        parts=parts.map(lambda some: some[:1]),
        tool_calls=st.lists(calls, min_size=1, max_size=3).map(tuple),
    ),
    st.builds(Message, role=st.just("tool"), parts=parts, tool_call_id=texts),
)
chats = st.builds(
    ChatCall,
    model=st.just("m"),
    messages=st.lists(messages, min_size=1, max_size=4).map(tuple),
    max_output_tokens=st.none() | st.integers(1, 9),
    temperature=st.none() | st.floats(0, 1),
    top_p=st.none() | st.floats(0.01, 0.99),
    seed=st.none() | st.integers(0, 2**62),
    stop=st.lists(texts, max_size=4).map(tuple),
    presence_penalty=st.none() | st.floats(0.1, 1),
    logprobs=st.none() | st.just(True),
    response_format=st.none()
    | st.just(ResponseFormat(kind="json_object"))
    | st.just(ResponseFormat(kind="json_schema", schema={"type": "object"})),
)


@settings(deadline=None)
@given(chats)
def test_no_field_is_lost_on_the_way_there_and_back(chat: ChatCall) -> None:
    assert read_request(encode_request(chat, model="m", provider="cohere")) == chat


@settings(deadline=None)
@given(st.lists(st.sampled_from([WEATHER, Tool(name="clock", parameters={"type": "object"})]), min_size=1, max_size=2))
def test_tools_survive_the_way_there_and_back(tools: list[Tool]) -> None:
    chat = call(tools=tuple(tools), tool_choice=ToolChoice(mode="required"))
    decoded = read_request(encode_request(chat, model="front", provider="cohere"))
    assert (decoded.tools, decoded.tool_choice) == (chat.tools, chat.tool_choice)
