"""A stored call as a line of a data set. Pure.

The formats for training hold whole conversations of text and function calls; what is something else is skipped, with the
reason counted: `error`, `not_a_chat`, `too_large`, `incomplete`, `empty`, `refusal`, `media`, `custom_tool`.
"""

from collections.abc import Callable
from typing import Any

import orjson

from providers.types import JsonObject
from routing.export.query import Format, Row

COMPLETE = frozenset({"stop", "tool_calls", "function_call"})
_SPEAKERS = {"system": "system", "user": "human", "assistant": "gpt", "tool": "observation", "function": "observation"}

Exchange = tuple[JsonObject, JsonObject]
"""Request body and answer."""


class Skipped(Exception):
    """This row has no place in the format."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def exchange_of(row: Row) -> Exchange:
    """Raises `Skipped` for rows that were stored without their texts."""
    if not row.request or not row.response:
        raise Skipped("too_large")
    return orjson.loads(row.request), orjson.loads(row.response)


def encode(format: Format, row: Row, exchange: Exchange) -> JsonObject:
    """Raises `Skipped`."""
    return ENCODERS[format](row, exchange)


def content_of(format: Format, line: bytes, exchange: Exchange) -> bytes:
    """What makes two lines the same: all of it, or, in the raw format, what was asked and what was answered."""
    if format != "raw":
        return line
    request, answer = exchange
    asked = {name: value for name, value in request.items() if name not in ("stream", "stream_options", "user")}
    told = answer.get("choices") or answer.get("data") or answer
    return orjson.dumps([asked, told], option=orjson.OPT_SORT_KEYS)


# ------------------------------------------------------------------------------------------------- conversations


def conversation(row: Row, exchange: Exchange) -> tuple[list[JsonObject], JsonObject]:
    """The messages with the answer at their end, and the request. Raises `Skipped`."""
    request, answer = exchange
    if row.status != 200 or "error" in answer:
        raise Skipped("error")
    choices = answer.get("choices")
    if not isinstance(choices, list) or not choices:
        raise Skipped("not_a_chat")
    choice = choices[0]
    if choice.get("finish_reason") not in COMPLETE:
        raise Skipped("incomplete")
    if row.endpoint == "completions":
        prompt = request.get("prompt")
        if not isinstance(prompt, str):
            raise Skipped("not_a_chat")
        asked: list[JsonObject] = [{"role": "user", "content": prompt}]
        last: JsonObject = {"role": "assistant", "content": choice.get("text")}
    else:
        asked, last = request["messages"], choice["message"]
    if last.get("refusal"):
        raise Skipped("refusal")
    told = _message({**last, "role": "assistant"})
    if not told.get("content") and "tool_calls" not in told and "function_call" not in told:
        raise Skipped("empty")
    return [*map(_message, asked), told], request


def _message(message: JsonObject) -> JsonObject:
    role = message["role"]
    content = message.get("content")
    if len(message) == 2 and type(content) is str and role != "developer":
        return message
    clean: JsonObject = {"role": "system" if role == "developer" else role}
    if isinstance(content, list):
        content = _joined(content)
    calls = message.get("tool_calls")
    legacy = message.get("function_call")
    if content is not None or not (calls or legacy):
        clean["content"] = content or ""
    for name in ("name", "tool_call_id"):
        if isinstance(message.get(name), str):
            clean[name] = message[name]
    if calls:
        clean["tool_calls"] = [_call(call) for call in calls]
    if isinstance(legacy, dict):
        clean["function_call"] = {"name": legacy.get("name"), "arguments": legacy.get("arguments") or "{}"}
    return clean


def _joined(parts: list[Any]) -> str:
    texts = []
    for part in parts:
        if not isinstance(part, dict) or part.get("type") not in ("text", "refusal"):
            raise Skipped("media")
        texts.append(part.get("text") or part.get("refusal") or "")
    return "\n".join(texts)


def _call(call: JsonObject) -> JsonObject:
    function = call.get("function")
    if not isinstance(function, dict):
        raise Skipped("custom_tool")
    return {
        "id": call.get("id"),
        "type": "function",
        "function": {"name": function.get("name"), "arguments": function.get("arguments") or "{}"},
    }


def _tools(request: JsonObject) -> list[JsonObject]:
    tools = request.get("tools")
    if not tools:
        return []
    if any(tool.get("type") != "function" for tool in tools):
        raise Skipped("custom_tool")
    return list(tools)


# ------------------------------------------------------------------------------------------------------- formats


def _openai(row: Row, exchange: Exchange) -> JsonObject:
    messages, request = conversation(row, exchange)
    line: JsonObject = {"messages": messages}
    tools = _tools(request)
    if tools:
        line["tools"] = tools
        if isinstance(request.get("parallel_tool_calls"), bool):
            line["parallel_tool_calls"] = request["parallel_tool_calls"]
    if request.get("functions"):
        line["functions"] = request["functions"]
    return line


def _sharegpt(row: Row, exchange: Exchange) -> JsonObject:
    """Tools are one JSON text, as trainers that read this format expect, so that every line has the same columns."""
    messages, request = conversation(row, exchange)
    tools = [tool["function"] for tool in _tools(request)] or request.get("functions")
    return {
        "conversations": [_turn(message) for message in messages],
        "tools": orjson.dumps(tools).decode() if tools else "",
    }


def _turn(message: JsonObject) -> JsonObject:
    calls = [call["function"] for call in message.get("tool_calls") or ()]
    calls += [message["function_call"]] if "function_call" in message else []
    if calls:
        spoken = [{"name": call["name"], "arguments": _arguments(call["arguments"])} for call in calls]
        return {"from": "function_call", "value": orjson.dumps(spoken).decode()}
    return {"from": _SPEAKERS[message["role"]], "value": message["content"]}


def _arguments(text: str) -> Any:
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        return text


def _raw(row: Row, exchange: Exchange) -> JsonObject:
    request, answer = exchange
    return {
        "request_id": row.request_id,
        "created_at": row.created_at.isoformat() if row.created_at is not None else None,
        "team": row.team,
        "key": row.key_name,
        "model": row.model,
        "endpoint": row.endpoint,
        "provider": row.provider,
        "upstream_model": row.upstream_model,
        "stream": row.stream,
        "status": row.status,
        "cache": row.cache,
        "input_tokens": row.input_tokens,
        "output_tokens": row.output_tokens,
        "request": request,
        "response": answer,
    }


ENCODERS: dict[Format, Callable[[Row, Exchange], JsonObject]] = {
    "openai": _openai,
    "sharegpt": _sharegpt,
    "raw": _raw,
}
