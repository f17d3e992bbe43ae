"""One client connection: uvicorn's protocol, completed where a gateway needs more, and made cheaper where each call pays.

uvicorn 0.54 never closes a connection that is idle, or whose headers or body arrive too slowly, and it tells an application
of a disconnect only through `receive()`, which would cost a task per request. Here a connection says itself whether it is
overdue or unused, and who answers a request on it may watch for its client's leaving.

ASGI stays as it is for those who speak it. The data plane finds the request's own cycle in its scope
(`scope["extensions"]["llm_proxy.connection"]`, see `routing.endpoints.exchange.ClientConnection`) and uses that: an ASGI
response is two messages, each validated header by header.
"""

import asyncio
import logging
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools
import orjson
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from accounts.header_lines import header_lines
from proxy_site.repeated_head import Answer, RepeatedHead, repeated_head
from routing.errors import InternalError, InvalidRequest, error_body

HEADERS_DEADLINE_S = 10.0
STALLED_READER_S = 30.0
DIFFERENT_HEADS = 4
"""After so many requests in a row with other heads on one connection none is remembered there any more."""
WRITE_BUFFER_BYTES = 128 * 1024
ASGI = {"version": "3.0", "spec_version": "2.3"}
CLOSE = b"connection: close\r\n\r\n"
KEEP = b"\r\n"
BAD_REQUEST = orjson.dumps(error_body(InvalidRequest("Invalid HTTP request.")))
FAILED = orjson.dumps(error_body(InternalError("The gateway failed to process this request.")))
HEAD = b"content-type: application/json\r\ncontent-length: %d\r\nconnection: close\r\n"


class GatewayServerState(ServerState):
    draining: bool = False


class RequestCycle(RequestResponseCycle):
    """One request and its response. With pipelined requests the protocol's current cycle may be another one."""

    # What uvicorn's sets in each, and most requests never change.
    access_log = False
    disconnected = False
    body: bytes | bytearray = b""  # type: ignore[assignment]
    more_body = True
    response_started = response_complete = False
    chunked_encoding = None
    expected_content_length = 0
    waiting_for_100_continue = False
    waiting: asyncio.Event | None = None
    head: RepeatedHead | None = None
    _task: asyncio.Task[None] | None = None
    _answer: Answer | None = None

    def __init__(self, protocol: "GatewayProtocol", scope: Any, *, keep_alive: bool) -> None:
        # What uvicorn's takes as eleven keywords, it reads from the protocol; and it makes no event before somebody waits.
        self.scope = scope
        self.transport = protocol.transport
        self.flow = protocol.flow
        self.keep_alive = keep_alive
        self._protocol = protocol

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
        task = self._task = self._protocol.loop.create_task(self._run())
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
            self._protocol = self._task = self.scope = None  # type: ignore[assignment]

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
        self._protocol.on_client_gone = gone
        if self.disconnected:
            # It left while its key was checked, when nobody was watching yet.
            gone()

    def unwatch(self) -> None:
        self._protocol.on_client_gone = None

    def complete_body(self) -> bytes | None:
        """The request's body if it has arrived whole, else None."""
        return None if self.more_body or self.waiting_for_100_continue else bytes(self.body)

    async def respond(self, status: int, headers: bytes, body: bytes) -> None:
        """A complete response; `headers` are encoded lines, each with its CRLF, content-length among them."""
        if self.flow.write_paused:
            await self.flow.drain()
        if self.disconnected:
            return
        if self.scope["method"] == "HEAD":
            # Its body would be taken for the next answer.
            body = b""
        date = _lines(self.default_headers)
        self.transport.write(b"".join((STATUS_LINE[status], date, headers, self._ending(headers), body)))
        self._end()

    async def begin(self, headers: bytes) -> None:
        """Status 200 and the headers of a response whose length is not known."""
        if self.disconnected:
            return
        self.response_started = self.chunked_encoding = True
        date = _lines(self.default_headers)
        parts = (STATUS_LINE[200], date, headers, b"transfer-encoding: chunked\r\n", self._ending(headers))
        self.transport.write(b"".join(parts))

    async def write(self, data: bytes) -> None:
        """A piece of that response; waits while the client is slow to read."""
        if self.flow.write_paused:
            await self.flow.drain()
        if not self.disconnected:
            self.transport.write(b"%x\r\n%b\r\n" % (len(data), data))

    async def end(self, data: bytes) -> None:
        """The last piece, possibly empty."""
        if self.disconnected:
            return
        self.transport.write(b"%x\r\n%b\r\n0\r\n\r\n" % (len(data), data) if data else b"0\r\n\r\n")
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
            self.transport.close()
        self._protocol.on_response_complete()


