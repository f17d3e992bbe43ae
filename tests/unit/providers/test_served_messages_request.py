"""Bodies of Anthropic's Messages API as chat completions, and what of them reaches which provider."""

import json
from typing import Any

import pytest

from providers.adapters.model_quirks import is_openai_reasoning_model
from providers.dialects.anthropic_messages import ModelTraits, encode_request
from providers.dialects.openai_chat import decode_request
from providers.dialects.served_messages import ServedMessage, error_body, name_of_field, to_chat
from providers.dialects.served_messages.own_fields import OWN, own_of, without_own
from providers.errors import ClientFault, ContextOverflow, Unsupported
from providers.types import JsonObject
from tests.unit.providers.message_frames import read, summed
from tests.unit.providers.served_frames import DONE, chunk

MARK = {"type": "ephemeral"}
TOOL = {"name": "f", "description": "d", "input_schema": {"type": "object", "properties": {}}}
USED = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"a": "é"}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "is_error": True}


def chat(*content: Any, **body: Any) -> JsonObject:
    messages = [{"role": "user", "content": list(content) or "Hi"}]
    return to_chat({"model": "m", "max_tokens": 10, "messages": messages, **body})


def to_anthropic(body: JsonObject, **traits: bool) -> JsonObject:
    """As the adapter of that dialect sends it on."""
    call = decode_request(body)
    object.__setattr__(call, "extra", own_of(call.extra))
    object.__setattr__(call, "reasoning_effort", None)
    return encode_request(
        call, model="claude", max_output_tokens=None, traits=ModelTraits(**traits), version="2023-06-01"
    )


def to_openai(body: JsonObject, *, reasons: bool = False) -> JsonObject:
    return without_own(body, provider="openai", reasons=reasons)


def test_the_plain_fields_are_a_chats() -> None:
    body = chat(
        system="Be nice.", temperature=0.5, top_p=0.9, stop_sequences=["END"], stream=True, metadata={"user_id": "u"},
        service_tier="standard_only",
    )  # fmt: skip
    assert body.pop(OWN) == {}
    assert body == {
        "model": "m",
        "max_tokens": 10,
        "temperature": 0.5,
        "top_p": 0.9,
        "messages": [{"role": "system", "content": "Be nice."}, {"role": "user", "content": "Hi"}],
        "stop": ["END"],
        "user": "u",
        "service_tier": "default",
        "stream": True,
        "stream_options": {"include_usage": True},
    }


@pytest.mark.parametrize("blocks", [[], [{"type": "thinking", "thinking": "Hm.", "signature": "sig"}]])
def test_a_turn_that_was_cut_before_it_said_anything_is_an_empty_text(blocks: list[JsonObject]) -> None:
    """OpenAI refuses null where there are no calls either; Anthropic an empty text, which its adapter leaves out."""
    said = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": blocks},
        {"role": "user", "content": "Go on"},
    ]
    body = to_chat({"model": "m", "max_tokens": 9, "messages": said})
    assert to_openai(body)["messages"][1]["content"] == ""
    assert '"text": ""' not in json.dumps(to_anthropic(body))


def test_a_system_message_may_stand_anywhere() -> None:
    later = {"role": "system", "content": [{"type": "text", "text": "Now in French."}]}
    body = to_chat({"model": "m", "max_tokens": 9, "messages": [{"role": "user", "content": "Hi"}, later]})
    assert body["messages"][1] == later


