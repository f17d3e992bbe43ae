"""Bodies that come compressed although identity was asked for: inflated in bounded steps, or refused. Pure."""

import zlib
from collections.abc import Awaitable, Callable
from typing import Final

from providers.errors import BadAnswer, StreamTruncated

STEP_BYTES: Final = 256 * 1024
"""The most that one call of `feed` returns, whatever the ratio of the compression."""

INFLATED_LIMIT_BYTES: Final = 64 * 1024 * 1024
"""The most that one answer may inflate to."""

_NONE: Final = frozenset({"", "identity"})
_GZIP: Final = frozenset({"gzip", "x-gzip"})


class Inflater:
    """Incremental. Call `feed` with each piece, then with `b""` while `pending`; at the end call `finish`."""

    def __init__(self, encoding: str) -> None:
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | (16 if encoding in _GZIP else 0))
        self._frame_unknown = encoding not in _GZIP
        self._left = b""
        self._total = 0
        self._started = False

    @property
    def pending(self) -> bool:
        """Whether `feed(b"")` may return more."""
        return bool(self._left) and not self._frame_unknown

    def feed(self, data: bytes) -> bytes:
        data = self._left + data
        self._left = b""
        if not data:
            return b""
        self._started = True
        if self._frame_unknown and not self._frame_is_found(data):
            self._left = data
            return b""
        if self._decoder.eof:
            return self._after_the_end(data)
        inflated = self._inflate(data)
        self._left = self._decoder.unconsumed_tail or (self._decoder.unused_data if self._decoder.eof else b"")
        self._total += len(inflated)
        if self._total > INFLATED_LIMIT_BYTES:
            raise BadAnswer("The answer inflates to more than the limit.")
        return inflated

    def finish(self) -> None:
        if self._started and not self._decoder.eof:
            raise StreamTruncated("The compressed answer ended too early.")

    def _inflate(self, data: bytes) -> bytes:
        try:
            return self._decoder.decompress(data, STEP_BYTES)
        except zlib.error as error:
            raise BadAnswer(f"The answer's compression is broken: {error}.") from error

    def _frame_is_found(self, data: bytes) -> bool:
        """Some servers send `deflate` without the zlib frame that RFC 9110 8.4.1.2 asks for: its first two bytes tell
        (RFC 1950 2.2)."""
        if len(data) < 2:
            return False
        if data[0] & 0x0F != zlib.DEFLATED or (data[0] << 8 | data[1]) % 31:
            self._decoder = zlib.decompressobj(-zlib.MAX_WBITS)
        self._frame_unknown = False
        return True

    def _after_the_end(self, data: bytes) -> bytes:
        """gzip allows several members in a row (RFC 1952 2.2); anything else after the end is refused."""
        if not data.startswith(b"\x1f"):
            raise BadAnswer("Bytes follow the end of the compressed answer.")
        self._decoder = zlib.decompressobj(zlib.MAX_WBITS | 16)
        return self.feed(data)


def inflater(encoding: str) -> Inflater | None:
    """What the value of a Content-Encoding header needs: nothing, an inflater, or `BadAnswer` for the unknown."""
    name = encoding.strip().lower()
    if name in _NONE:
        return None
    if name in _GZIP or name == "deflate":
        return Inflater(name)
    raise BadAnswer(f"The answer is encoded as {encoding[:40]!r} although identity was asked for.")


async def next_inflated(decoder: Inflater, raw: Callable[[float], Awaitable[bytes]], timeout_s: float) -> bytes:
    """The next piece of an inflated body, `b""` at its end. `raw` gives the next piece as it is on the wire."""
    while True:
        if decoder.pending and (piece := decoder.feed(b"")):
            return piece
        data = await raw(timeout_s)
        if not data:
            decoder.finish()
            return b""
        if piece := decoder.feed(data):
            return piece
