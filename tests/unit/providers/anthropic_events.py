"""Anthropic's events as its tests write them; `decode` runs them whole and under every byte split."""

import json

from providers.dialects.anthropic_messages import StreamDecoder
from providers.types import (
    Finish,
    StreamEnd,
    StreamFailed,
    StreamStart,
    Usage,
    UsageReport,
)

USAGE = {"input_tokens": 25, "cache_creation_input_tokens": 3, "cache_read_input_tokens": 7, "output_tokens": 1}
START = {"type": "message_start", "message": {"id": "msg_1", "model": "claude-x", "content": [], "usage": USAGE}}
STOP = {"type": "message_stop"}
PROMPT = Usage(input_tokens=35, cached_tokens=7, cache_write_tokens=3)
STARTED = [StreamStart("msg_1", "claude-x"), UsageReport(PROMPT)]


def ended(reason="end_turn", output=9, **delta):
    return {
        "type": "message_delta",
        "delta": {"stop_reason": reason, "stop_sequence": None, **delta},
        "usage": {"output_tokens": output},
    }


def finished(reason="stop", output=9):
    usage = Usage(input_tokens=35, output_tokens=output, cached_tokens=7, cache_write_tokens=3)
    return [UsageReport(usage), Finish(reason), StreamEnd()]


def opened(block, index=0):
    return {"type": "content_block_start", "index": index, "content_block": block}


def delta(kind, index=0, **fields):
    return {"type": "content_block_delta", "index": index, "delta": {"type": kind, **fields}}


def text(value, index=0):
    return delta("text_delta", index, text=value)


def arguments(value, index=0):
    return delta("input_json_delta", index, partial_json=value)


def closed(index=0):
    return {"type": "content_block_stop", "index": index}


def tool(identifier="toolu_1", index=0, name="lookup", **fields):
    return opened({"type": "tool_use", "id": identifier, "name": name, "input": {}, **fields}, index)


TEXT = {"type": "text", "text": ""}


def wire(*events):
    return b"".join(
        event
        if isinstance(event, bytes)
        else f"event: {event['type']}\ndata: {json.dumps(event, ensure_ascii=False)}\n\n".encode()
        for event in events
    )


def run(pieces, **options):
    decoder = StreamDecoder(**options)
    events = [event for piece in pieces for event in decoder.feed(piece)]
    return events + decoder.close()


def comparable(events):
    return [(type(event.error), str(event.error)) if isinstance(event, StreamFailed) else event for event in events]


def decode(*events, **options):
    """The events of the whole stream, after checking that no split changes them."""
    data = wire(*events)
    whole = run([data], **options)
    assert comparable(run([data[i : i + 1] for i in range(len(data))], **options)) == comparable(whole)
    for position in range(1, len(data)):
        assert comparable(run([data[:position], data[position:]], **options)) == comparable(whole)
    return whole


def failure(events):
    assert isinstance(events[-1], StreamFailed)
    assert sum(isinstance(event, StreamFailed | StreamEnd) for event in events) == 1
    return events[-1].error
