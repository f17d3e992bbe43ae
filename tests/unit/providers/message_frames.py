"""Messages served to clients of Anthropic's, held against the official client's types."""

from typing import Any

import orjson
from anthropic.types import Message, RawMessageStreamEvent
from pydantic import TypeAdapter

from providers.dialects.served_messages import ServedMessage
from providers.types import JsonObject
from tests.unit.providers.served_frames import named_events

EVENT: TypeAdapter[Any] = TypeAdapter(RawMessageStreamEvent)


def tell(*frames: bytes) -> list[JsonObject]:
    stream = ServedMessage("msg_1", "asked-for")
    return read(b"".join(map(stream.feed, frames)) + stream.close())


def read(told: bytes) -> list[JsonObject]:
    """The events, of which each is one of Anthropic's and has its name."""
    events = []
    for event in named_events(told):
        if event["type"] != "error":
            EVENT.validate_python(event)
        events.append(event)
    return events


def kinds(events: list[JsonObject]) -> list[str]:
    return [event["type"].removeprefix("content_").removeprefix("message_") for event in events]


def summed(events: list[JsonObject]) -> JsonObject:
    """The message as a client adds it up, which begins, continues and ends each block before the next."""
    first, *rest = events
    assert first["type"] == "message_start"
    message: JsonObject = {**first["message"], "content": []}
    arguments: list[str] = []
    for event in rest:
        match event["type"]:
            case "content_block_start":
                assert event["index"] == len(message["content"])
                message["content"].append(dict(event["content_block"]))
                arguments = []
            case "content_block_delta":
                assert event["index"] == len(message["content"]) - 1
                _add(message["content"][-1], event["delta"], arguments)
            case "content_block_stop":
                assert event["index"] == len(message["content"]) - 1
                if "input" in message["content"][-1]:
                    message["content"][-1]["input"] = orjson.loads("".join(arguments) or "{}")
            case "message_delta":
                message |= {**event["delta"], "usage": event["usage"]}
    assert rest[-1]["type"] == "message_stop"
    Message.model_validate(message)
    return message


def _add(block: JsonObject, delta: JsonObject, arguments: list[str]) -> None:
    match delta["type"]:
        case "text_delta":
            block["text"] += delta["text"]
        case "thinking_delta":
            block["thinking"] += delta["thinking"]
        case "signature_delta":
            block["signature"] = delta["signature"]
        case "input_json_delta":
            arguments.append(delta["partial_json"])
        case "citations_delta":
            block.setdefault("citations", []).append(delta["citation"])
