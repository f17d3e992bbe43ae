"""What the Responses API's items hold, as both of the demo's dialects of it read them. Pure."""

from collections.abc import Iterable

from providers.types import JsonObject

SOURCE = {"url": "https://example.com/demo", "title": "DEMO source"}
"""Of what a web search finds."""

TOO_LONG = "Your input exceeds the context window of this model. Please adjust your input and try again."


def text_of(item: JsonObject) -> str:
    content = item.get("content") or item.get("output") or ""
    return content if isinstance(content, str) else "".join(part.get("text", "") for part in content)


def images_in(items: Iterable[JsonObject]) -> int:
    return sum(part["type"] == "input_image" for item in items for part in _parts(item))


def _parts(item: JsonObject) -> list[JsonObject]:
    content = item.get("content") or item.get("output")
    return content if isinstance(content, list) else []
