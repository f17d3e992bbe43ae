"""Tells an event stream from a body that is none: some servers answer 200 with a JSON error where a stream was asked.

The content type is not relied upon, since both mistakes are made: an event stream begins with a field name, a comment
or a byte order mark, never with `{`, `[` or `<`. Pure.
"""

import orjson

from providers.dialects.sse import MAX_EVENT_BYTES
from providers.dialects.upstream_errors import error_of_object
from providers.errors import BadAnswer, StreamTruncated, UpstreamError


class PlainBodyGuard:
    """Looks at the first bytes; when they begin no event stream, keeps the body for its error."""

    __slots__ = ("_body", "settled")

    def __init__(self) -> None:
        self.settled = False
        """True once it is clear that this is an event stream: the guard need not be asked again."""
        self._body = bytearray()

    def take(self, data: bytes) -> bool:
        """True when `data` belongs to a plain body and is no part of a stream."""
        if self._body:
            self._body += data
            return True
        first = data.lstrip()[:1]
        if first in (b"{", b"[", b"<"):
            self._body += data
            return True
        self.settled = bool(first)
        return False

    def error(self, *, complete: bool) -> UpstreamError | None:
        """The error the body stands for, as soon as it can be told; at the end of the body (`complete`) always."""
        if not self._body:
            return None
        if self._body.lstrip()[:1] == b"<":
            return BadAnswer("The provider answered with an HTML page instead of a stream.")
        try:
            value = orjson.loads(self._body)
        except orjson.JSONDecodeError:
            if len(self._body) > MAX_EVENT_BYTES:
                return BadAnswer("The provider answered with a large body instead of a stream.")
            return StreamTruncated("The provider answered with something else than a stream.") if complete else None
        if isinstance(value, list):
            value = next((item for item in value if isinstance(item, dict)), None)
        if isinstance(value, dict) and "choices" not in value:
            return error_of_object(value)
        return BadAnswer("The provider answered with JSON instead of a stream.")
