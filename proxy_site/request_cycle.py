"""One request on a client's connection and its response: uvicorn's cycle, without what most requests never use.

ASGI stays as it is for those who speak it. The data plane finds the request's own cycle in its scope
(`scope["extensions"]["llm_proxy.connection"]`, see `routing.endpoints.exchange.ClientConnection`) and uses that: an ASGI
response is two messages, each validated header by header.
"""

import asyncio
import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import orjson
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, RequestResponseCycle

from accounts.header_lines import header_lines
from proxy_site.lingering import Lingering
from proxy_site.repeated_head import Answer, RepeatedHead
from routing.endpoints.exchange import new_request_id
from routing.errors import InternalError, RequestError, error_body

if TYPE_CHECKING:
    from proxy_site.client_connection import GatewayProtocol

CLOSE = b"connection: close\r\n\r\n"
KEEP = b"\r\n"
CHUNKED = b"transfer-encoding: chunked\r\n"
HEAD = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"
FAILED = orjson.dumps(error_body(InternalError("The gateway failed to process this request.")))


def refusal(error: RequestError, default_headers: list[tuple[bytes, bytes]]) -> bytes:
    """The whole answer to what is no request, after which its connection is closed."""
    body = orjson.dumps(error_body(error))
    request_id = b"x-request-id: %b\r\n\r\n" % new_request_id().encode()
    return b"".join((STATUS_LINE[error.status], header_lines(default_headers), HEAD % len(body), request_id, body))


