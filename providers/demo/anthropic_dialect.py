"""Anthropic's Messages API as the demo speaks it: `/v1/messages`, `count_tokens` and the model list.

`anthropic-version` is required and must be one that exists. Thinking, when enabled, is answered with a signed block.
"""

from collections.abc import Iterator
from typing import Any
from urllib.parse import unquote

import orjson

from providers.demo import anthropic_checks, anthropic_shapes, tokens
from providers.demo.answering import CHAT_MODELS, THINKING, OfferedTool, Question, Reply, context_window, reply_to
from providers.demo.shapes import Shape
from providers.demo.wire import Answer, Call, Dialect, JsonAnswer, RefusalError, StreamAnswer, read_json, sse
from providers.types import JsonObject

CREATED_AT = "2026-01-01T00:00:00Z"
MAX_OUTPUT_TOKENS = 128_000
STOP_REASONS = {"stop": "end_turn", "stop_sequence": "stop_sequence", "length": "max_tokens", "tool_calls": "tool_use"}
KINDS = {"overloaded": "overloaded_error"}


def authorize(call: Call) -> None:
    """A key in `x-api-key`, which wins, or as a Bearer token; then the version."""
    key = call.headers.get("x-api-key") or call.bearer
    if not key:
        raise RefusalError(401, "x-api-key header is required", kind="authentication_error")
    if call.settings.require_key is not None and key != call.settings.require_key:
        raise RefusalError(401, "invalid x-api-key", kind="authentication_error")
    version = call.headers.get("anthropic-version")
    if not version:
        raise anthropic_checks.invalid("anthropic-version: header is required")
    if version not in anthropic_shapes.VERSIONS:
        raise anthropic_checks.invalid(f'anthropic-version: "{version}" is not a valid version')


def error_body(refusal: RefusalError, call: Call) -> JsonObject:
    kind = KINDS.get(refusal.kind, refusal.kind)
    error = {"type": kind, "message": refusal.message}
    return {"type": "error", "error": error, "request_id": f"req_demo{call.id}"}


def messages(call: Call) -> Answer:
    body = _read(call, anthropic_shapes.REQUEST)
    if body["max_tokens"] > MAX_OUTPUT_TOKENS:
        text = f"max_tokens: {body['max_tokens']} > {MAX_OUTPUT_TOKENS}, which is the maximum allowed number of output"
        raise anthropic_checks.invalid(f"{text} tokens for {body['model']}")
    thought = _thought(body)
    question = _question(body, spent=tokens.count_tokens(thought))
    window = context_window(question.model)
    if question.input_tokens > window:
        raise anthropic_checks.invalid(f"prompt is too long: {question.input_tokens} tokens > {window} maximum")
    reply = reply_to(question, length=call.settings.tokens)
    message = _message(call.id, body["model"], reply, thought)
    if body.get("stream"):
        return StreamAnswer(events=_stream(message))
    return JsonAnswer(body=message)


def count_tokens(call: Call) -> Answer:
    body = _read(call, anthropic_shapes.COUNT_TOKENS)
    return JsonAnswer(body={"input_tokens": _question(body).input_tokens})


def _read(call: Call, shape: Shape) -> JsonObject:
    body = read_json(call, anthropic_checks.invalid("The request body is not valid JSON: expected an object"))
    anthropic_checks.check(body, shape=shape, version=call.headers["anthropic-version"])
    return body


def _thought(body: JsonObject) -> str:
    """What is thought aloud before the answer, if that was asked for and leaves room for an answer."""
    asked = (body.get("thinking") or {}).get("type") in ("enabled", "adaptive")
    return THINKING if asked and body["max_tokens"] > tokens.count_tokens(THINKING) else ""


def _question(body: JsonObject, *, spent: int = 0) -> Question:
    """`spent` tokens of the output are already used for thinking."""
    turns = [(message["role"], _blocks(message["content"])) for message in body["messages"]]
    asked = next((text for role, blocks in reversed(turns) if role == "user" and (text := _text(blocks))), "")
    results = [block for block in turns[-1][1] if block["type"] == "tool_result"]
    choice = body.get("tool_choice") or {}
    mode = {"any": "required", "tool": choice.get("name", "")}.get(choice.get("type", ""), choice.get("type", "auto"))
    return Question(
        model=body["model"],
        texts=(_all_text(_blocks(body.get("system") or "")), *(_all_text(blocks) for _, blocks in turns)),
        asked=asked,
        tool_result=", ".join(_all_text([block]) for block in results) if results else None,
        images=sum(block["type"] == "image" for _, blocks in turns for block in blocks),
        tools=tuple(OfferedTool(name=tool["name"], schema=tool["input_schema"]) for tool in body.get("tools") or ()),
        tool_choice=mode,
        parallel_tools=not choice.get("disable_parallel_tool_use"),
        schema=((body.get("output_config") or {}).get("format") or {}).get("schema"),
        max_tokens=body.get("max_tokens", MAX_OUTPUT_TOKENS) - spent,
        stop=tuple(body.get("stop_sequences") or ()),
    )


