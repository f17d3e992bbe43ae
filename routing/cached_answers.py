"""Answers as they are kept: as they came, turned into the other form when somebody wants that. Pure."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.dialects.openai_chat.usage import write_usage
from providers.types import JsonObject, Usage
from routing.replay import DONE, as_frames, assemble, events, usage_frame

LARGEST_BYTES = 1024 * 1024
"""Larger answers are not kept."""
COMPLETE = frozenset({"stop", "length", "tool_calls", "function_call"})
"""Finish reasons of answers that are whole. What a filter cut off, or nobody finished, is not."""

_FILTERED = b'"content_filter"'
"""However the upstream writes its JSON; in a text its quotes would be escaped. `finish` tells of one choice only."""


@dataclass(slots=True, kw_only=True, eq=False)
class CachedAnswer:
    """`data` is a JSON answer, the frames of a stream (without usage, comments and end mark), or the value of one
    vector. `tenant` is whose it is; it is compared once more before it is given out."""

    tenant: str
    data: bytes = field(repr=False)
    streamed: bool = False
    chat: bool = True
    usage: JsonObject | None = None
    _body: bytes | None = field(default=None, repr=False)
    _frames: bytes | None = field(default=None, repr=False)

    @property
    def size(self) -> int:
        """Bytes it takes in memory with both forms."""
        return 2 * len(self.data) + 500

    def body(self) -> bytes:
        if not self.streamed:
            return self.data
        if self._body is None:
            answer = assemble(self.data, chat=self.chat)
            self._body = orjson.dumps({**answer, "usage": self.usage} if self.usage is not None else answer)
        return self._body

    def frames(self, *, include_usage: bool) -> bytes:
        """The whole stream, end mark included."""
        if self._frames is None:
            self._frames = self.data if self.streamed else as_frames(orjson.loads(self.data), chat=self.chat)
        if not include_usage or self.usage is None:
            return self._frames + DONE
        return self._frames + usage_frame(next(events(self._frames), {}), self.usage) + DONE

    def encode(self) -> bytes:
        head = {"tenant": self.tenant, "streamed": self.streamed, "chat": self.chat, "usage": self.usage}
        return orjson.dumps(head) + b"\n" + self.data

    @classmethod
    def decode(cls, stored: bytes) -> "CachedAnswer | None":
        """None for what this version cannot read."""
        head, _, data = stored.partition(b"\n")
        try:
            fields = orjson.loads(head)
            return cls(
                tenant=fields["tenant"],
                data=data,
                streamed=fields["streamed"],
                chat=fields["chat"],
                usage=fields["usage"],
            )
        except (orjson.JSONDecodeError, KeyError, TypeError):
            return None


def of_body(body: bytes, *, tenant: str, chat: bool) -> CachedAnswer | None:
    """None when the answer is not one to keep: an error, cut off, too large, or of an unknown shape."""
    if len(body) > LARGEST_BYTES:
        return None
    try:
        answer = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    choices = answer.get("choices") if isinstance(answer, dict) else None
    if not isinstance(choices, list) or not choices or not all(_is_complete(choice, chat) for choice in choices):
        return None
    usage = answer.get("usage")
    return CachedAnswer(tenant=tenant, data=body, chat=chat, usage=usage if isinstance(usage, dict) else None)


def _is_complete(choice: Any, chat: bool) -> bool:
    if not isinstance(choice, dict) or choice.get("finish_reason") not in COMPLETE:
        return False
    return isinstance(choice.get("message"), dict) if chat else isinstance(choice.get("text"), str)


def of_stream(frames: bytes, *, tenant: str, chat: bool, finish: str | None, usage: Usage) -> CachedAnswer | None:
    """`frames` as a client got them, to the end mark; `usage` what the call was settled with."""
    if len(frames) > LARGEST_BYTES or finish not in COMPLETE or _FILTERED in frames or not frames.endswith(DONE):
        return None
    told = frames[: -len(DONE)]
    if told.startswith(b":") or b"\n:" in told:
        told = b"".join(block + b"\n\n" for block in told.split(b"\n\n") if block and not block.startswith(b":"))
    counted: JsonObject = write_usage(usage)
    last = told.rfind(b"data: ", 0, len(told) - 1)
    if last < 0:
        return None
    event = orjson.loads(told[last + 6 :])
    if not event.get("choices") and event.get("usage"):
        counted, told = event["usage"], told[:last]
    return CachedAnswer(tenant=tenant, data=told, streamed=True, chat=chat, usage=counted)
