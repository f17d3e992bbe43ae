"""Images that tools returned, for servers that take images from users only. Pure.

Anthropic's API and OpenAI's Responses have them in a tool's result; a chat of OpenAI's refuses them there, or the model does
not see them. So they follow the results of the turn, which have to stay together, in a message of the user.
"""

from typing import Any

from providers.types import JsonObject

FOLLOWS: JsonObject = {"type": "text", "text": "The image is in the next message of the user."}
SHOWN: JsonObject = {"type": "text", "text": "Returned by the tools:"}


def shown_by_user(messages: list[Any]) -> list[Any]:
    written: list[Any] = []
    images: list[JsonObject] = []
    for message in messages:
        is_result = type(message) is dict and message.get("role") == "tool"
        if images and not is_result:
            written.append(_said_by_user(images))
            images = []
        found = _images(message) if is_result else []
        images += found
        written.append(_without(message) if found else message)
    return [*written, _said_by_user(images)] if images else written


def _said_by_user(images: list[JsonObject]) -> JsonObject:
    return {"role": "user", "content": [SHOWN, *images]}


def _images(result: JsonObject) -> list[JsonObject]:
    content = result.get("content")
    return [part for part in content if _is_image(part)] if type(content) is list else []


def _without(result: JsonObject) -> JsonObject:
    return {**result, "content": [*(part for part in result["content"] if not _is_image(part)), FOLLOWS]}


def _is_image(part: Any) -> bool:
    return type(part) is dict and part.get("type") == "image_url"