def _blocks(content: Any) -> list[JsonObject]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def _text(blocks: list[JsonObject]) -> str:
    return "".join(block["text"] for block in blocks if block["type"] == "text")


def _all_text(blocks: list[JsonObject]) -> str:
    """Texts of a turn with those of its tool results and thinking."""
    found = []
    for block in blocks:
        if block["type"] == "tool_result":
            found.append(_all_text(_blocks(block.get("content") or "")))
        else:
            found.append(str(block.get("text") or block.get("thinking") or block.get("input") or ""))
    return "".join(found)


def _message(call_id: str, model: str, reply: Reply, thought: str) -> JsonObject:
    content: list[JsonObject] = []
    if thought:
        content.append({"type": "thinking", "thinking": thought, "signature": anthropic_checks.signature_of(thought)})
    if reply.text:
        content.append({"type": "text", "text": reply.text})
    for position, called in enumerate(reply.calls):
        tool_id = f"toolu_demo{call_id}{position}"
        content.append(
            {"type": "tool_use", "id": tool_id, "name": called.name, "input": orjson.loads(called.arguments)}
        )
    thinking_tokens = tokens.count_tokens(thought)
    usage: JsonObject = {
        "input_tokens": reply.input_tokens,
        "cache_creation_input_tokens": 0,
        "cache_read_input_tokens": 0,
        "cache_creation": {"ephemeral_5m_input_tokens": 0, "ephemeral_1h_input_tokens": 0},
        "output_tokens": reply.output_tokens + thinking_tokens,
        "service_tier": "standard",
    }
    if thought:
        usage["output_tokens_details"] = {"thinking_tokens": thinking_tokens}
    return {
        "id": f"msg_demo{call_id}",
        "type": "message",
        "role": "assistant",
        "model": model,
        "content": content,
        "stop_reason": STOP_REASONS[reply.ending],
        "stop_sequence": reply.stop_sequence,
        "usage": usage,
    }


def _stream(message: JsonObject) -> Iterator[bytes]:
    opening = {**message, "content": [], "stop_reason": None, "stop_sequence": None}
    opening["usage"] = {**message["usage"], "output_tokens": 1}
    opening["usage"].pop("output_tokens_details", None)
    yield _event({"type": "message_start", "message": opening})
    for index, block in enumerate(message["content"]):
        empty, deltas = _opened(block)
        yield _event({"type": "content_block_start", "index": index, "content_block": empty})
        if index == 0:
            yield _event({"type": "ping"})
        for delta in deltas:
            yield _event({"type": "content_block_delta", "index": index, "delta": delta})
        yield _event({"type": "content_block_stop", "index": index})
    usage = {
        name: message["usage"][name] for name in ("output_tokens", "output_tokens_details") if name in message["usage"]
    }
    delta = {"stop_reason": message["stop_reason"], "stop_sequence": message["stop_sequence"]}
    yield _event({"type": "message_delta", "delta": delta, "usage": usage})
    yield _event({"type": "message_stop"})


def _opened(block: JsonObject) -> tuple[JsonObject, list[JsonObject]]:
    """A block as it starts, and the deltas that complete it."""
    if block["type"] == "tool_use":
        parts = ["", *tokens.pieces(orjson.dumps(block["input"]).decode())]
        return {**block, "input": {}}, [{"type": "input_json_delta", "partial_json": piece} for piece in parts]
    if block["type"] == "thinking":
        deltas: list[JsonObject] = [
            {"type": "thinking_delta", "thinking": piece} for piece in tokens.pieces(block["thinking"])
        ]
        deltas.append({"type": "signature_delta", "signature": block["signature"]})
        return {"type": "thinking", "thinking": "", "signature": ""}, deltas
    return {"type": "text", "text": ""}, [
        {"type": "text_delta", "text": piece} for piece in tokens.pieces(block["text"])
    ]


def _event(data: JsonObject) -> bytes:
    return sse(data, event=data["type"])


def models(call: Call) -> Answer:
    data = [_model(name) for name in CHAT_MODELS]
    return JsonAnswer(body={"data": data, "has_more": False, "first_id": CHAT_MODELS[0], "last_id": CHAT_MODELS[-1]})


def model(call: Call) -> Answer:
    name = unquote(call.path.partition("/")[2])
    if name not in CHAT_MODELS:
        raise RefusalError(404, f"model: {name}", kind="not_found_error")
    return JsonAnswer(body=_model(name))


def _model(name: str) -> JsonObject:
    return {
        "type": "model",
        "id": name,
        "display_name": f"DEMO {name.removeprefix('demo-')}",
        "created_at": CREATED_AT,
        "max_input_tokens": context_window(name),
        "max_tokens": MAX_OUTPUT_TOKENS,
    }


DIALECT = Dialect(
    name="anthropic",
    prefixes=("v1/",),
    routes={
        "POST messages": messages,
        "POST messages/count_tokens": count_tokens,
        "GET models": models,
        "GET models/*": model,
    },
    authorize=authorize,
    error_body=error_body,
    request_id_header="request-id",
)