def test_results_of_tools_come_before_the_rest_of_their_turn() -> None:
    body = to_chat(
        {
            "model": "m",
            "max_tokens": 10,
            "tools": [TOOL],
            "messages": [
                {"role": "user", "content": "Hi"},
                {"role": "assistant", "content": [{"type": "text", "text": "I look."}, USED]},
                {"role": "user", "content": [{"type": "text", "text": "And?"}, RESULT]},
            ],
        }
    )
    call = {"id": "toolu_1", "type": "function", "function": {"name": "f", "arguments": '{"a":"é"}'}}
    assert body["messages"][1:] == [
        {"role": "assistant", "content": "I look.", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny", "is_error": True},
        {"role": "user", "content": [{"type": "text", "text": "And?"}]},
    ]
    assert to_openai(body)["messages"][2] == {"role": "tool", "tool_call_id": "toolu_1", "content": "sunny"}
    assert to_anthropic(body)["messages"][2]["content"][0] == {
        "type": "tool_result", "tool_use_id": "toolu_1", "content": "sunny", "is_error": True,
    }  # fmt: skip


@pytest.mark.parametrize(
    ("choice", "told"),
    [
        ({"type": "auto"}, {"tool_choice": "auto"}),
        ({"type": "any"}, {"tool_choice": "required"}),
        ({"type": "none"}, {"tool_choice": "none"}),
        ({"type": "tool", "name": "f"}, {"tool_choice": {"type": "function", "function": {"name": "f"}}}),
        (
            {"type": "auto", "disable_parallel_tool_use": True},
            {"tool_choice": "auto", "parallel_tool_calls": False},
        ),
    ],
)
def test_the_choice_among_tools(choice: JsonObject, told: JsonObject) -> None:
    body = chat(tools=[TOOL], tool_choice=choice)
    assert {name: body[name] for name in told} == told
    function = {"name": "f", "description": "d", "parameters": TOOL["input_schema"]}
    assert body["tools"] == [{"type": "function", "function": function}]


def test_images_and_documents_are_a_chats() -> None:
    source = {"type": "base64", "media_type": "image/png", "data": "aGk="}
    pdf = {"type": "base64", "media_type": "application/pdf", "data": "aGk="}
    body = chat(
        {"type": "image", "source": source},
        {"type": "image", "source": {"type": "url", "url": "https://a.example/x.png"}},
        {"type": "document", "source": pdf, "title": "A"},
        {"type": "document", "source": {"type": "text", "media_type": "text/plain", "data": "Long."}, "title": "B"},
    )
    assert body["messages"][0]["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
        {"type": "image_url", "image_url": {"url": "https://a.example/x.png"}},
        {"type": "file", "file": {"file_data": "data:application/pdf;base64,aGk=", "filename": "A"}},
        {"type": "text", "text": "B\n\nLong."},
    ]


def test_what_only_anthropic_knows_reaches_it_and_nobody_else() -> None:
    cited = {"type": "document", "source": {"type": "text", "data": "x"}, "citations": {"enabled": True}}
    hosted = {"type": "web_search_20250305", "name": "web_search", "max_uses": 3}
    thinking = {"type": "enabled", "budget_tokens": 2000}
    body = chat(cited, tools=[{**TOOL, "cache_control": MARK}, hosted], thinking=thinking, top_k=5, max_tokens=4000)
    sent = to_anthropic(body)
    assert sent["messages"][0]["content"] == [cited]
    assert [tool["name"] for tool in sent["tools"]] == ["f", "web_search"]
    assert sent["tools"][0]["cache_control"] == MARK
    assert sent["thinking"] == thinking
    assert to_anthropic(chat(top_k=5))["top_k"] == 5
    for content, tools in (((cited,), []), ((), [hosted])):
        with pytest.raises(Unsupported):
            to_openai(chat(*content, tools=tools))


def test_marks_of_the_cache_reach_anthropic_and_nobody_else() -> None:
    text = {"type": "text", "text": "Hi", "cache_control": MARK}
    body = chat(text, system=[text], tools=[{**TOOL, "cache_control": MARK}], cache_control=MARK)
    sent = to_anthropic(body)
    assert sent["system"] == [text]
    assert sent["messages"][0]["content"] == [text]
    assert sent["tools"][0]["cache_control"] == sent["cache_control"] == MARK
    assert "cache_control" not in str(to_openai(body))
    kept = without_own(body, provider="openrouter", reasons=True, marked=True)
    assert kept["messages"][1]["content"] == kept["messages"][0]["content"] == [text]


def test_what_is_said_of_tools_reaches_anthropic_and_nobody_else() -> None:
    said = {"defer_loading": True, "input_examples": [{"a": 1}]}
    body = chat(tools=[{**TOOL, **said}])
    assert to_anthropic(body)["tools"] == [{**TOOL, **said}]
    assert to_openai(body)["tools"][0].keys() == {"type", "function"}


def test_a_tool_that_was_found_is_named_to_those_who_know_no_references() -> None:
    found = {"type": "tool_reference", "tool_name": "f"}
    messages = [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": [USED]},
        {"role": "user", "content": [{**RESULT, "content": [found]}]},
    ]
    body = to_chat({"model": "m", "max_tokens": 10, "tools": [TOOL], "messages": messages})
    assert to_anthropic(body)["messages"][2]["content"][0]["content"] == [found]
    assert to_openai(body)["messages"][2]["content"] == [{"type": "text", "text": "f"}]


def test_claude_codes_header_of_billing_is_for_anthropic_alone() -> None:
    billing = {"type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.197.df4;"}
    system = {"type": "text", "text": "Be nice."}
    body = chat(system=[billing, system])
    assert to_anthropic(body)["system"] == [billing, system]
    assert to_openai(body)["messages"][0] == {"role": "system", "content": [system]}
    assert [each["role"] for each in to_openai(chat(system=[billing]))["messages"]] == ["user"]


def test_later_instructions_are_the_users_text_where_they_have_to_come_first() -> None:
    def told(*roles: str) -> list[tuple[str, Any]]:
        messages = [{"role": role, "content": str(at)} for at, role in enumerate(roles)]
        body = to_chat({"model": "m", "max_tokens": 10, "system": "S", "messages": messages})
        assert to_openai(body)["messages"] == body["messages"]
        sent = without_own(body, provider="vllm", reasons=False, late_system=False)["messages"]
        assert sent[0] == {"role": "system", "content": "S"}
        content = [each["content"] for each in sent[1:]]
        texts = [one if isinstance(one, str) else [part["text"] for part in one] for one in content]
        return list(zip([each["role"] for each in sent[1:]], texts, strict=True))

    late = "<system>\n1\n</system>"
    assert told("user", "assistant", "user") == [("user", "0"), ("assistant", "1"), ("user", "2")]
    assert told("user", "system") == [("user", ["0", late])]
    assert told("user", "system", "user", "assistant") == [("user", ["0", late, "2"]), ("assistant", "3")]
    assert told("assistant", "system", "assistant") == [("assistant", "0"), ("user", [late]), ("assistant", "2")]


@pytest.mark.parametrize(
    ("asked", "effort"),
    [
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "low"),
        ({"thinking": {"type": "enabled", "budget_tokens": 2048}}, "medium"),
        ({"thinking": {"type": "enabled", "budget_tokens": 31_999}}, "high"),
        ({"thinking": {"type": "adaptive"}, "output_config": {"effort": "medium"}}, "medium"),
        ({"output_config": {"effort": "max"}}, "xhigh"),
        ({"thinking": {"type": "disabled"}}, None),
    ],
)
def test_other_models_are_told_in_words_how_much_to_think(asked: JsonObject, effort: str | None) -> None:
    body = chat(**asked)
    assert to_openai(body, reasons=is_openai_reasoning_model("gpt-5.2")).get("reasoning_effort") == effort
    assert "reasoning_effort" not in to_openai(body, reasons=is_openai_reasoning_model("gpt-4o"))


