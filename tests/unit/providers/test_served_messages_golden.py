"""Anthropic's own answers, read by its adapter and told to its clients again: what they say stays what it is."""

import json
from pathlib import Path
from typing import Any

import orjson
import pytest

from providers.dialects.anthropic_messages import StreamDecoder, decode_answer
from providers.dialects.openai_chat import StreamEncoder, encode_answer
from providers.dialects.served_messages import ServedMessage
from providers.types import JsonObject, StreamFailed
from tests.unit.providers.message_frames import read, summed

CASES = Path(__file__).parents[2] / "golden" / "anthropic_messages"
ODD = {
    "stream_repeated_and_unnumbered", "stream_out_of_order", "stream_unknown_events", "stream_framing",
    "stream_arguments_cut_by_the_limit",
}  # fmt: skip
"""Streams that cannot be added up by the simple rules of Anthropic's own clients."""
IN_PLACE = pytest.mark.parametrize("in_place", [False, True])
EMPTY = {"type": "text", "text": ""}
COUNTS = ("input_tokens", "cache_creation_input_tokens", "cache_read_input_tokens", "output_tokens")


def whole(message: JsonObject, *, in_place: bool) -> JsonObject:
    chat = encode_answer(decode_answer(message, in_place=in_place), created=1, model="m")
    return ServedMessage("msg_1", "m").whole(orjson.dumps(chat))


def streamed(body: bytes, *, in_place: bool) -> JsonObject | None:
    """None for a stream that breaks off."""
    decoder, encoder = StreamDecoder(in_place=in_place), StreamEncoder(model="m", created=1, include_usage=True)
    events = decoder.feed(body) + decoder.close()
    if any(isinstance(event, StreamFailed) for event in events):
        return None
    served = ServedMessage("msg_1", "m")
    told = served.feed(b"".join(map(encoder.encode, events))) + served.close()
    return summed(read(told)) if told.endswith(b"\n\n") and b"message_stop" in told else None


def said(message: JsonObject) -> JsonObject:
    """What of a message has to be the same: its text as one, and then what a chat has no place for."""
    blocks: list[Any] = message["content"]
    text = "".join(block["text"] for block in blocks if block["type"] == "text")
    known = ("thinking", "redacted_thinking", "tool_use")
    usage = message["usage"]
    return {
        "text": text,
        "blocks": [block for block in blocks if block["type"] in known],
        "others": [block for block in blocks if block["type"] not in (*known, "text")],
        "sources": [each["url"] for block in blocks for each in block.get("citations") or ()],
        "stop_reason": (message["stop_reason"], message.get("stop_sequence")),
        "usage": [usage.get(name, 0) for name in COUNTS],
        "searches": (usage.get("server_tool_use") or {}).get("web_search_requests", 0),
        "thought": usage.get("output_tokens_details", {"thinking_tokens": 0}),
    }


def same(told: JsonObject, own: JsonObject, *, in_place: bool) -> None:
    """`in_place`: whoever asked in this dialect gets the very blocks."""
    if in_place and own["stop_reason"] != "refusal":
        given, expected = ([block for block in map(plain, each["content"]) if block != EMPTY] for each in (told, own))
        assert given == expected
    expected, found = said(own), said(told)
    found["thought"] = found["thought"] or {"thinking_tokens": 0}
    if own["stop_reason"] == "refusal":
        # Why it refused is a text here.
        expected["text"] = found["text"]
    assert found == expected


ANSWERS = [path.parent.name for path in sorted(CASES.glob("*/answer.json")) if path.parent.name != "answer_is_an_error"]
STREAMS = [path.parent.name for path in sorted(CASES.glob("*/stream.txt")) if path.parent.name not in ODD]


def plain(block: JsonObject) -> JsonObject:
    """Citations that are none say nothing."""
    return {name: value for name, value in block.items() if name != "citations" or value}


@IN_PLACE
@pytest.mark.parametrize("case", ANSWERS)
def test_an_answer_stays_what_it_is(case: str, *, in_place: bool) -> None:
    own = json.loads((CASES / case / "answer.json").read_text())
    same(whole(own, in_place=in_place), own, in_place=in_place)


def events_of(body: bytes) -> list[JsonObject]:
    lines = body.replace(b"\r", b"\n").split(b"\n")
    events = [json.loads(line[5:]) for line in lines if line.startswith(b"data:") and line.strip() != b"data:"]
    known = ("message_", "content_block_")
    return [event for event in events if event["type"].startswith(known)]


@IN_PLACE
@pytest.mark.parametrize("case", STREAMS)
def test_a_stream_says_the_same(case: str, *, in_place: bool) -> None:
    body = (CASES / case / "stream.txt").read_bytes()
    told = streamed(body, in_place=in_place)
    if told is None:
        failed = json.loads((CASES / case / "outcome.json").read_text())["failure"]
        assert failed is not None
        return
    own: JsonObject = {}
    blocks: dict[int, JsonObject] = {}
    for event in events_of(body):
        match event:
            case {"type": "message_start", "message": message}:
                own = {**message}
            case {"type": "content_block_start", "index": index, "content_block": block}:
                blocks[index] = {**block, "said": ""}
            case {"type": "content_block_delta", "index": index, "delta": delta}:
                add(blocks[index], delta)
            case {"type": "message_delta", "delta": delta, "usage": usage}:
                own |= {**delta, "usage": {**own["usage"], **usage}}
    own["content"] = [whole_block(blocks[index]) for index in sorted(blocks)]
    same(told, own, in_place=in_place)


def add(block: JsonObject, delta: JsonObject) -> None:
    if delta["type"] == "citations_delta":
        block["citations"] = [*(block.get("citations") or ()), delta["citation"]]
    for name in ("text", "thinking", "signature"):
        if name in delta:
            block[name] = block.get(name, "") + delta[name]
    block["said"] += delta.get("partial_json", "")


def whole_block(block: JsonObject) -> JsonObject:
    arguments = block.pop("said")
    return {**block, "input": json.loads(arguments)} if arguments else block
