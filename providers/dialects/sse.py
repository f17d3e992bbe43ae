"""Server-sent events, read without I/O: bytes in any pieces → whole events. Pure.

Lines end in LF, CR or CRLF (a CRLF may be split over two reads); an event ends at a blank line. Bytes are cut only at
line ends, so a character split over reads stays whole. U+2028 and its kind are not line ends.
"""

from typing import NamedTuple

import orjson

from providers.errors import BadAnswer
from providers.types import JsonObject
from providers.values import quick_tuple

MAX_EVENT_BYTES = 1 << 20
"""A longer event is refused, so that an upstream cannot fill the memory."""

DONE = b"data: [DONE]\n\n"
"""The last frame of every OpenAI stream; whoever has to say something more puts it before this suffix."""

_BOM = b"\xef\xbb\xbf"


class SseEvent(NamedTuple):
    """`event` is empty when the event has no name. `data` is not decoded: a JSON parser checks its UTF-8."""

    event: str
    data: bytes


class BlockSplitter:
    """Cuts a byte stream at blank lines. Blocks come out with LF line ends and without their blank line."""

    __slots__ = ("_after_cr", "_most", "_pending", "_scanned", "overflowed")

    def __init__(self, most_bytes: int = MAX_EVENT_BYTES) -> None:
        self._most = most_bytes
        self._pending = bytearray()
        self._scanned = 0
        self._after_cr = False
        self.overflowed = False

    @property
    def idle(self) -> bool:
        """True when the last byte read was the end of an event."""
        return not self._pending and not self._after_cr

    def feed(self, data: bytes) -> list[bytes]:
        """The blocks completed by `data`. `overflowed` turns true at a block that is too long; later ones are lost."""
        if self.overflowed:
            return []
        # `in` would first try the bytes as a number, and take twice as long.
        if self._after_cr or data.find(b"\r") >= 0:
            data = self._unify_line_ends(data)
        if not self._pending and len(data) <= self._most and data.endswith(b"\n\n"):
            blocks = data[:-2].split(b"\n\n")
            return blocks if all(blocks) else [block for block in blocks if block]
        blocks = self._cut(data)
        for position, block in enumerate(blocks):
            if len(block) > self._most:
                self.overflowed = True
                return blocks[:position]
        self.overflowed = len(self._pending) > self._most
        return blocks

    def rest(self) -> bytes:
        """What was read of an event that has not ended."""
        return bytes(self._pending)

    def _unify_line_ends(self, data: bytes) -> bytes:
        if self._after_cr and data.startswith(b"\n"):
            data = data[1:]
            self._after_cr = False
        if data:
            self._after_cr = data.endswith(b"\r")
        return data.replace(b"\r\n", b"\n").replace(b"\r", b"\n")

    def _cut(self, data: bytes) -> list[bytes]:
        pending = self._pending
        if not pending:
            end = data.rfind(b"\n\n")
            whole, tail = (data[:end], data[end + 2 :]) if end >= 0 else (b"", data)
            pending += tail
        else:
            pending += data
            end = pending.rfind(b"\n\n", max(0, self._scanned - 1))
            whole = bytes(pending[:end]) if end >= 0 else b""
            if end >= 0:
                del pending[: end + 2]
        self._scanned = len(pending)
        return [block for block in whole.split(b"\n\n") if block] if whole else []


def parse_block(block: bytes) -> SseEvent | None:
    """One event from the lines of a block, or None when they carry no data (comments, a bare id or retry)."""
    if block.startswith(b"data: ") and b"\n" not in block:
        return SseEvent("", block[6:])
    name = b""
    data: list[bytes] = []
    for line in block.removeprefix(_BOM).split(b"\n"):
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            data.append(value)
        elif field == b"event":
            name = value
    return SseEvent(name.decode("utf-8", "replace"), b"\n".join(data)) if data else None


class SseDecoder:
    """Bytes → events. `BadAnswer` for an event above the size limit.

    Most events of a stream have the same name, so what stood before the data of the last one is looked for first.
    """

    __slots__ = ("_most", "_name", "_prefix", "_splitter")

    def __init__(self, most_bytes: int = MAX_EVENT_BYTES) -> None:
        self._most = most_bytes
        self._splitter = BlockSplitter(most_bytes)
        self._prefix, self._name = b"data: ", ""

    def feed(self, data: bytes) -> list[SseEvent]:
        events = []
        for block in self._splitter.feed(data):
            start = len(self._prefix)
            if block.startswith(self._prefix) and block.find(b"\n", start) < 0:
                events.append(quick_tuple(SseEvent, (self._name, block[start:])))
            elif (event := parse_block(block)) is not None:
                events.append(event)
                self._remember(block, event)
        if self._splitter.overflowed and not events:
            raise too_large(self._most)
        return events

    def _remember(self, block: bytes, event: SseEvent) -> None:
        line, _, data = block.partition(b"\ndata: ")
        if line.startswith(b"event: ") and line.find(b"\n") < 0 and data == event.data:
            self._prefix, self._name = line + b"\ndata: ", event.event

    def close(self) -> SseEvent | None:
        """The event that was cut off by the end of the body, if any: its data may be incomplete."""
        if self._splitter.overflowed:
            raise too_large(self._most)
        return parse_block(self._splitter.rest())


def too_large(most_bytes: int = MAX_EVENT_BYTES) -> BadAnswer:
    return BadAnswer(f"The provider sent a stream event of more than {most_bytes >> 20} MiB.")


def load_data(data: bytes) -> JsonObject:
    """The JSON object of an event; `BadAnswer` for anything else."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider sent a stream event that is not JSON.") from None
    if not isinstance(value, dict):
        raise BadAnswer("The provider sent a stream event that is not a JSON object.")
    return value
