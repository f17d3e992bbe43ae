"""The demo refuses what the real services refuse, in their words and shapes."""

import httpx
import pytest

from providers.demo import DIALECTS, create_app

USER = {"role": "user", "content": "hi"}
CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
OPENAI = {"model": "m", "messages": [USER]}
ANTHROPIC = {"model": "m", "max_tokens": 50, "messages": [USER]}
ANTHROPIC_TOOL = {"name": "f", "input_schema": {"type": "object"}}
TOOL_USE = {"role": "assistant", "content": [{"type": "tool_use", "id": "t1", "name": "f", "input": {}}]}
TOOL_RESULT = {"type": "tool_result", "tool_use_id": "t1", "content": "x"}
COHERE = {"model": "m", "messages": [USER]}
COHERE_TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
RESPONSES = {"model": "m", "input": "hi"}
HEADERS = {"authorization": "Bearer key", "anthropic-version": "2023-06-01"}


async def post(dialect, path, body, headers=HEADERS, **options):
    transport = httpx.ASGITransport(create_app(dialect, **options))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        content = {"content": body} if isinstance(body, bytes) else {"json": body}
        return await client.post(path, headers=headers, **content)


@pytest.mark.parametrize(
    ("wrong", "message", "param", "code"),
    [
        ({"model": None}, "you must provide a model parameter", None, None),
        ({"model": 3}, "Invalid type for 'model'", "model", "invalid_type"),
        ({"messages": None}, "Missing required parameter: 'messages'.", "messages", "missing_required_parameter"),
        ({"messages": "hi"}, "Invalid type for 'messages'", "messages", "invalid_type"),
        ({"messages": []}, "empty array", "messages", "empty_array"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "'robot'", "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "Missing", "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 3}]}, "an integer", "messages[0].content", "invalid_type"),
        ({"messages": [{"role": "user", "content": [{"type": "x"}]}]}, "'x'", "messages[0].content[0].type", None),
        (
            {"messages": [USER, {"role": "tool", "content": "x", "tool_call_id": "c1"}]},
            "preceeding message",
            None,
            None,
        ),
        ({"messages": [{"role": "assistant", "tool_calls": [CALL]}, USER]}, "did not have response", None, None),
        ({"temperature": 2.5}, "<= 2", "temperature", "decimal_above_max_value"),
        ({"temperature": "hot"}, "expected a decimal", "temperature", "invalid_type"),
        ({"max_tokens": 0}, ">= 1", "max_tokens", "integer_below_min_value"),
        ({"n": 129}, "<= 128", "n", "integer_above_max_value"),
        ({"stream": "yes"}, "a boolean", "stream", "invalid_type"),
        ({"stop": ["a"] * 5}, "maximum length 4", "stop", "array_above_max_length"),
        ({"stream_options": {"include_usage": True}}, "'stream' is enabled", "stream_options", None),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "pattern", None, "invalid_value"),
        ({"tool_choice": "required"}, "'tools' are specified", "tool_choice", None),
        ({"response_format": {"type": "json_object"}}, "the word 'json'", "messages", None),
        ({"response_format": {"type": "json_schema"}}, "json_schema", "response_format.json_schema", None),
    ],
)
async def test_openai_names_the_field_and_the_code(wrong, message, param, code):
    response = await post("openai", "/v1/chat/completions", {**OPENAI, **wrong})
    error = response.json()["error"]
    assert response.status_code == 400
    assert error.keys() == {"message", "type", "param", "code"}
    assert message in error["message"]
    assert error["type"] == "invalid_request_error"
    assert param in (None, error["param"])
    assert code in (None, error["code"])


CALLED = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}"}
RETURNED = {"type": "function_call_output", "call_id": "c1", "output": "x"}


