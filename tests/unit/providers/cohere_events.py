"""Cohere's stream events for tests, and what a decoder makes of them."""

import orjson

from providers.dialects.cohere_chat import StreamDecoder
from providers.errors import UpstreamError
from providers.types import (
    Finish,
    JsonObject,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
)

START = {"type": "message-start", "id": "m1", "delta": {"message": {"role": "assistant"}}}
USAGE = {"billed_units": {"input_tokens": 5.0}, "tokens": {"input_tokens": 71.0, "output_tokens": 2.0}}
STARTED = StreamStart(id="m1", model="command-a")


def end(reason: str | None = "COMPLETE", **delta: object) -> JsonObject:
    return {"type": "message-end", "delta": {"finish_reason": reason, **delta}}


def content(text: str, index: int | None = 0, key: str = "text") -> JsonObject:
    event: JsonObject = {"type": "content-delta", "delta": {"message": {"content": {key: text}}}}
    return event if index is None else {**event, "index": index}


def tool(kind: str, index: int | None = None, **call: object) -> JsonObject:
    event: JsonObject = {"type": f"tool-call-{kind}", "delta": {"message": {"tool_calls": call}}}
    return event if index is None else {**event, "index": index}


def opened(index: int | None, call_id: str, name: str = "f", arguments: str = "") -> JsonObject:
    return tool("start", index, id=call_id, type="function", function={"name": name, "arguments": arguments})


def argument(text: str, index: int | None = None) -> JsonObject:
    return tool("delta", index, function={"arguments": text})


def closed(index: int) -> JsonObject:
    return {"type": "tool-call-end", "index": index}


def sse(*events: JsonObject) -> bytes:
    return b"".join(b"event: %s\ndata: %s\n\n" % (str(e.get("type")).encode(), orjson.dumps(e)) for e in events)


def read(data: bytes, *, size: int | None = None, close: bool = True) -> list[StreamEvent]:
    decoder = StreamDecoder(model="command-a")
    pieces = [data] if size is None else [data[i : i + size] for i in range(0, len(data), size)]
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close() if close else events


def body_of(*events: JsonObject) -> list[StreamEvent]:
    """Everything between the start and the end of a stream that starts and ends well."""
    decoded = read(sse(START, *events, end()))
    assert decoded[0] == STARTED
    assert decoded[-1] == StreamEnd()
    return [event for event in decoded[1:-1] if not isinstance(event, Finish)]


def failure_of(events: list[StreamEvent]) -> UpstreamError:
    assert isinstance(events[-1], StreamFailed)
    assert isinstance(events[-1].error, UpstreamError)
    return events[-1].error