class RequestCycle(RequestResponseCycle):
    """One request and its response. With pipelined requests the protocol's current cycle may be another one."""

    body: bytes | bytearray  # type: ignore[assignment]

    def __init__(self, protocol: "GatewayProtocol", scope: Any, keep_alive: bool) -> None:
        # What uvicorn's takes as eleven keywords, it reads from the protocol; and it makes no event before somebody waits.
        # Everything is set here: what is read of the class, or was set later than in others, costs ten times as much.
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.keep_alive = keep_alive
        self.access_log = self.disconnected = self.waiting_for_100_continue = False
        self.body, self.more_body = b"", True
        self.response_started = self.response_complete = False
        self.chunked_encoding = None
        self.expected_content_length = 0
        self.waiting: asyncio.Event | None = None
        self.head: RepeatedHead | None = None
        self._protocol = protocol
        self._task: asyncio.Task[None] | None = None
        self._answer: Answer | None = None
        self._gone: Callable[[], None] | None = None

    @property
    def logger(self) -> logging.Logger:  # type: ignore[override]
        return self._protocol.logger

    @property
    def default_headers(self) -> list[tuple[bytes, bytes]]:  # type: ignore[override]
        return self._protocol.server_state.default_headers

    def repeated(self, head: RepeatedHead, body: bytes) -> None:
        """Begins as a request with a known head, which arrived whole."""
        self.body, self.more_body, self._answer = body, False, head.answer
        self.start()

    def start(self) -> None:
        self._protocol.answering = self
        # By itself the event loop would make up a name for each, which takes longer than all else about a task.
        task = self._task = asyncio.Task(self._run(), loop=self._protocol.loop, name="request")
        self._protocol.tasks.add(task)

    async def _run(self) -> None:
        try:
            if self._answer is None:
                await self._protocol.app(self.scope, self.receive, self.send)
            else:
                await self._answer(self, self.receive, self.send)
            if not self.response_complete and not self.disconnected:
                raise RuntimeError("the application ended before its response")
        except BaseException as error:
            self.logger.error("a request failed outside the application", exc_info=error)
            if self.response_started:
                self.transport.close()
            else:
                await self.respond(500, HEAD % len(FAILED), FAILED)
        finally:
            self._protocol.tasks.discard(self._task)
            # Circles, which would be left to the garbage collector.
            self._protocol = self._task = self.scope = self.head = None  # type: ignore[assignment]

    def leave(self) -> None:
        """Its client did."""
        if not self.response_complete:
            self.disconnected = True
            if self.waiting is not None:
                self.waiting.set()

    def on_response(self) -> None:
        self._protocol.on_response_complete()

    @property
    def message_event(self) -> asyncio.Event:  # type: ignore[override]
        """What `receive` waits for: set when there is something to be received."""
        if self.waiting is None:
            self.waiting = asyncio.Event()
            if self.body or not self.more_body or self.disconnected or self.response_complete:
                self.waiting.set()
        return self.waiting

    def received(self, body: bytes) -> None:
        """A piece of the body. Most have one."""
        if not self.body:
            self.body = body
        else:
            if isinstance(self.body, bytes):
                self.body = bytearray(self.body)
            self.body += body
        if self.waiting is not None:
            self.waiting.set()

    # ------------------------------------------------------------------- what the data plane uses instead of ASGI

    def remember(self, answer: Answer) -> None:
        """Who answers a further request with the same head on this connection, without ASGI's scope."""
        if self.head is not None:
            self.head.answer = answer

    def watch(self, gone: Callable[[], None]) -> None:
        self._gone = self._protocol.on_client_gone = gone
        if self.disconnected:
            # It left while its key was checked, when nobody was watching yet.
            gone()

    def unwatch(self) -> None:
        # After a stream's end the next request on this connection may be watched already.
        if self._protocol.on_client_gone is self._gone:
            self._protocol.on_client_gone = None
        # It knows the call, and the call knows this.
        self._gone = None

    def complete_body(self) -> bytes | None:
        """The request's body if it has arrived whole, else None."""
        return None if self.more_body or self.waiting_for_100_continue else bytes(self.body)

    async def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """A complete response; `headers` are encoded lines, each with its CRLF, content-length among them."""
        if self.flow.write_paused:
            await self.flow.drain()
        if self.disconnected or self.response_complete:
            return
        if self.scope["method"] == "HEAD":
            # Its body would be taken for the next answer.
            body = b""
        date = _lines(self._protocol.server_state.default_headers)
        self.transport.write(b"".join((STATUS_LINE[status], date, headers, self._ending(headers), body)))
        self._end()

    async def begin(self, headers: bytes) -> None:
        """Status 200 and the headers of a response whose length is not known."""
        if self.disconnected:
            return
        self.response_started = True
        self.chunked_encoding = self.scope["http_version"] != "1.0"
        date = _lines(self._protocol.server_state.default_headers)
        framing = CHUNKED if self.chunked_encoding else b""
        self.transport.write(b"".join((STATUS_LINE[200], date, headers, framing, self._ending(headers))))

    def push(self, data: bytes) -> bool:
        """A piece of that response, never empty; False, and nothing is written, while the client is slow to read."""
        if self.flow.write_paused:
            return False
        # What comes after the end would be taken for the next answer.
        if not self.disconnected and not self.response_complete:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data) if self.chunked_encoding else data)
        return True

    async def write(self, data: bytes) -> None:
        """A piece of that response; waits while the client is slow to read."""
        while not self.push(data):
            await self.flow.drain()

    async def end(self, data: bytes) -> None:
        """The last piece, possibly empty."""
        if self.disconnected or self.response_complete:
            return
        if self.chunked_encoding:
            data = b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n"
        self.transport.write(data)
        self._end()

    def _ending(self, headers: bytes) -> bytes:
        # `in` would first try it as a number, and take twice as long.
        if headers.find(b"\r\nconnection: close\r\n") >= 0:
            self.keep_alive = False
            return KEEP
        return KEEP if self.keep_alive else CLOSE

    def _end(self) -> None:
        self.response_started = self.response_complete = True
        self.waiting_for_100_continue = False
        if self.waiting is not None:
            self.waiting.set()
        if not self.keep_alive:
            if self.more_body:
                Lingering(self.transport, self._protocol)
            else:
                self.transport.close()
        self._protocol.on_response_complete()


class _Second:
    """The server's own headers as they were written last: uvicorn makes a new list of them each second."""

    headers: list[tuple[bytes, bytes]] = []
    lines = b""


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    if headers is not _Second.headers:
        _Second.headers, _Second.lines = headers, header_lines(headers)
    return _Second.lines
