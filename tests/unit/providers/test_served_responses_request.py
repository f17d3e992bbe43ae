"""Requests of the Responses API as chat completions: what is said in both is the same, the rest is refused by name."""

from typing import Any

import pytest

from providers.dialects.openai_responses.carried_reasoning import pack
from providers.dialects.served_responses import name_of_field, to_chat
from providers.errors import ClientFault
from providers.types import JsonObject, ReasoningBlock

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def chat(**asked: Any) -> JsonObject:
    return to_chat({"model": "m", "input": "Hi", **asked})


def messages(*items: JsonObject, **asked: Any) -> list[JsonObject]:
    found: list[JsonObject] = chat(input=list(items), **asked)["messages"]
    return found


def refused(**asked: Any) -> ClientFault:
    with pytest.raises(ClientFault) as caught:
        chat(**asked)
    return caught.value


def test_the_least_request_is_one_message() -> None:
    assert chat() == {"model": "m", "messages": [{"role": "user", "content": "Hi"}]}


def test_instructions_come_first() -> None:
    assert messages({"role": "developer", "content": "d"}, {"role": "user", "content": "u"}, instructions="i") == [
        {"role": "system", "content": "i"},
        {"role": "developer", "content": "d"},
        {"role": "user", "content": "u"},
    ]


def test_settings_have_the_names_of_a_chat() -> None:
    asked = {
        "max_output_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "reasoning": {"effort": "low", "summary": "auto"},
        "text": {"verbosity": "low", "format": {"type": "text"}},
        "metadata": {"a": "b"},
        "store": True,
        "truncation": "disabled",
        "include": ["reasoning.encrypted_content"],
    }
    assert {name: value for name, value in chat(**asked).items() if name not in ("model", "messages")} == {
        "max_completion_tokens": 50,
        "temperature": 0.5,
        "top_p": 0.9,
        "user": "u",
        "safety_identifier": "s",
        "prompt_cache_key": "k",
        "service_tier": "flex",
        "reasoning_effort": "low",
        "reasoning_summary": "auto",
        "verbosity": "low",
    }


def test_a_summary_is_asked_for_by_its_old_name_too() -> None:
    assert chat(reasoning={"generate_summary": "detailed"})["reasoning_summary"] == "detailed"
    assert "reasoning_summary" not in chat(reasoning={"effort": "low"})
    assert refused(reasoning={"summary": 5}).param == "reasoning.summary"


def test_a_stream_is_asked_for_with_its_usage() -> None:
    asked = chat(stream=True, stream_options={"include_obfuscation": False})
    assert (asked["stream"], asked["stream_options"]) == (True, {"include_usage": True})


def test_logprobs_are_asked_for_by_include_or_by_their_number() -> None:
    include = ["message.output_text.logprobs"]
    assert chat(include=include)["logprobs"] is True
    assert "top_logprobs" not in chat(include=include)
    assert (chat(top_logprobs=3)["logprobs"], chat(top_logprobs=3)["top_logprobs"]) == (True, 3)
    assert {"logprobs", "top_logprobs"}.isdisjoint(chat(top_logprobs=0))


