"""Chat frames for tests of served responses, and what a client is told of them, held against the official client's types."""

from collections.abc import Iterator
from typing import Any

import orjson
from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter

from providers.dialects.served_responses import ServedStream, opening
from providers.types import JsonObject

DONE = b"data: [DONE]\n\n"
EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)
USAGE = {"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}


def begun(**asked: Any) -> JsonObject:
    return opening({"model": "m", "input": "x", **asked}, response_id="resp_1", created_at=1_800_000_000)


def chunk(delta: JsonObject | None = None, *, finish: str | None = None, **fields: Any) -> bytes:
    choice = {"index": 0, "delta": delta or {}, "finish_reason": finish}
    named = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m-1", "choices": [choice]}
    return b"data: " + orjson.dumps({**named, **fields}) + b"\n\n"


def usage() -> bytes:
    return chunk(choices=[], usage=USAGE)


def call_delta(index: int, **function: str) -> JsonObject:
    named = {"id": f"call_{index}", "type": "function"} if "name" in function else {}
    return {"tool_calls": [{"index": index, **named, "function": function}]}


def tell(*frames: bytes, logprobs: bool = False, **asked: Any) -> list[JsonObject]:
    stream = ServedStream(begun(**asked), logprobs=logprobs)
    return read(b"".join(map(stream.feed, frames)) + stream.close())


def whole_answer(body: bytes, opening: JsonObject, *, logprobs: bool) -> JsonObject:
    return ServedStream(opening, logprobs=logprobs).whole(body)


def named_events(told: bytes) -> Iterator[JsonObject]:
    """Each has the name of its type; comments are passed over."""
    for block in told.split(b"\n\n"):
        if block and not block.startswith(b":"):
            name, data = block.split(b"\n")
            event = orjson.loads(data.removeprefix(b"data: "))
            assert name == b"event: " + event["type"].encode()
            yield event


def read(told: bytes) -> list[JsonObject]:
    """The events, of which each is one of OpenAI's, has its name, and follows the one before it."""
    events = []
    for event in named_events(told):
        assert event["sequence_number"] == len(events)
        EVENT.validate_python(event)
        if "response" in event:
            Response.model_validate(event["response"])
        events.append(event)
    return events


def kinds(events: list[JsonObject]) -> list[str]:
    return [event["type"].removeprefix("response.") for event in events]
