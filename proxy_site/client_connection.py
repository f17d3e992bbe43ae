"""One request on a client connection, spoken to directly: what ASGI's messages say, without their cost.

An ASGI application can only `send` a response in two messages, each validated header by header, and learns that its
client left only by a task that waits in `receive`. The data plane finds this object in its scope
(`scope["extensions"]["llm_proxy.connection"]`, see `routing.endpoints.exchange.ClientConnection`) and uses it instead;
under any other server it is absent, and plain ASGI does.

It is bound to the request's own cycle, because with pipelined requests the protocol's current cycle is another one.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from accounts.header_lines import header_lines

if TYPE_CHECKING:
    from proxy_site.server import GatewayProtocol

CLOSE = b"connection: close\r\n\r\n"
KEEP = b"\r\n"


class RequestConnection:
    __slots__ = ("_cycle", "_protocol")

    def __init__(self, protocol: "GatewayProtocol", cycle: RequestResponseCycle) -> None:
        self._protocol = protocol
        self._cycle = cycle

    def watch(self, gone: Callable[[], None]) -> None:
        self._protocol.on_client_gone = gone
        if self._cycle.disconnected:
            # It left while its key was checked, when nobody was watching yet.
            gone()

    def unwatch(self) -> None:
        self._protocol.on_client_gone = None

    def complete_body(self) -> bytes | None:
        """The request's body if it has arrived whole, else None."""
        cycle = self._cycle
        return None if cycle.more_body or cycle.waiting_for_100_continue else bytes(cycle.body)

    async def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """A complete response; `headers` are encoded lines, each with its CRLF, content-length among them."""
        cycle = self._cycle
        if cycle.flow.write_paused:
            await cycle.flow.drain()
        if cycle.disconnected:
            return
        if cycle.scope["method"] == "HEAD":
            # Its body would be taken for the next answer.
            body = b""
        date = _lines(cycle.default_headers)
        cycle.transport.write(b"".join((STATUS_LINE[status], date, headers, self._ending(headers), body)))
        self._end()

    async def begin(self, headers: bytes) -> None:
        """Status 200 and the headers of a response whose length is not known."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.response_started = cycle.chunked_encoding = True
        date = _lines(cycle.default_headers)
        parts = (STATUS_LINE[200], date, headers, b"transfer-encoding: chunked\r\n", self._ending(headers))
        cycle.transport.write(b"".join(parts))

    async def write(self, data: bytes) -> None:
        """A piece of that response; waits while the client is slow to read."""
        cycle = self._cycle
        if cycle.flow.write_paused:
            await cycle.flow.drain()
        if not cycle.disconnected:
            cycle.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self, data: bytes) -> None:
        """The last piece, possibly empty."""
        cycle = self._cycle
        if cycle.disconnected:
            return
        cycle.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
        self._end()

    def _ending(self, headers: bytes) -> bytes:
        # `in` would first try it as a number, and take twice as long.
        if headers.find(b"\r\nconnection: close\r\n") >= 0:
            self._cycle.keep_alive = False
            return KEEP
        return KEEP if self._cycle.keep_alive else CLOSE

    def _end(self) -> None:
        cycle = self._cycle
        cycle.response_started = cycle.response_complete = True
        cycle.waiting_for_100_continue = False
        cycle.message_event.set()
        if not cycle.keep_alive:
            cycle.transport.close()
        cycle.on_response()


class _Second:
    """The server's own headers as they were written last: uvicorn makes a new list of them each second."""

    headers: list[tuple[bytes, bytes]] = []
    lines = b""


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    if headers is not _Second.headers:
        _Second.headers, _Second.lines = headers, header_lines(headers)
    return _Second.lines
