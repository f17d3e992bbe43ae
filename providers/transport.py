"""The seam between the gateway and any HTTP client: open a request, get status and headers, read chunks, close.

Nothing of an HTTP library shows through it. Foreign exceptions become `providers.errors` here and nowhere else:

* `ConnectFailed` (DNS, TCP, TLS, reset before the answer; `stale=True` when a kept-alive connection was already dead),
* `UpstreamTimeout` with its phase (`connect`, `pool`, `first_token`, `idle`),
* `StreamTruncated` when the body ends before its framing says so,
* `BadAnswer` when the answer is not HTTP, or larger than the limits.

Whoever opens a response closes it: `close()` is synchronous and idempotent. Closing an answer that was read to its end
returns the connection to the pool; closing it earlier closes the socket at once, which is how a cancelled call stops
the upstream within milliseconds.
"""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

from providers.values import positional_value


@dataclass(frozen=True, slots=True, kw_only=True)
class Endpoint:
    """Where a provider lives and how to connect to it: one connection pool for each distinct value.

    `max_connections` bounds sockets, not calls (calls are bounded by routing, below it). `allow_private` admits
    loopback and private ranges; link-local and metadata addresses are refused always. `proxy` is
    `http://[user:password@]host:port`. `ca_file` replaces the system's certificate authorities.
    """

    scheme: str
    host: str
    port: int
    connect_timeout_s: float = 3.0
    pool_timeout_s: float = 1.0
    keepalive_s: float = 30.0
    max_connections: int = 256
    allow_private: bool = True
    private_networks: tuple[str, ...] = ()
    """Private ranges admitted although `allow_private` is off."""
    proxy: str | None = field(default=None, repr=False)
    ca_file: str | None = None

    @property
    def authority(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == {"http": 80, "https": 443}[self.scheme] else f"{host}:{self.port}"


@positional_value
class UpstreamRequest:
    """`path` starts with `/` and may hold a query. `headers` are complete but for host and content-length."""

    path: str
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    method: str = "POST"

    def __repr__(self) -> str:
        """Without headers and body, which hold secrets and prompts."""
        return f"UpstreamRequest({self.method} {self.path})"


Consumer = Callable[[bytes], bool]
"""Takes a piece of a body; False when it wants no more for now."""


class UpstreamResponse(Protocol):
    """An answer whose headers have arrived. Header names are lower case; of repeated headers the last one wins."""

    status: int
    headers: Mapping[str, str]

    async def chunk(self, timeout_s: float) -> bytes:
        """The next piece of the body as it arrives, never empty, or `b""` at its end. One caller at a time; a cancelled
        call loses nothing and may be repeated, a failed one has closed the connection."""

    async def forward(self, consumer: Consumer, timeout_s: float) -> bool:
        """Gives `consumer` each further piece as soon as it has arrived, without waking this task where the client can.
        True when the consumer wants no more for now, False at the body's end. Otherwise like `chunk`, the silence that
        may last `timeout_s` being counted from piece to piece; what a consumer raises is raised here."""

    async def read(self, *, limit: int, timeout_s: float) -> bytes:
        """The whole rest of the body, in `timeout_s` altogether; `BadAnswer` when it is longer than `limit` bytes."""

    def close(self) -> None: ...


class Transport(Protocol):
    async def send(self, endpoint: Endpoint, request: UpstreamRequest, *, timeout_s: float) -> UpstreamResponse:
        """Sends the request and waits at most `timeout_s` for the headers of the final (not 1xx) answer."""

    async def aclose(self) -> None:
        """Closes every connection; calls still running fail."""


async def forward_chunks(chunk: Callable[[float], Awaitable[bytes]], consumer: Consumer, timeout_s: float) -> bool:
    """`UpstreamResponse.forward` for bodies that come piece by piece."""
    while data := await chunk(timeout_s):
        if not consumer(data):
            return True
    return False
