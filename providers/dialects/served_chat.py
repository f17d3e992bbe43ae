"""What the fronts of a chat, whatever their dialect, have in common. Pure.

On the way in: fields of chat completions are refused under the front's names, and complaints of a chat have them. On the way
out: a chat's frames are read event by event, and a whole answer is looked at.
"""

import abc
import re
from collections.abc import Mapping
from typing import Any

import orjson

from providers.dialects.openai_chat import StreamDecoder
from providers.dialects.sse import BlockSplitter, too_large
from providers.dialects.upstream_errors import error_of_object
from providers.errors import BadAnswer, ClientFault
from providers.types import JsonObject, StreamEvent

BLOCK_END = b"\n\n"
SEVERAL = ("n", "n_cmpl")
"""How a chat is asked for several answers."""
_HEAD = re.compile(r"\w+")


def refuse_fields_of_chats(body: JsonObject, moved: Mapping[str, str], *, api: str, answer: str) -> None:
    """`moved`: what chat completions call a field, and where it is here; `answer`: what there is one of. Raises
    `ClientFault`."""
    for name, now in moved.items():
        if body.get(name) is not None:
            message = f"Unsupported parameter: '{name}'. In the {api} API it is '{now}'."
            raise ClientFault(message, param=name, code="unsupported_parameter")
    for name in SEVERAL:
        if body.get(name) not in (None, 1):
            message = f"'{name}' is not supported: {answer}."
            raise ClientFault(message, param=name, code="unsupported_parameter")


def renamed(param: str | None, names: Mapping[str, str]) -> str | None:
    """What the client calls the field that somebody complained of who saw the chat completion."""
    head = _HEAD.match(param or "")
    return names.get(head.group(), param) if head is not None else param


class ServedChat(abc.ABC):
    """One per call: frames of a chat as the gateway writes them, cut anywhere, to frames of the front's stream; or a whole
    answer. Comments keep connections alive and pass."""

    def __init__(self) -> None:
        self._blocks = BlockSplitter()
        self._chat = StreamDecoder()

    def feed(self, frames: bytes) -> bytes:
        told = b"".join([self._block(block) for block in self._blocks.feed(frames)])
        return told + self.fail(too_large()) if self._blocks.overflowed else told

    def close(self) -> bytes:
        return self._write(self._chat.close())

    @abc.abstractmethod
    def fail(self, error: Any, request_id: str = "") -> bytes:
        """`error` has a status, a code, a message and a param. Nothing follows it."""

    @abc.abstractmethod
    def whole(self, body: bytes) -> JsonObject:
        """The front's object for a complete chat answer. Raises an `UpstreamError` when that is none."""

    @abc.abstractmethod
    def _write(self, events: list[StreamEvent]) -> bytes: ...

    def _block(self, block: bytes) -> bytes:
        return block + BLOCK_END if block.startswith(b":") else self._write(self._chat.feed(block + BLOCK_END))


def frame(event: JsonObject) -> bytes:
    """Of a stream whose events have the name of their type."""
    return b"event: %b\ndata: %b\n\n" % (event["type"].encode(), orjson.dumps(event))


def whole_chat(body: bytes) -> JsonObject:
    """A complete chat answer, with a choice at least, and its message. Raises an `UpstreamError` for what is no answer."""
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's answer is not JSON.") from None
    match answer:
        case {"choices": [{"message": dict()}, *_]}:
            return dict(answer)
        case {"error": error} if error:
            raise error_of_object(answer)
    raise BadAnswer("The provider's answer has no choices.")


def around(answer: JsonObject) -> JsonObject:
    """What a whole answer says beside its choices and its usage, as each of a stream's chunks does."""
    return {name: value for name, value in answer.items() if name not in ("object", "choices", "usage")}