@pytest.mark.parametrize("strange", [["a"], {}])
@pytest.mark.parametrize(
    ("dialect", "path", "wrong"),
    [
        ("openai", "/v1/chat/completions", lambda it: {**OPENAI, "messages": [{"role": it, "content": "x"}]}),
        ("openai", "/v1/chat/completions", lambda it: {**OPENAI, "messages": [{**USER, "content": [{"type": it}]}]}),
        ("openai", "/v1/chat/completions", lambda it: {**OPENAI, "tools": [{"type": it}]}),
        ("openai", "/v1/chat/completions", lambda it: {**OPENAI, "response_format": {"type": it or ["a"]}}),
        ("anthropic", "/v1/messages", lambda it: {**ANTHROPIC, "thinking": {"type": it}}),
        ("anthropic", "/v1/messages", lambda it: {**ANTHROPIC, "messages": [{**USER, "content": [{"type": it}]}]}),
        (
            "anthropic",
            "/v1/messages",
            lambda it: {**ANTHROPIC, "tools": [ANTHROPIC_TOOL], "tool_choice": {"type": it}},
        ),
        ("cohere", "/v2/chat", lambda it: {**COHERE, "messages": [{"role": it, "content": "x"}]}),
        ("cohere", "/v2/chat", lambda it: {**COHERE, "messages": [{**USER, "content": [{"type": it}]}]}),
        ("cohere", "/v2/embed", lambda it: {"model": "m", "input_type": it, "texts": ["a"]}),
        ("responses", "/v1/responses", lambda it: {**RESPONSES, "input": [{"type": it}]}),
        ("responses", "/v1/responses", lambda it: {**RESPONSES, "tools": [{"type": it}]}),
        ("responses", "/v1/responses", lambda it: {**RESPONSES, "response_format": {"type": it}}),
        ("responses", "/v1/responses", lambda it: {"input": "hi", "models": [it]}),
        ("responses", "/v1/responses", lambda it: {**RESPONSES, "input": [CALLED, {**RETURNED, "output": [it]}]}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "input": [{**USER, "role": it}]}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "input": [{"type": it, **USER}]}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "input": [{**USER, "content": [{"type": it}]}]}),
        (
            "openai_responses",
            "/v1/responses",
            lambda it: {**RESPONSES, "input": [CALLED, {**RETURNED, "output": [it]}]},
        ),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "tools": [{"type": it}]}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "tool_choice": {"type": it}}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "include": [it]}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "text": {"format": {"type": it}}}),
        ("openai_responses", "/v1/responses", lambda it: {**RESPONSES, "reasoning": {"effort": it}}),
        ("responses", "/v1/embeddings", lambda it: {"model": "m", "input": "a", "encoding_format": it or ["a"]}),
    ],
)
async def test_what_is_no_name_is_refused_where_a_name_belongs(dialect, path, wrong, strange):
    response = await post(dialect, path, wrong(strange))
    assert response.status_code == 400
    body = response.json()
    if dialect == "anthropic":
        assert (body["type"], body["error"]["type"]) == ("error", "invalid_request_error")
    else:
        assert body.get("error", body)["message"]