class GatewayProtocol(HttpToolsProtocol):
    """uvicorn's, whose own callbacks take twice as long for a request."""

    cycle: RequestCycle
    server_state: GatewayServerState
    on_client_gone: Callable[[], None] | None = None
    headers_since: float | None = None
    paused_since: float | None = None
    idle_since = 0.0
    _target: tuple[bytes, str, bytes, bytes] = (b"", "", b"", b"")
    """What was asked for last: the URL as it came, its path decoded and raw, its query. Most clients ask for the same again."""
    _upgrading = False
    _begun = 0
    """How many requests the parser has seen begin in this read, and one more for a request that it is amid of."""
    _amid = False
    _head: RepeatedHead | None = None
    _different_heads = 0

    def data_received(self, data: bytes) -> None:
        if self._amid:
            super().data_received(data)
            return
        head = self._head
        if head is not None and head.answer is not None and self.cycle.response_complete:
            body = head.body_in(data)
            if body is not None and not self.server_state.draining:
                self._begin_again(head, body)
                return
        self._begun = 0
        super().data_received(data)
        if self._begun == 1 and not self._amid and self._different_heads < DIFFERENT_HEADS:
            self._remember_head(data)

    def _begin_again(self, head: RepeatedHead, body: bytes) -> None:
        """Between two requests the parser is where it was at the connection's begin, so this one may pass beside it."""
        self._different_heads = 0
        self.cycle = cycle = RequestCycle(self, head.scope, keep_alive=True)
        if len(body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()
        cycle.repeated(head, body)

    def _remember_head(self, data: bytes) -> None:
        self._different_heads += 1
        cycle = self.cycle
        if cycle.keep_alive and not cycle.more_body and not self._upgrading:
            self._head = cycle.head = repeated_head(data, len(cycle.body), cycle.scope)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.headers_since = self.idle_since = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        callback, self.on_client_gone = self.on_client_gone, None
        if callback is not None:
            callback()

    def on_message_begin(self) -> None:
        self._amid = True
        self._begun += 1
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.headers_since = time.monotonic()

    def on_headers_complete(self) -> None:
        self.headers_since = None
        parser = self.parser
        version = parser.get_http_version()
        if self.url != self._target[0]:
            self._target = _target(self.url)
        _, path, raw_path, query = self._target
        scope: Any = {
            "type": "http",
            "asgi": ASGI,
            "http_version": version,
            "server": self.server,
            "client": self.client,
            "scheme": self.scheme,
            "method": parser.get_method().decode("ascii"),
            "root_path": "",
            "path": path,
            "raw_path": raw_path,
            "query_string": query,
            "headers": self.headers,
            "state": self.app_state.copy(),
        }
        self.scope = scope
        self._upgrading = parser.should_upgrade() and self._should_upgrade()
        if self._upgrading:
            return
        draining = self.server_state.draining
        keep_alive = version != "1.0" and not draining and parser.should_keep_alive()
        before = self.cycle
        self.cycle = cycle = RequestCycle(self, scope, keep_alive=keep_alive)
        if self.expect_100_continue:
            cycle.waiting_for_100_continue = True
        scope["extensions"] = {"llm_proxy.connection": cycle}
        if before is None or before.response_complete:
            cycle.start()
        else:
            # Pipelined: answered when those before it are.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        cycle = self.cycle
        if self._upgrading or cycle.response_complete:
            return
        cycle.received(body)
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._amid = False
        cycle = self.cycle
        if self._upgrading or cycle.response_complete:
            return
        cycle.more_body = False
        if cycle.waiting is not None:
            cycle.waiting.set()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer: the sweep closes what is idle, for a fraction of what a timer costs."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            cycle.start()  # type: ignore[attr-defined]
        else:
            self.idle_since = time.monotonic()

    def pause_writing(self) -> None:
        self.paused_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.paused_since = None
        super().resume_writing()

    def send_400_response(self, msg: str) -> None:
        self.transport.write(STATUS_LINE[400] + HEAD % len(BAD_REQUEST) + b"\r\n" + BAD_REQUEST)
        self.transport.close()

    def overdue(self, now: float) -> bool:
        """Whether the peer sends its headers, or reads its answer, too slowly to be served on."""
        if self.headers_since is not None:
            return now - self.headers_since > HEADERS_DEADLINE_S
        return self.paused_since is not None and now - self.paused_since > STALLED_READER_S

    def unused(self, now: float) -> bool:
        """Whether it has waited for another request for so long that it is closed."""
        answered = self.headers_since is None and self.cycle is not None and self.cycle.response_complete
        return answered and now - self.idle_since > self.timeout_keep_alive


def _target(url: bytes) -> tuple[bytes, str, bytes, bytes]:
    parsed = httptools.parse_url(url)
    raw_path: bytes = parsed.path
    path = raw_path.decode("ascii")
    return url, unquote(path) if "%" in path else path, raw_path, parsed.query or b""


class _Second:
    """The server's own headers as they were written last: uvicorn makes a new list of them each second."""

    headers: list[tuple[bytes, bytes]] = []
    lines = b""


def _lines(headers: list[tuple[bytes, bytes]]) -> bytes:
    if headers is not _Second.headers:
        _Second.headers, _Second.lines = headers, header_lines(headers)
    return _Second.lines
