"""The demo refuses what OpenAI's Responses API refuses, in its words and shapes."""

from contextlib import suppress

import httpx
import pytest

from providers.demo import create_app
from providers.demo.openai_responses_checks import check
from providers.demo.wire import RefusalError

USER = {"role": "user", "content": "hi"}
RESPONSES = {"model": "m", "input": "hi"}
CALLED = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RETURNED = {"type": "function_call_output", "call_id": "c1", "output": "x"}
FLAT = {"type": "function", "name": "f"}
OPEN = {"type": "object", "properties": {"a": {"type": "string"}}, "required": ["a"]}
OPTIONAL = {**OPEN, "additionalProperties": False, "required": []}
DEEP = {"type": "object", "properties": {"a": OPEN}, "required": ["a"], "additionalProperties": False}
REASONED = {"type": "reasoning", "id": "rs_1", "summary": []}


async def post(body):
    transport = httpx.ASGITransport(create_app("openai_responses"))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        return await client.post("/v1/responses", headers={"authorization": "Bearer key"}, json=body)


@pytest.mark.parametrize(
    ("wrong", "message", "param", "code"),
    [
        ({"model": None}, "Missing", "model", "missing_required_parameter"),
        ({"input": None}, "must be provided", "input", "missing_required_parameter"),
        ({"input": []}, "must be provided", "input", "missing_required_parameter"),
        ({"input": 3}, "an integer", "input", "invalid_type"),
        ({"input": ["hi"]}, "an object", "input[0]", "invalid_type"),
        ({"input": [{"role": "user"}]}, "Missing", "input[0].content", "missing_required_parameter"),
        ({"input": [{"role": "tool", "content": "x"}]}, "'tool'", "input[0].role", "invalid_value"),
        ({"input": [{**USER, "name": "me"}]}, "Unknown", "input[0].name", "unknown_parameter"),
        ({"input": [{**USER, "type": "message", "id": "fc_1"}]}, "begins with 'msg'", "input[0].id", "invalid_value"),
        (
            {"input": [{**USER, "content": [{"type": "text", "text": "x"}]}]},
            "Supported values are: 'input_text'",
            "input[0].content[0].type",
            "invalid_value",
        ),
        (
            {"input": [USER, {"role": "assistant", "content": [{"type": "input_text", "text": "x"}]}]},
            "'output_text'",
            "input[1].content[0].type",
            "invalid_value",
        ),
        (
            {"input": [{**USER, "content": [{"type": "input_image", "image_url": {"url": "https://e.com"}}]}]},
            "a string",
            "input[0].content[0].image_url",
            "invalid_type",
        ),
        (
            {"input": [{**USER, "content": [{"type": "input_image", "image_url": "/tmp/a.png"}]}]},
            "valid URL",
            "input[0].content[0].image_url",
            "invalid_value",
        ),
        ({"input": [CALLED, {**RETURNED, "call_id": "c2"}]}, "No tool call found", "input", None),
        ({"input": [CALLED, {**RETURNED, "type": "custom_tool_call_output"}]}, "No tool call found", "input", None),
        ({"input": [CALLED]}, "No tool output found for function call c1.", "input", None),
        (
            {"input": [{**CALLED, "call_id": "c" * 65}]},
            "got a string with length 65",
            "input[0].call_id",
            "string_above_max_length",
        ),
        (
            {"input": [{**REASONED, "encrypted_content": "written elsewhere"}, USER]},
            "could not be verified",
            None,
            "invalid_encrypted_content",
        ),
        ({"messages": [USER]}, "moved to 'input'", "messages", "unsupported_parameter"),
        ({"max_tokens": 50}, "moved to 'max_output_tokens'", "max_tokens", "unsupported_parameter"),
        ({"seed": 1}, "Unknown parameter: 'seed'.", "seed", "unknown_parameter"),
        ({"stop": ["a"]}, "Unknown parameter: 'stop'.", "stop", "unknown_parameter"),
        ({"max_output_tokens": 15}, ">= 16", "max_output_tokens", "integer_below_min_value"),
        ({"temperature": 2.5}, "<= 2", "temperature", "decimal_above_max_value"),
        ({"include": ["everything"]}, "'everything'", "include[0]", "invalid_value"),
        ({"metadata": {"a": 1}}, "a string", "metadata.a", "invalid_type"),
        ({"stream_options": {"include_obfuscation": False}}, "'stream' is enabled", "stream_options", None),
        ({"reasoning": {"effort": "some"}}, "'some'", "reasoning.effort", "invalid_value"),
        ({"text": {"format": {"type": "json_object"}}}, "the word 'json'", "input", None),
        ({"text": {"format": {"type": "json_schema", "json_schema": {}}}}, "Missing", "text.format.name", None),
        (
            {"text": {"format": {"type": "json_schema", "name": "n", "schema": OPEN, "strict": True}}},
            "'additionalProperties' is required",
            "text.format.schema",
            "invalid_json_schema",
        ),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "Missing", "tools[0].name", None),
        ({"tools": [{"type": "function", "name": "a b"}]}, "pattern", "tools[0].name", "invalid_value"),
        (
            {"tools": [{**FLAT, "parameters": {"type": "string"}}]},
            "got 'type: \"string\"'",
            "tools[0].parameters",
            None,
        ),
        (
            {"tools": [{**FLAT, "strict": True, "parameters": OPTIONAL}]},
            "Missing 'a'",
            "tools[0].parameters",
            "invalid_function_parameters",
        ),
        (
            {"tools": [{**FLAT, "strict": True, "parameters": DEEP}]},
            "In context=('properties', 'a')",
            "tools[0].parameters",
            "invalid_function_parameters",
        ),
        ({"tools": [{"type": "sandbox"}]}, "'sandbox'", "tools[0].type", "invalid_value"),
        ({"tool_choice": "required"}, "must be specified with 'tools'", "tool_choice", None),
        ({"tools": [FLAT], "tool_choice": {"type": "function", "name": "g"}}, "'g' not found", "tool_choice", None),
        (
            {"tools": [FLAT], "tool_choice": {"type": "allowed_tools", "mode": "any", "tools": [FLAT]}},
            "'any'",
            "tool_choice.mode",
            "invalid_value",
        ),
        ({"previous_response_id": "resp_1"}, "not found", "previous_response_id", "previous_response_not_found"),
        ({"background": True}, "not supported", "background", "unsupported_parameter"),
    ],
)
async def test_names_the_field_and_the_code(wrong, message, param, code):
    response = await post({**RESPONSES, **wrong})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error.keys() == {"message", "type", "param", "code"}
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"
    assert error["param"] == param
    assert code in (None, error["code"])


@pytest.mark.parametrize("item", [REASONED, {"type": "item_reference", "id": "rs_1"}])
async def test_finds_no_item_that_was_not_stored(item):
    response = await post({**RESPONSES, "input": [item, USER]})
    assert (response.status_code, response.json()["error"]["param"]) == (404, "input")
    assert "'rs_1' not found" in response.json()["error"]["message"]


@pytest.mark.parametrize("strange", [3, "a", [3], {"a": 3}])
def test_looks_into_a_schema_of_any_shape(strange):
    keywords = ("properties", "required", "$defs", "anyOf", "items", "additionalProperties")
    tool = {**FLAT, "strict": True, "parameters": dict.fromkeys(keywords, strange)}
    with suppress(RefusalError):
        check({**RESPONSES, "tools": [tool]})
