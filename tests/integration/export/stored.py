"""Rows of stored prompts and answers, made up from a seed."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from routing.models import PayloadRecord
from tests.unit.routing.conversations import conversation, words

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)


def answer(text: str | None, *, finish: str = "stop", **message: Any) -> dict[str, Any]:
    told = {"role": "assistant", "content": text, "refusal": None, **message}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "message": told, "logprobs": None, "finish_reason": finish}],
        "usage": {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15},
    }


def record(number: int, request: dict[str, Any], response: dict[str, Any], **fields: Any) -> PayloadRecord:
    values: dict[str, Any] = {
        "request_id": f"req_{number:08}",
        "created_at": BEGIN + timedelta(minutes=number),
        "key_id": 1,
        "key_name": "app",
        "team": "red",
        "model": "m",
        "endpoint": "chat/completions",
        "status": 200,
        "provider": "p",
        "upstream_model": "u",
        "input_tokens": 10,
        "output_tokens": 5,
        "request": orjson.dumps(request).decode(),
        "response": orjson.dumps(response).decode(),
    }
    return PayloadRecord(**{**values, **fields})


def asked(text: str) -> dict[str, Any]:
    return {"model": "m", "messages": [{"role": "user", "content": text}]}


def made_up(draw: random.Random, number: int) -> PayloadRecord:
    """All kinds of calls: chats with tools, images, errors, completions, embeddings, cut-off answers."""
    messages = conversation(draw, turns=draw.randint(0, 3), size=30) or asked("x")["messages"]
    request: dict[str, Any] = {"model": "m", "messages": messages}
    if draw.random() < 0.3:
        request["tools"] = [{"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}]
    kind = draw.random()
    if kind < 0.05:
        return record(number, request, {"error": {"message": "no"}}, status=500)
    if kind < 0.1:
        return record(number, request, answer(words(draw, 5), finish="length"))
    if kind < 0.15:
        embedding = {"object": "list", "data": [{"index": 0, "embedding": [0.5]}], "model": "m"}
        return record(number, {"model": "m", "input": "x"}, embedding, endpoint="embeddings")
    if kind < 0.2:
        told = {"choices": [{"index": 0, "text": words(draw, 5), "finish_reason": "stop"}]}
        return record(number, {"model": "m", "prompt": words(draw, 9)}, told, endpoint="completions")
    if kind < 0.3:
        calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}}]
        return record(number, request, answer(None, finish="tool_calls", tool_calls=calls))
    return record(number, request, answer(words(draw, draw.randint(1, 40))))


def store(records: list[PayloadRecord]) -> None:
    PayloadRecord.objects.bulk_create(records, batch_size=500)
