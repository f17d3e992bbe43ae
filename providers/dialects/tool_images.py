"""Images and files that tools returned, for servers that take them from users only. Pure.

Anthropic's API, OpenRouter's and OpenAI's Responses have them in a tool's result; a chat of OpenAI's refuses them there, or the
model does not see them, and others have only texts there. So they follow the results of the turn, which have to stay
together, in a message of the user.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from providers.types import ImagePart, JsonObject, Message, TextPart

WORD = "What was returned is in the next message of the user."
FOLLOWS: JsonObject = {"type": "text", "text": WORD}
MEDIA = frozenset({"image_url", "file", "input_audio"})
SHOWN: JsonObject = {"type": "text", "text": "Returned by the tools:"}


def shown_by_user(messages: list[Any]) -> list[Any]:
    written: list[Any] = []
    media: list[JsonObject] = []
    for message in messages:
        is_result = type(message) is dict and message.get("role") == "tool"
        if media and not is_result:
            written.append(_said_by_user(media))
            media = []
        found = _media(message) if is_result else []
        media += found
        written.append(_without(message) if found else message)
    return [*written, _said_by_user(media)] if media else written


def placed(messages: Sequence[Message]) -> list[tuple[int, Message]]:
    """The same for the images of messages that were read, each with its place among the client's: the user's has that of the
    last result."""
    written: list[tuple[int, Message]] = []
    images: list[ImagePart] = []
    for place, message in enumerate(messages):
        if images and message.role != "tool":
            written.append((place - 1, _of_user(images)))
            images = []
        found = [part for part in message.parts if isinstance(part, ImagePart)] if message.role == "tool" else []
        images += found
        written.append((place, _with_word(message) if found else message))
    return [*written, (len(messages) - 1, _of_user(images))] if images else written


def _of_user(images: Sequence[ImagePart]) -> Message:
    return Message(role="user", parts=(TextPart(text=SHOWN["text"]), *images))


def _with_word(result: Message) -> Message:
    """Of texts one, which is what every server takes of a tool."""
    rest = [part for part in result.parts if not isinstance(part, ImagePart)]
    texts = [part.text for part in rest if isinstance(part, TextPart)]
    if len(texts) < len(rest):
        return replace(result, parts=(*rest, TextPart(text=WORD)))
    return replace(result, parts=(TextPart(text="\n".join([*texts, WORD])),))


def _said_by_user(media: list[JsonObject]) -> JsonObject:
    return {"role": "user", "content": [SHOWN, *media]}


def _media(result: JsonObject) -> list[JsonObject]:
    content = result.get("content")
    return [part for part in content if _is_medium(part)] if type(content) is list else []


def _without(result: JsonObject) -> JsonObject:
    parts = [*(part for part in result["content"] if not _is_medium(part)), FOLLOWS]
    # Of plain texts one: some servers, and templates of open models, take nothing else of a tool.
    is_plain = all(type(part) is dict and part.keys() == FOLLOWS.keys() and part["type"] == "text" for part in parts)
    return {**result, "content": "\n".join([str(part["text"]) for part in parts]) if is_plain else parts}


def _is_medium(part: Any) -> bool:
    return type(part) is dict and part.get("type") in MEDIA
