"""The bytes of a request head. Pure.

Calls to one deployment repeat their headers, often as the very same tuple, so heads are remembered by identity: a hit
costs one dictionary look-up, a miss costs a few microseconds.
"""

import re
from typing import Final, TypeAlias

from providers.errors import ConnectFailed
from providers.transport import UpstreamRequest

REMEMBERED: Final = 256
Known: TypeAlias = tuple[tuple[tuple[str, str], ...], str, str, bytes]
"""Headers, path, method, and the head that they come to."""

_HEAD = re.compile(
    r"[A-Z]+ [\x21-\x7e]+ HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)+"
)


class RequestHeads:
    """Heads for one endpoint. `prefix` stands before the path: `http://host` for plain requests through a proxy."""

    def __init__(self, *, authority: str, prefix: str = "", extra: tuple[tuple[str, str], ...] = ()) -> None:
        self._authority, self._prefix, self._extra = authority, prefix, extra
        self._known: dict[int, Known] = {}

    def head(self, request: UpstreamRequest) -> bytes:
        """The whole head, with content-length and the empty line; `ConnectFailed` when it cannot be written safely."""
        headers = request.headers
        known = self._known.get(id(headers))
        if known is None or known[0] is not headers or known[1] != request.path or known[2] != request.method:
            known = self._remember(request)
        if request.body or request.method == "POST":
            return b"%bcontent-length: %d\r\n\r\n" % (known[3], len(request.body))
        return known[3] + b"\r\n"

    def _remember(self, request: UpstreamRequest) -> Known:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        entry = (request.headers, request.path, request.method, self._encode(request))
        self._known[id(request.headers)] = entry
        return entry

    def _encode(self, request: UpstreamRequest) -> bytes:
        headers = [*request.headers, *self._extra]
        if not any(name.lower() == "accept-encoding" for name, _ in headers):
            headers.append(("accept-encoding", "identity"))
        fields = "".join([f"{name}: {value}\r\n" for name, value in headers])
        text = f"{request.method} {self._prefix}{request.path} HTTP/1.1\r\nhost: {self._authority}\r\n{fields}"
        # As many lines as there should be: a value with a line break in it would read as one more header.
        if text.count("\n") != len(headers) + 2 or not _HEAD.fullmatch(text):
            raise ConnectFailed("The request has a path or header that HTTP cannot carry.")
        try:
            return text.encode()
        except UnicodeEncodeError as error:
            raise ConnectFailed("The request has a header that HTTP cannot carry.") from error