def test_a_schema_lies_deeper_in_a_chat() -> None:
    wanted = {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
    assert chat(text={"format": wanted})["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
    }
    assert chat(text={"format": {"type": "json_object"}})["response_format"] == {"type": "json_object"}


def test_a_conversation_with_tools_is_turns_again() -> None:
    assert messages(
        {"role": "user", "content": [{"type": "input_text", "text": "q"}]},
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}]},
        {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1", "status": "completed"},
        {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"},
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {"type": "custom_tool_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "2"}]},
    ) == [
        {"role": "user", "content": "q"},
        {
            "role": "assistant",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "content": "1", "tool_call_id": "c1"},
        {"role": "tool", "content": "2", "tool_call_id": "c2"},
    ]


def test_images_files_and_refusals_are_parts() -> None:
    parts = [
        {"type": "input_image", "image_url": "https://a/b.png", "detail": "low"},
        {"type": "input_file", "file_data": "data:x", "filename": "f.pdf"},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    asked, said = messages(
        {"role": "user", "content": parts}, {"role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}
    )
    assert asked["content"] == [
        {"type": "image_url", "image_url": {"url": "https://a/b.png", "detail": "low"}},
        {"type": "file", "file": {"file_data": "data:x", "filename": "f.pdf"}},
        {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}},
    ]
    assert said["refusal"] == "No"


def test_reasoning_goes_back_with_what_its_provider_signed() -> None:
    blocks = [ReasoningBlock(text="Hm", signature="sig", format="v"), ReasoningBlock(encrypted="zz", format="v")]
    summary = [{"type": "summary_text", "text": "Hm"}]
    (said,) = messages(
        {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": pack(blocks)},
        {"role": "assistant", "content": "Yes"},
    )
    assert said["reasoning_details"] == [
        {"type": "reasoning.text", "text": "Hm", "signature": "sig", "format": "v"},
        {"type": "reasoning.encrypted", "data": "zz", "format": "v"},
    ]


def test_openais_own_reasoning_goes_back_as_it_came() -> None:
    (said,) = messages(
        {"type": "reasoning", "summary": [], "encrypted_content": "gAAAA"}, {"role": "assistant", "content": "Yes"}
    )
    assert said["reasoning_details"] == [
        {"type": "reasoning.encrypted", "data": "gAAAA", "format": "openai-responses-v1"}
    ]


@pytest.mark.parametrize("packed", ["llmp1.", "llmp1.%%%", "llmp1.e30=", "llmp1.eyJkZXRhaWxzIjpbMV19", "llmp1.é"])
def test_reasoning_that_was_damaged_is_refused(packed: str) -> None:
    error = refused(input=[{"type": "reasoning", "summary": [], "encrypted_content": packed}])
    assert error.param == "input[0].encrypted_content"


TOOL = {"type": "function", "name": "f", "description": "d", "parameters": SCHEMA, "strict": True}
CUSTOM = {"type": "custom", "name": "g", "format": {"type": "grammar", "syntax": "lark", "definition": "x"}}


def test_tools_are_nested_in_a_chat() -> None:
    assert chat(tools=[TOOL, CUSTOM], parallel_tool_calls=False, tool_choice="required") | {"messages": []} == {
        "model": "m",
        "messages": [],
        "tools": [
            {"type": "function", "function": {"name": "f", "description": "d", "parameters": SCHEMA, "strict": True}},
            {
                "type": "custom",
                "custom": {
                    "name": "g",
                    "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": "x"}},
                },
            },
        ],
        "tool_choice": "required",
        "parallel_tool_calls": False,
    }


@pytest.mark.parametrize(
    ("choice", "wanted"),
    [
        ({"type": "function", "name": "f"}, {"type": "function", "function": {"name": "f"}}),
        ({"type": "custom", "name": "g"}, {"type": "custom", "custom": {"name": "g"}}),
        (
            {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "custom", "name": "g"}]},
            {
                "type": "allowed_tools",
                "allowed_tools": {"mode": "auto", "tools": [{"type": "custom", "custom": {"name": "g"}}]},
            },
        ),
    ],
)
def test_a_choice_is_nested_too(choice: JsonObject, wanted: JsonObject) -> None:
    assert chat(tools=[TOOL, CUSTOM], tool_choice=choice)["tool_choice"] == wanted


SPACE = {"type": "namespace", "name": "crm", "description": "d", "tools": [TOOL, CUSTOM]}


def test_tools_in_a_namespace_have_its_name_in_theirs() -> None:
    asked = chat(tools=[TOOL, SPACE], tool_choice="required")
    assert [tool[tool["type"]]["name"] for tool in asked["tools"]] == ["f", "crm__f", "crm__g"]
    assert asked["tools"][1]["function"] == {**asked["tools"][0]["function"], "name": "crm__f"}


def test_a_name_that_would_be_too_long_with_its_namespace_stays_as_it_is() -> None:
    (tool,) = chat(tools=[{**SPACE, "name": "n" * 62, "tools": [TOOL]}])["tools"]
    assert tool["function"]["name"] == "f"


def test_an_earlier_call_has_the_name_that_its_tool_has() -> None:
    call = {"type": "function_call", "call_id": "c", "namespace": "crm", "name": "f", "arguments": "{}"}
    _, said, _ = messages(
        {"role": "user", "content": "q"}, call, {"type": "function_call_output", "call_id": "c", "output": "1"}
    )
    assert said["tool_calls"][0]["function"]["name"] == "crm__f"


def test_what_codex_says_of_its_session_goes_no_further() -> None:
    assert chat(client_metadata={"session_id": "s"}) == chat()


@pytest.mark.parametrize(
    "asked",
    [{"previous_response_id": "x"}, {"conversation": "x"}, {"input": [{"type": "item_reference", "id": "x"}]}],
)
def test_who_expects_a_store_is_told_the_setting_of_frameworks_that_do_without(asked: JsonObject) -> None:
    assert "'store': false" in refused(**asked).message


def test_nothing_is_said_of_tools_where_there_are_none() -> None:
    asked = chat(tools=[], tool_choice="auto", parallel_tool_calls=True)
    assert {"tools", "tool_choice", "parallel_tool_calls"}.isdisjoint(asked)


def test_a_web_search_is_an_option_of_a_chat() -> None:
    tool = {
        "type": "web_search",
        "search_context_size": "low",
        "user_location": {"type": "approximate", "city": "Lima"},
    }
    asked = chat(tools=[tool], tool_choice="auto")
    assert asked["web_search_options"] == {
        "search_context_size": "low",
        "user_location": {"type": "approximate", "approximate": {"city": "Lima"}},
    }
    assert {"tools", "tool_choice"}.isdisjoint(asked)
    assert "web_search_options" not in chat(tools=[tool], tool_choice="none")