async def test_anthropic_refuses_an_image_that_is_no_ascii():
    source = {"type": "base64", "media_type": "image/png", "data": "é"}
    content = [{"type": "image", "source": source}]
    response = await post("anthropic", "/v1/messages", {**ANTHROPIC, "messages": [{**USER, "content": content}]})
    assert response.json()["error"]["message"].endswith("Input should be valid base64")


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"max_tokens": None}, "max_tokens: Field required"),
        ({"messages": []}, "at least one message"),
        ({"messages": [{"role": "assistant", "content": "a"}, USER]}, "first message must use"),
        ({"messages": [USER, {"role": "assistant", "content": "a"}]}, "prefill"),
        ({"messages": [{"role": "tool", "content": "a"}]}, "messages.0.role: Input should be"),
        ({"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
        ({"messages": [{"role": "user", "content": [{"type": "text", "text": ""}]}]}, "must be non-empty"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "does not match any"),
        ({"messages": [USER, TOOL_USE, USER], "tools": [ANTHROPIC_TOOL]}, "without `tool_result` blocks"),
        (
            {"messages": [{"role": "user", "content": [TOOL_RESULT]}], "tools": [ANTHROPIC_TOOL]},
            "unexpected `tool_use_id`",
        ),
        (
            {
                "messages": [USER, TOOL_USE, {"role": "user", "content": [{"type": "text", "text": "a"}, TOOL_RESULT]}],
                "tools": [ANTHROPIC_TOOL],
            },
            "must come first",
        ),
        ({"messages": [USER, TOOL_USE, {"role": "user", "content": [TOOL_RESULT]}]}, "tools: Field required"),
        (
            {
                "messages": [USER, *[TOOL_USE, {"role": "user", "content": [TOOL_RESULT]}] * 2],
                "tools": [ANTHROPIC_TOOL],
            },
            "`tool_use` ids must be unique",
        ),
        ({"system": [{"type": "text", "text": ""}]}, "must be non-empty"),
        ({"messages": [USER, {"role": "system", "content": "x"}, USER]}, "must follow a user message"),
        ({"temperature": 1.5}, "temperature: Input should be less than or equal to 1"),
        ({"stop_sequences": [" "]}, "non-whitespace"),
        ({"frequency_penalty": 0}, "frequency_penalty: Extra inputs are not permitted"),
        ({"tools": [{"name": "f", "parameters": {}}]}, "tools.0.custom.input_schema: Field required"),
        ({"tools": [ANTHROPIC_TOOL] * 2}, "unique"),
        ({"tool_choice": {"type": "any"}}, "while providing tools"),
        ({"tools": [ANTHROPIC_TOOL], "tool_choice": "auto"}, "tool_choice: Input should be"),
        ({"thinking": {"type": "enabled", "budget_tokens": 1024}}, "greater than `thinking.budget_tokens`"),
        ({"output_config": {"format": {"type": "json_schema", "schema": {"type": "object"}}}}, "additionalProperties"),
        ({"max_tokens": 500_000}, "maximum allowed number of output tokens"),
    ],
)
async def test_anthropic_says_what_is_wrong(wrong, message):
    response = await post("anthropic", "/v1/messages", {**ANTHROPIC, **wrong})
    body = response.json()
    assert response.status_code == 400
    assert body["type"] == "error"
    assert body["error"]["type"] == "invalid_request_error"
    assert message in body["error"]["message"]
    assert body["request_id"] == response.headers["request-id"]


@pytest.mark.parametrize(
    ("headers", "status", "message"),
    [
        ({}, 401, "x-api-key header is required"),
        ({"x-api-key": "k"}, 400, "anthropic-version: header is required"),
        ({"x-api-key": "k", "anthropic-version": "2020-01-01"}, 400, "not a valid version"),
    ],
)
async def test_anthropic_wants_a_key_and_a_version(headers, status, message):
    response = await post("anthropic", "/v1/messages", ANTHROPIC, headers)
    assert response.status_code == status
    assert message in response.json()["error"]["message"]


async def test_anthropic_takes_sampling_only_under_the_old_version():
    body = {**ANTHROPIC, "temperature": 0.5}
    assert (await post("anthropic", "/v1/messages", body)).status_code == 200
    newer = await post("anthropic", "/v1/messages", body, {"x-api-key": "k", "anthropic-version": "2026-10-21"})
    assert newer.json()["error"]["message"] == "temperature: Extra inputs are not permitted"


