"""The `/v1` part of the OpenAPI document. OpenAI's own documentation describes every field; here are those that the
gateway itself looks at, and all others go through (`additionalProperties`)."""

from typing import Any

Json = dict[str, Any]


def _ref(name: str) -> Json:
    return {"$ref": f"#/components/schemas/{name}"}


def _object(required: list[str], **properties: Json) -> Json:
    return {"type": "object", "required": required, "properties": properties, "additionalProperties": True}


def _completion(name: str, choice: Json, usage: Json) -> Json:
    return _object(
        ["id", "object", "created", "model", "choices"],
        id=TEXT,
        object={"const": name},
        created={"type": "integer"},
        model=TEXT,
        choices={"type": "array", "items": choice},
        usage=usage,
    )


TEXT: Json = {"type": "string"}
COUNT: Json = {"type": "integer", "minimum": 0}
NAMES: Json = {"type": "array", "items": TEXT}

SCHEMAS: dict[str, Json] = {
    "Error": _object(
        ["error"],
        error={
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": TEXT,
                "type": TEXT,
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        },
    ),
    "CompletionUsage": _object(
        ["prompt_tokens", "completion_tokens", "total_tokens"],
        prompt_tokens=COUNT,
        completion_tokens=COUNT,
        total_tokens=COUNT,
        prompt_tokens_details={"type": "object", "properties": {"cached_tokens": COUNT}},
        completion_tokens_details={"type": "object", "properties": {"reasoning_tokens": COUNT}},
    ),
    "ChatMessage": _object(
        ["role"],
        role={"type": "string", "enum": ["system", "developer", "user", "assistant", "tool", "function"]},
        content={"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}, {"type": "null"}]},
        name=TEXT,
        tool_calls={"type": "array", "items": {"type": "object"}},
        tool_call_id=TEXT,
    ),
    "ChatCompletionRequest": _object(
        ["model", "messages"],
        model={"type": "string", "description": "A model, an alias, or `provider/model`."},
        messages={"type": "array", "minItems": 1, "items": _ref("ChatMessage")},
        stream={"type": "boolean", "default": False},
        stream_options={"type": "object", "properties": {"include_usage": {"type": "boolean"}}},
        max_tokens={"type": "integer", "minimum": 1},
        max_completion_tokens={"type": "integer", "minimum": 1},
        temperature={"type": "number", "minimum": 0, "maximum": 2},
        top_p={"type": "number", "minimum": 0, "maximum": 1},
        n={"type": "integer", "minimum": 1},
        stop={"anyOf": [TEXT, NAMES]},
        tools={"type": "array", "items": {"type": "object"}},
        tool_choice={"anyOf": [TEXT, {"type": "object"}]},
        response_format={"type": "object"},
        reasoning_effort=TEXT,
        user=TEXT,
    ),
    "ChatCompletion": _completion(
        "chat.completion",
        _object(
            ["index", "message", "finish_reason"],
            index=COUNT,
            message=_ref("ChatMessage"),
            finish_reason={"type": ["string", "null"]},
        ),
        _ref("CompletionUsage"),
    ),
    "ChatCompletionChunk": _completion(
        "chat.completion.chunk",
        _object(
            ["index", "delta"],
            index=COUNT,
            delta={"type": "object"},
            finish_reason={"type": ["string", "null"]},
        ),
        {"anyOf": [_ref("CompletionUsage"), {"type": "null"}]},
    ),
    "TextCompletionRequest": _object(
        ["model", "prompt"],
        model=TEXT,
        prompt={"anyOf": [TEXT, {"type": "array"}]},
        stream={"type": "boolean", "default": False},
        max_tokens={"type": "integer", "minimum": 1},
        temperature={"type": "number"},
        stop={"anyOf": [TEXT, NAMES]},
    ),
    "TextCompletion": _completion("text_completion", {"type": "object"}, _ref("CompletionUsage")),
    "ResponseRequest": _object(
        ["model", "input"],
        model={"type": "string", "description": "A model, an alias, or `provider/model`."},
        input={"anyOf": [TEXT, {"type": "array", "minItems": 1, "items": {"type": "object"}}]},
        instructions=TEXT,
        stream={"type": "boolean", "default": False},
        max_output_tokens={"type": "integer", "minimum": 1},
        temperature={"type": "number", "minimum": 0, "maximum": 2},
        top_p={"type": "number", "minimum": 0, "maximum": 1},
        tools={"type": "array", "items": {"type": "object"}},
        tool_choice={"anyOf": [TEXT, {"type": "object"}]},
        text={"type": "object"},
        reasoning={"type": "object"},
        metadata={"type": "object"},
        store={"type": "boolean", "description": "Nothing is stored, whatever is asked."},
    ),
    "Response": _object(
        ["id", "object", "created_at", "status", "model", "output"],
        id=TEXT,
        object={"const": "response"},
        created_at={"type": "integer"},
        status={"type": "string", "enum": ["in_progress", "completed", "incomplete", "failed"]},
        incomplete_details={"type": ["object", "null"]},
        error={"type": ["object", "null"]},
        model=TEXT,
        output={"type": "array", "items": {"type": "object"}},
        store={"const": False},
        usage={"type": ["object", "null"]},
    ),
    "MessageRequest": _object(
        ["model", "max_tokens", "messages"],
        model=TEXT,
        max_tokens={"type": "integer", "minimum": 1},
        messages={"type": "array", "minItems": 1, "items": {"type": "object"}},
        system={"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}]},
        stream={"type": "boolean", "default": False},
        stop_sequences={"type": "array", "items": TEXT},
        tools={"type": "array", "items": {"type": "object"}},
        tool_choice={"type": "object"},
        thinking={"type": "object"},
        output_config={"type": "object"},
        metadata={"type": "object"},
    ),
    "Message": _object(
        ["id", "type", "role", "model", "content", "stop_reason", "usage"],
        id=TEXT,
        type={"const": "message"},
        role={"const": "assistant"},
        model=TEXT,
        content={"type": "array", "items": {"type": "object"}},
        stop_reason={"type": ["string", "null"]},
        usage={"type": "object"},
    ),
    "TokensRequest": _object(
        ["model", "messages"],
        model=TEXT,
        messages={"type": "array", "minItems": 1, "items": {"type": "object"}},
        system={"anyOf": [TEXT, {"type": "array", "items": {"type": "object"}}]},
        tools={"type": "array", "items": {"type": "object"}},
    ),
    "TokenCount": _object(["input_tokens"], input_tokens=COUNT),
    "EmbeddingsRequest": _object(
        ["model", "input"],
        model=TEXT,
        input={"anyOf": [TEXT, {"type": "array"}]},
        encoding_format={"type": "string", "enum": ["float", "base64"], "default": "float"},
        dimensions={"type": "integer", "minimum": 1},
    ),
    "EmbeddingList": _object(
        ["object", "data", "model"],
        object={"const": "list"},
        data={
            "type": "array",
            "items": _object(
                ["object", "index", "embedding"],
                object={"const": "embedding"},
                index=COUNT,
                embedding={"anyOf": [{"type": "array", "items": {"type": "number"}}, TEXT]},
            ),
        },
        model=TEXT,
        usage={"type": "object"},
    ),
    "Model": _object(
        ["id", "object", "created", "owned_by"],
        id=TEXT,
        object={"const": "model"},
        created={"type": "integer"},
        owned_by=TEXT,
    ),
    "ModelList": _object(["object", "data"], object={"const": "list"}, data={"type": "array", "items": _ref("Model")}),
}

_HEADERS: list[Json] = [
    {"name": "x-llm-proxy-tags", "in": "header", "schema": TEXT, "description": "Tags a provider must have, by comma."},
    {"name": "traceparent", "in": "header", "schema": TEXT, "description": "The trace that goes on here (W3C)."},
    {"name": "x-llm-proxy-no-cache", "in": "header", "schema": TEXT, "description": "Do not answer from the cache."},
    {"name": "x-llm-proxy-timeout", "in": "header", "schema": {"type": "number"}, "description": "Seconds, at most."},
    {"name": "Idempotency-Key", "in": "header", "schema": TEXT, "description": "The same key never runs twice."},
    {"name": "x-request-id", "in": "header", "schema": TEXT, "description": "Kept when it is well formed."},
]
_ANSWER_HEADERS: Json = {
    name: {"schema": TEXT}
    for name in (
        "x-request-id", "x-llm-proxy-provider", "x-llm-proxy-model", "x-llm-proxy-attempts", "x-llm-proxy-revision",
        "x-llm-proxy-cache", "x-ratelimit-limit-requests", "x-ratelimit-remaining-requests", "x-ratelimit-reset-requests",
        "x-ratelimit-limit-tokens", "x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens",
    )
}  # fmt: skip


def _error(description: str) -> Json:
    return {"description": description, "content": {"application/json": {"schema": _ref("Error")}}}


_ERRORS: dict[str, Json] = {
    "408": _error("The body came too slowly."),
    "409": _error("A call with this `Idempotency-Key` still runs."),
    "415": _error("The body is not sent as `application/json`, or is compressed."),
    "422": _error("The `Idempotency-Key` was used with another body."),
    "413": _error("The body is larger than 8 MiB."),
    "429": _error("A limit (`rate_limit_exceeded`, see Retry-After) or a budget (`insufficient_quota`) is used up."),
    "502": _error("The provider failed."),
    "503": _error("No provider can answer; the message names each one's reason."),
    "504": _error("The provider was too slow."),
}


def _post(operation: str, summary: str, request: str, answer: str, stream: str | None = None) -> Json:
    content: Json = {"application/json": {"schema": _ref(answer)}}
    if stream is not None:
        content["text/event-stream"] = {"schema": {"type": "string", "description": stream}}
    return {
        "post": {
            "tags": ["completions"],
            "operationId": operation,
            "summary": summary,
            "parameters": _HEADERS,
            "requestBody": {"required": True, "content": {"application/json": {"schema": _ref(request)}}},
            "responses": {
                "200": {"description": "The answer.", "headers": _ANSWER_HEADERS, "content": content},
                **_ERRORS,
            },
        }
    }


def _chunks(schema: str) -> str:
    return f"Events of `{schema}`, ended by `data: [DONE]`."


def _get(operation: str, summary: str, answer: str, parameters: list[Json] | None = None) -> Json:
    content = {"application/json": {"schema": _ref(answer)}}
    return {
        "get": {
            "tags": ["completions"],
            "operationId": operation,
            "summary": summary,
            "parameters": parameters or [],
            "responses": {"200": {"description": "What this key may use now.", "content": content}},
        }
    }


PATHS: dict[str, Json] = {
    "/v1/chat/completions": _post(
        "createChatCompletion", "Chat", "ChatCompletionRequest", "ChatCompletion", _chunks("ChatCompletionChunk")
    ),
    "/v1/responses": _post(
        "createResponse",
        "OpenAI's Responses API, without a store",
        "ResponseRequest",
        "Response",
        "OpenAI's events from `response.created` to `response.completed`, `.incomplete` or `.failed`.",
    ),
    "/v1/messages": _post(
        "createMessage",
        "Anthropic's Messages API; errors have its shape",
        "MessageRequest",
        "Message",
        "Anthropic's events from `message_start` to `message_stop`.",
    ),
    "/v1/messages/count_tokens": _post("countTokens", "Tokens of a message, estimated", "TokensRequest", "TokenCount"),
    "/v1/completions": _post(
        "createCompletion",
        "Legacy text completion",
        "TextCompletionRequest",
        "TextCompletion",
        _chunks("TextCompletion"),
    ),
    "/v1/embeddings": _post("createEmbedding", "Embeddings", "EmbeddingsRequest", "EmbeddingList"),
    "/v1/models": _get("listModels", "Models", "ModelList"),
    "/v1/models/{id}": _get(
        "retrieveModel", "One model", "Model", [{"name": "id", "in": "path", "required": True, "schema": TEXT}]
    ),
}