def test_an_answer_of_a_shape_is_asked_for_as_a_chat_does() -> None:
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    wanted = {"type": "json_schema", "schema": schema}
    for body in (chat(output_config={"format": wanted}), chat(output_format=wanted)):
        assert body["response_format"]["json_schema"]["schema"] == schema
    sent = to_anthropic(chat(output_config={"format": wanted}), structured_output=True, adaptive_thinking=True)
    assert sent["output_config"]["format"]["type"] == "json_schema"


def test_a_shape_is_asked_for_once() -> None:
    """A model without formats is given a tool instead, and would refuse the format beside it."""
    wanted = {"type": "json_schema", "schema": {"type": "object", "properties": {}}}
    sent = to_anthropic(chat(output_config={"format": wanted, "effort": "low"}), adaptive_thinking=True)
    assert sent["tools"]
    assert sent["output_config"] == {"effort": "low"}
    assert "output_config" not in chat(output_config={"format": wanted})[OWN]


CLOSED: JsonObject = {
    "type": "object",
    "properties": {"a": {"type": "string"}},
    "required": ["a"],
    "additionalProperties": False,
}


@pytest.mark.parametrize(
    ("schema", "strict"),
    [
        (CLOSED, True),
        ({**CLOSED, "required": []}, False),
        ({**CLOSED, "additionalProperties": True}, False),
        ({"type": "object"}, False),
        ({**CLOSED, "properties": {"a": {"type": "array", "items": {**CLOSED, "required": []}}}}, False),
        ({**CLOSED, "properties": {"a": {"anyOf": [CLOSED, {"type": "null"}]}}}, True),
        ({**CLOSED, "properties": {"a": {"oneOf": [CLOSED]}}}, False),
        ({**CLOSED, "$defs": {"b": {"type": "object", "properties": {}}}}, False),
        ({**CLOSED, "required": 5, "properties": {}, "$defs": 5, "anyOf": 5}, True),
    ],
)
def test_a_schema_is_strict_where_openai_would_take_it_so(schema: JsonObject, strict: bool) -> None:
    body = chat(
        tools=[{**TOOL, "input_schema": schema, "strict": True}],
        output_config={"format": {"type": "json_schema", "schema": schema}},
    )
    sent = to_openai(body)
    assert sent["tools"][0]["function"]["strict"] is sent["response_format"]["json_schema"]["strict"] is strict
    assert to_anthropic(body, structured_output=True)["tools"][0]["strict"] is True


def test_thinking_goes_back_to_whom_it_came_from() -> None:
    """Sent back as it came: signed by Anthropic, redacted, or another vendor's in the signature."""
    claudes = {"type": "reasoning.text", "text": "Hm.", "signature": "sig", "format": "anthropic-claude-v1"}
    redacted = {"type": "reasoning.encrypted", "data": "abc", "format": "anthropic-claude-v1"}
    another = {"type": "reasoning.encrypted", "data": "xyz", "format": "openai-responses-v1"}
    stream = ServedMessage("msg_1", "m")
    frames = [chunk({"reasoning_content": "Hm."})]
    frames += [chunk({"reasoning_details": [detail]}) for detail in (claudes, redacted, another)]
    told = b"".join(map(stream.feed, [*frames, chunk({"content": "Hi"}), chunk(finish="stop"), DONE]))
    answer = {"role": "assistant", "content": summed(read(told))["content"]}
    body = to_chat({"model": "m", "max_tokens": 9, "messages": [answer, {"role": "user", "content": "And?"}]})
    assert body["messages"][0]["reasoning_details"] == [claudes, redacted, another]


