"""Upstream bytes of the Responses API for tests, and what a decoder makes of them."""

import json

from providers.dialects.openai_responses.stream import StreamDecoder
from providers.types import ReasoningDelta, RefusalDelta, TextDelta, ToolCallDelta


def frame(kind, **fields):
    body = json.dumps({"type": kind, **fields}, ensure_ascii=False)
    return f"event: {kind}\ndata: {body}\n\n".encode()


def numbered(*frames):
    """The same frames with the sequence numbers that the service gives them."""
    return b"".join(
        data.replace(b'data: {"type"', b'data: {"sequence_number": %d, "type"' % number, 1)
        for number, data in enumerate(frames)
    )


def created(**fields):
    response = {"id": "resp_1", "model": "m-1", "created_at": 1790000000, "status": "in_progress", "output": []}
    return frame("response.created", response={**response, **fields})


def completed(output=(), kind="response.completed", **fields):
    status = kind.removeprefix("response.")
    response = {"id": "resp_1", "model": "m-1", "created_at": 1790000000, "status": status, "output": list(output)}
    return frame(kind, response={**response, **fields})


def delta(text, kind="output_text", **fields):
    place = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
    return frame(f"response.{kind}.delta", **{**place, **fields}, delta=text)


def message(text, **fields):
    part = {"type": "output_text", "text": text, "annotations": [], **fields}
    return {"type": "message", "id": "msg_1", "role": "assistant", "status": "completed", "content": [part]}


def call(call_id="call_1", item_id="fc_1", name="f", arguments=""):
    return {"type": "function_call", "id": item_id, "call_id": call_id, "name": name, "arguments": arguments}


USAGE = {
    "input_tokens": 9,
    "input_tokens_details": {"cached_tokens": 4},
    "output_tokens": 5,
    "output_tokens_details": {"reasoning_tokens": 2},
    "total_tokens": 14,
}


def decode(data):
    decoder = StreamDecoder()
    return [*decoder.feed(data), *decoder.close()]


def decode_in_pieces(data, cut):
    decoder = StreamDecoder()
    return [*decoder.feed(data[:cut]), *decoder.feed(data[cut:]), *decoder.close()]


def decode_bytewise(data):
    decoder = StreamDecoder()
    events = [event for place in range(len(data)) for event in decoder.feed(data[place : place + 1])]
    return [*events, *decoder.close()]


def text_of(events):
    return "".join(event.text for event in events if isinstance(event, TextDelta))


def reasoning_of(events):
    return "".join(event.text for event in events if isinstance(event, ReasoningDelta))


def refusal_of(events):
    return "".join(event.text for event in events if isinstance(event, RefusalDelta))


def arguments_of(events):
    found = {}
    for event in events:
        if isinstance(event, ToolCallDelta):
            found[event.index] = found.get(event.index, "") + event.arguments
    return found


PLACE = {"item_id": "msg_1", "output_index": 0, "content_index": 0}
ARGUMENTS = "function_call_arguments"


def added(item, index=0):
    return frame("response.output_item.added", output_index=index, item=item)


def done(item, index=0):
    return frame("response.output_item.done", output_index=index, item=item)