def test_fields_that_are_not_known_go_on() -> None:
    asked = chat(stop=["x"], top_k=5, seed=None)
    assert (asked["stop"], asked["top_k"]) == (["x"], 5)
    assert "seed" not in asked


def test_nothing_asks_for_nothing() -> None:
    names = "instructions max_output_tokens tools tool_choice text reasoning include stream previous_response_id prompt"
    nothing = dict.fromkeys([*names.split(), "conversation", "metadata", "truncation", "n", "top_logprobs"])
    assert chat(**nothing, background=False, max_tokens=None) == chat()


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"conversation": {"id": "conv_1"}}, "conversation"),
        ({"background": True}, "background"),
        ({"prompt": {"id": "pmpt_1"}}, "prompt"),
        ({"context_management": [{"type": "compaction"}]}, "context_management"),
        ({"max_tool_calls": 3}, "max_tool_calls"),
        ({"n": 2}, "n"),
        ({"messages": [{"role": "user", "content": "x"}]}, "messages"),
        ({"max_tokens": 5}, "max_tokens"),
        ({"response_format": {"type": "text"}}, "response_format"),
        ({"model": None}, "model"),
        ({"input": None}, "input"),
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": {"role": "user"}}, "input"),
        ({"input": ["x"]}, "input[0]"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"role": "user"}]}, "input[0].content"),
        ({"input": [{"role": "user", "content": ["x"]}]}, "input[0].content[0]"),
        ({"input": [{"role": "user", "content": [{"type": "image_url"}]}]}, "input[0].content[0].type"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].file_id",
        ),
        (
            {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]},
            "input[0].content[0].file_url",
        ),
        ({"input": [{"role": "user", "content": [{"type": "input_file"}]}]}, "input[0].content[0].file_data"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "web_search_call", "id": "x"}]}, "input[0].type"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f"}]}, "input[0].arguments"),
        ({"input": [{"type": "function_call", "call_id": "", "name": "f"}]}, "input[0].call_id"),
        ({"input": [{"type": "function_call_output", "call_id": "c"}]}, "input[0].output"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["x"]}]}, "tools[0].type"),
        ({"tools": [TOOL, {"type": "mcp", "server_label": "x"}]}, "tools[1].type"),
        ({"tools": [{"type": "function"}]}, "tools[0].name"),
        ({"tools": [{"type": "namespace", "tools": []}]}, "tools[0].name"),
        ({"tools": [{**SPACE, "tools": [{"type": "function"}]}]}, "tools[0].tools[0].name"),
        ({"tools": [{**SPACE, "tools": [SPACE]}]}, "tools[0].tools[0].type"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "namespace": 1}]}, "input[0].namespace"),
        ({"tools": [{**TOOL, "defer_loading": True}]}, "tools[0].defer_loading"),
        ({"tools": [{"type": "web_search", "external_web_access": False}]}, "tools[0].external_web_access"),
        ({"tools": "f"}, "tools"),
        ({"tool_choice": "required"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": "always"}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "function", "name": "other"}}, "tool_choice"),
        ({"tools": [{"type": "web_search"}], "tool_choice": {"type": "web_search"}}, "tool_choice"),
        ({"tools": [TOOL], "tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"max_output_tokens": "5"}, "max_output_tokens"),
        ({"top_logprobs": 21}, "top_logprobs"),
        ({"truncation": "some"}, "truncation"),
        ({"include": ["everything"]}, "include"),
        ({"reasoning": {"mode": "pro"}}, "reasoning.mode"),
        ({"text": {"format": {"type": "grammar"}}}, "text.format.type"),
        ({"text": {"format": {"type": "json_schema", "name": "n"}}}, "text.format.schema"),
        ({"text": {"tone": "kind"}}, "text.tone"),
        ({"stream_options": {"include_obfuscation": False}}, "stream_options"),
        ({"stream": "yes"}, "stream"),
    ],
)
def test_what_cannot_be_done_or_is_wrong_is_refused_by_name(asked: JsonObject, param: str) -> None:
    error = refused(**asked)
    assert (error.status, error.param) == (400, param)
    assert param.split("[")[0].split(".")[0] in error.message


@pytest.mark.parametrize(
    ("chats", "here"),
    [
        ("messages[3].content[0]", "input"),
        ("max_completion_tokens", "max_output_tokens"),
        ("response_format.json_schema.schema", "text.format"),
        ("reasoning_effort", "reasoning.effort"),
        ("web_search_options", "tools"),
        ("temperature", "temperature"),
        ("tools[0].function.name", "tools[0].function.name"),
        ("", ""),
        (None, None),
    ],
)
def test_a_field_that_a_provider_complains_of_has_the_clients_name(chats: str | None, here: str | None) -> None:
    assert name_of_field(chats) == here