def test_an_id_of_a_user_that_openai_would_refuse_is_shortened_to_its_digest() -> None:
    first, second = (chat(metadata={"user_id": "u" * 90 + end})["user"] for end in "ab")
    assert len(first) == 64
    assert first != second


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": 0}, "max_tokens"),
        ({"temperature": 1.5}, "temperature"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages[0].role"),
        ({"messages": [{"role": "user", "content": 5}]}, "messages[0].content"),
        ({"messages": [{"role": "user", "content": [{"text": "x"}]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [USED]}]}, "messages[0].content[0].type"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "messages[0].content[0].source"),
        (
            {"messages": [{"role": "assistant", "content": [{**USED, "input": "{}"}]}]},
            "messages[0].content[0].input",
        ),
        (
            {"messages": [{"role": "assistant", "content": [{"type": "thinking", "signature": "llmp1.broken"}]}]},
            "messages[0].content[0].signature",
        ),
        ({"system": [{"type": "image"}]}, "system[0].type"),
        ({"tools": [{"name": "f"}]}, "tools[0].input_schema"),
        ({"tools": [TOOL], "tool_choice": {"type": "required"}}, "tool_choice.type"),
        ({"thinking": {}}, "thinking.type"),
        ({"thinking": "enabled"}, "thinking"),
        ({"service_tier": "flex"}, "service_tier"),
        ({"output_config": {"format": {"type": "text"}}}, "output_config.format"),
        ({"metadata": {"user_id": 5}}, "metadata.user_id"),
        ({"stop": ["x"]}, "stop"),
        ({"reasoning_effort": "low"}, "reasoning_effort"),
        ({"thread": {"type": "create"}}, "thread"),
        ({"compaction": {"type": "auto"}}, "compaction"),
        ({"function_call": "auto"}, "function_call"),
        ({"n": 2}, "n"),
    ],
)
def test_what_is_wrong_is_named(body: JsonObject, param: str) -> None:
    with pytest.raises(ClientFault) as caught:
        chat(**body)
    assert caught.value.param == param


def test_counting_needs_no_limit() -> None:
    assert "max_tokens" not in to_chat({"model": "m", "messages": [{"role": "user", "content": "x"}]}, counting=True)


def test_how_the_chat_is_carried_is_not_the_clients_to_say() -> None:
    body = chat(stream=True, stream_options={"include_usage": False}, n=1, messages_api={"top_k": 1})
    assert (body["stream_options"], body[OWN]) == ({"include_usage": True}, {})
    assert "n" not in body


def test_fields_that_are_not_known_go_on_and_trials_do_not() -> None:
    body = chat(seed_of_ours=1, context_management={"edits": []})
    assert body["seed_of_ours"] == 1
    assert "context_management" not in {**body, **body[OWN]}


def test_complaints_about_the_chat_have_the_clients_words() -> None:
    assert name_of_field("stop") == "stop_sequences"
    assert name_of_field("reasoning_effort") == "thinking"
    assert name_of_field("messages[1].content") == "messages"
    assert name_of_field("seed") == "seed"
    assert name_of_field(None) is None


@pytest.mark.parametrize(
    ("status", "kind"), [(400, "invalid_request_error"), (418, "invalid_request_error"), (429, "rate_limit_error"),
                         (408, "timeout_error"), (500, "api_error"), (502, "api_error"), (503, "overloaded_error")],
)  # fmt: skip
def test_errors_have_anthropics_types_and_openais_fields(status: int, kind: str) -> None:
    error = ClientFault("No.", param="x", code="c")
    error.status = status
    assert error_body(error, "req_1") == {
        "type": "error",
        "error": {"type": kind, "message": "No.", "code": "c", "param": "x"},
        "request_id": "req_1",
    }


def test_threads_are_refused_as_the_client_expects_it_that_then_goes_on_without() -> None:
    with pytest.raises(ClientFault) as caught:
        chat(thread={"type": "create"})
    details = error_body(caught.value, "req_1")["error"]["details"]
    assert details == {"error_code": "thread_unsupported_request", "unsupported": []}


def test_a_conversation_that_is_too_long_is_so_in_the_words_that_clients_look_for() -> None:
    assert error_body(ContextOverflow("Too much."), "req_1")["error"]["message"].startswith("prompt is too long: ")