@pytest.mark.parametrize(
    ("path", "wrong", "message"),
    [
        ("/v2/chat", {"messages": None}, "messages must be specified"),
        ("/v2/chat", {"messages": [{"role": "developer", "content": "x"}]}, "role must be one of"),
        ("/v2/chat", {"messages": [{"role": "user", "content": ""}]}, "non-empty content"),
        (
            "/v2/chat",
            {"messages": [USER, {"role": "tool", "tool_call_id": "x", "content": "y"}]},
            "no matching tool call",
        ),
        ("/v2/chat", {"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}, USER]}, "without a tool message"),
        ("/v2/chat", {"temperature": 1.1}, "temperature must be between 0 and 1.0 inclusive"),
        ("/v2/chat", {"p": 1.0}, "p must be between 0.01 and 0.99"),
        ("/v2/chat", {"p": 0}, "p must be between 0.01 and 0.99"),
        ("/v2/chat", {"presence_penalty": -1}, "presence_penalty must be between"),
        ("/v2/chat", {"stop_sequences": ["a"] * 6}, "at most 5"),
        ("/v2/chat", {"tool_choice": "auto"}, "tool_choice must be one of"),
        ("/v2/chat", {"tools": []}, "not empty"),
        ("/v2/chat", {"tools": [{"type": "function", "function": {"name": "f"}}]}, "parameters must be specified"),
        ("/v2/chat", {"tools": [COHERE_TOOL], "safety_mode": "OFF"}, "safety_mode is not supported"),
        ("/v2/embed", {"messages": None, "texts": ["a"]}, "valid input_type must be provided"),
        ("/v2/embed", {"messages": None, "texts": ["a"] * 97, "input_type": "clustering"}, "at most 96"),
    ],
)
async def test_cohere_says_what_is_wrong(path, wrong, message):
    body = {name: value for name, value in {**COHERE, **wrong}.items() if value is not None}
    response = await post("cohere", path, body)
    assert response.status_code == 400
    assert message in response.json()["message"]
    assert "error" not in response.json()


@pytest.mark.parametrize("field", ["top_p", "n", "user", "max_completion_tokens", "stream_options"])
async def test_cohere_does_not_know_openais_fields(field):
    response = await post("cohere", "/v2/chat", {**COHERE, field: 1})
    assert response.status_code == 422
    assert response.json()["message"] == f"unknown field: parameter '{field}' is not a valid field"


@pytest.mark.parametrize(
    ("wrong", "param"),
    [
        ({"model": None}, "model"),
        ({"input": []}, "input"),
        ({"input": [{"role": "user", "content": "x"}]}, "input[0].type"),
        ({"input": [{"type": "message", "role": "tool", "content": "x"}]}, "input[0].role"),
        ({"input": [{"type": "message", "role": "user", "content": [{"type": "text"}]}]}, "input[0].content[0].type"),
        ({"input": [{"type": "function_call_output", "call_id": "c", "output": "x"}]}, "input"),
        ({"input": [{"type": "function_call", "call_id": "c", "name": "f", "arguments": "{}"}]}, "input"),
        ({"tools": [{"type": "function", "function": {"name": "f"}}]}, "tools[0].name"),
        ({"stop": ["a"]}, "stop"),
        ({"text": {}}, "text"),
        ({"seed": 1}, "seed"),
    ],
)
async def test_responses_name_the_field_and_give_the_code_as_a_number(wrong, param):
    response = await post("responses", "/v1/agent", {**RESPONSES, **wrong})
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, 400, param)


@pytest.mark.parametrize("dialect", DIALECTS)
async def test_every_dialect_wants_a_key_and_can_insist_on_one(dialect):
    path, body = {
        "openai": ("/chat/completions", OPENAI),
        "anthropic": ("/messages", ANTHROPIC),
        "cohere": ("/chat", COHERE),
        "openai_responses": ("/responses", RESPONSES),
        "responses": ("/responses", RESPONSES),
    }[dialect]
    keyless = {"anthropic-version": "2023-06-01"}
    assert (await post(dialect, path, body, keyless)).status_code == 401
    assert (await post(dialect, path, body)).status_code == 200
    assert (await post(dialect, path, body, require_key="other")).status_code == 401
    assert (await post(dialect, path, body, require_key="key")).status_code == 200
    assert (await post(dialect, path, b"{")).status_code == 400
    assert (await post(dialect, "/nowhere", body)).status_code == 404
    assert (await post(dialect, "/models", body)).status_code == 405
    failed = await post(dialect, path, body, fail_rate=1)
    assert failed.status_code == 503
    assert "DEMO" in failed.text


async def test_fails_the_share_of_requests_it_was_told_to():
    transport = httpx.ASGITransport(create_app(fail_rate=0.3))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo", headers=HEADERS) as client:
        seen = [(await client.post("/chat/completions", json=OPENAI)).status_code for _ in range(20)]
    assert seen.count(503) == 6
    assert seen[:4] == [200, 200, 200, 503]


@pytest.mark.parametrize("wrong", [{"dialect": "latin"}, {"fail_rate": 2}, {"latency_ms": -1}, {"tokens": 0}])
def test_refuses_settings_that_make_no_sense(wrong):
    with pytest.raises(ValueError, match=r"must be|unknown dialect"):
        create_app(**wrong)
