"""The bytes of a request head. Pure.

Calls to one deployment repeat their headers, often as the very same tuple, so heads are remembered by identity: a hit
costs one dictionary look-up, a miss costs a few microseconds.
"""

import re
from typing import Final

from providers.errors import ConnectFailed
from providers.transport import UpstreamRequest

REMEMBERED: Final = 256

_HEAD = re.compile(
    r"[A-Z]+ [\x21-\x7e]+ HTTP/1\.1\r\n(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+: [^\x00-\x08\x0a-\x1f\x7f]*\r\n)+"
)


class RequestHeads:
    """Heads for one endpoint. `prefix` stands before the path: `http://host` for plain requests through a proxy."""

    def __init__(self, *, authority: str, prefix: str = "", extra: tuple[tuple[str, str], ...] = ()) -> None:
        self._authority, self._prefix, self._extra = authority, prefix, extra
        self._known: dict[int, tuple[UpstreamRequest, tuple[tuple[str, str], ...], bytes]] = {}

    def head(self, request: UpstreamRequest) -> bytes:
        """The whole head, with content-length and the empty line; `ConnectFailed` when it cannot be written safely."""
        headers = request.headers
        known = self._known.get(id(headers))
        if known is None or known[1] is not headers or not _same_line(known[0], request):
            known = self._remember(request)
        if request.body or request.method == "POST":
            return b"%bcontent-length: %d\r\n\r\n" % (known[2], len(request.body))
        return known[2] + b"\r\n"

    def _remember(self, request: UpstreamRequest) -> tuple[UpstreamRequest, tuple[tuple[str, str], ...], bytes]:
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        line = UpstreamRequest(path=request.path, headers=request.headers, method=request.method)
        entry = self._known[id(request.headers)] = (line, request.headers, self._encode(request))
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


def _same_line(known: UpstreamRequest, request: UpstreamRequest) -> bool:
    return known.path == request.path and known.method == request.method
