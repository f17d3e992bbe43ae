"""The events of a Responses stream, in the order that the service's own client insists on. Pure."""

from collections.abc import Callable, Iterator, Mapping
from typing import TypeAlias

from providers.demo import tokens
from providers.types import JsonObject

ItemEvents: TypeAlias = Callable[[JsonObject, JsonObject], Iterator[JsonObject]]
"""From an item, and the fields that say where it is, to its events but the last, which is `output_item.done`."""


def events_of(response: JsonObject, items: Mapping[str, ItemEvents]) -> Iterator[JsonObject]:
    """`items` has the events of each type of output item."""
    opening = {**response, "status": "in_progress", "incomplete_details": None, "output": [], "usage": None}
    for number, event in enumerate(_events(response, opening, items)):
        yield {**event, "sequence_number": number}


def _events(response: JsonObject, opening: JsonObject, items: Mapping[str, ItemEvents]) -> Iterator[JsonObject]:
    yield {"type": "response.created", "response": opening}
    yield {"type": "response.in_progress", "response": opening}
    for index, item in enumerate(response["output"]):
        yield from items[item["type"]](item, {"item_id": item.get("id"), "output_index": index})
        yield {"type": "response.output_item.done", "output_index": index, "item": item}
    yield {"type": f"response.{response['status']}", "response": response}


def call_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    yield added({**item, "arguments": "", "status": "in_progress"}, where)
    for piece in tokens.pieces(item["arguments"]):
        yield {"type": "response.function_call_arguments.delta", **where, "delta": piece}
    done = {"name": item["name"], "arguments": item["arguments"]}
    yield {"type": "response.function_call_arguments.done", **where, **done}


def message_events(item: JsonObject, where: JsonObject) -> Iterator[JsonObject]:
    yield added({**item, "content": [], "status": "in_progress"}, where)
    place = {**where, "content_index": 0}
    part = item["content"][0]
    yield {
        "type": "response.content_part.added",
        **place,
        "part": {"type": "output_text", "text": "", "annotations": []},
    }
    for piece in tokens.pieces(part["text"]):
        yield {"type": "response.output_text.delta", **place, "delta": piece, "logprobs": []}
    yield {"type": "response.output_text.done", **place, "text": part["text"], "logprobs": []}
    yield {"type": "response.content_part.done", **place, "part": part}


def added(item: JsonObject, where: JsonObject) -> JsonObject:
    return {"type": "response.output_item.added", "output_index": where["output_index"], "item": item}
