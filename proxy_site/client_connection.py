"""One client connection: uvicorn's protocol, completed where a gateway needs more, and made cheaper where each call pays.

uvicorn 0.54 never closes a connection that is idle, or whose headers or body arrive too slowly, and it tells an application
of a disconnect only through `receive()`, which would cost a task per request. Here a connection says itself whether it is
overdue or unused, and who answers a request on it may watch for its client's leaving. Its parser also passes over the body
of a request that wishes for an upgrade, takes trailers for headers, and collects headers without end.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Any
from urllib.parse import unquote

import httptools
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from providers.http1.corked import CorkedTransport, cork_of
from proxy_site.repeated_head import RepeatedHead, repeated_head
from proxy_site.request_cycle import RequestCycle, refusal
from routing.errors import HeadersTooLarge, InvalidRequest, RequestError, UnknownTransferCoding

HEADERS_DEADLINE_S = 10.0
HEADERS_LIMIT_BYTES = 64 * 1024
"""For a head, and for whatever else may stand between two pieces of a body; one read of the event loop may come on top."""
STALLED_READER_S = 30.0
DIFFERENT_HEADS = 4
"""After so many requests in a row with other heads on one connection none is remembered there any more."""
WRITE_BUFFER_BYTES = 128 * 1024
PIECE_BYTES = 8 * 1024
"""Parsed at once: of requests that come while one is answered each takes a hundred times the bytes that it came in."""
NOTED = frozenset({b"host", b"expect", b"transfer-encoding"})
ASGI = {"version": "3.0", "spec_version": "2.3"}


class GatewayServerState(ServerState):
    def __init__(self) -> None:
        super().__init__()
        self.draining = False
        self.came_at = -math.inf
        """When the newest connection came."""


class GatewayProtocol(HttpToolsProtocol):
    """uvicorn's, whose own callbacks take twice as long for a request."""

    # With more than thirty attributes besides, Python would look up each method of it by name, at ten times the cost.
    __slots__ = (
        "_amid", "_begun", "_different_heads", "_gap", "_head", "_hosts", "_ignoring", "_moved", "_rest", "_target",
        "_upgrading", "answering", "headers_since", "idle_since", "on_client_gone", "paused_since",
    )  # fmt: skip

    cycle: RequestCycle
    server_state: GatewayServerState

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.answering: RequestCycle | None = None
        """Which request is answered now: with pipelined ones another than `cycle`, the last to have come."""
        self.on_client_gone: Callable[[], None] | None = None
        self.headers_since: float | None = None
        self.paused_since: float | None = None
        self.idle_since = 0.0
        self._target: tuple[bytes, str, bytes, bytes] = (b"", "", b"", b"")
        """What was asked for last: the URL as it came, its path decoded and raw, its query. Most clients ask for the same
        again."""
        self._upgrading = False
        self._ignoring = False
        """Whether the parser is at a request whose wish for an upgrade is not granted, which it is given once more."""
        self._amid = False
        """Whether a request has begun and not ended."""
        self._begun = 0
        """How many requests have begun in this read."""
        self._moved = False
        """Whether this read brought the end of a head, or a piece of a body."""
        self._gap = self._hosts = self._different_heads = 0
        self._head: RepeatedHead | None = None
        self._rest = b""
        """What is not looked at before those who wait have their answers."""

    def data_received(self, data: bytes) -> None:
        amid = self._amid
        head = self._head
        if head is not None and not amid and head.answer is not None and self.cycle.response_complete:
            body = head.body_in(data)
            if body is not None and not self.server_state.draining:
                self._begin_again(head, body)
                return
        if self._rest:
            self._rest += data
            self.flow.pause_reading()
            return
        self._begun, self._moved = 0, False
        try:
            if len(data) <= PIECE_BYTES:
                self._parse(data)
            else:
                data = self._parse_in_pieces(data)
        except httptools.HttpParserError as error:
            cause = error.__context__
            self._refuse(cause if isinstance(cause, RequestError) else InvalidRequest("This is not HTTP."))
            return
        self._gap = 0 if self._moved else self._gap + len(data)
        if self._gap > HEADERS_LIMIT_BYTES:
            self._refuse(HeadersTooLarge(f"The headers are larger than {HEADERS_LIMIT_BYTES} bytes."))
        elif self._begun == 1 and not amid and not self._amid and self._different_heads < DIFFERENT_HEADS:
            self._remember_head(data)

    def _begin_again(self, head: RepeatedHead, body: bytes) -> None:
        """Between two requests the parser is where it was at the connection's begin, so this one may pass beside it."""
        self._different_heads = self._gap = 0
        self.cycle = cycle = RequestCycle(self, head.scope, True)
        cycle.repeated(head, body)

    def _remember_head(self, data: bytes) -> None:
        cycle = self.cycle
        if not self._upgrading and cycle.keep_alive and not cycle.more_body:
            head = repeated_head(data, len(cycle.body), cycle.scope)
            if head is not None:
                self._different_heads += 1
                self._head = cycle.head = head

    def _parse(self, data: bytes | memoryview) -> None:
        while True:
            try:
                self.parser.feed_data(data)
                return
            except httptools.HttpParserUpgrade as pause:
                if self._upgrading:
                    self.handle_websocket_upgrade()
                    return
                data = memoryview(data)[pause.args[0] :]
            self._parse_without_upgrade()

    def _parse_in_pieces(self, data: bytes) -> bytes:
        """Until requests wait for another's answer; returns what was parsed."""
        view = memoryview(data)
        for at in range(0, len(data), PIECE_BYTES):
            if self._upgrading or self.pipeline:
                self._rest = b"" if self._upgrading else data[at:]
                return data[:at]
            self._parse(view[at : at + PIECE_BYTES])
        return data

    def _parse_without_upgrade(self) -> None:
        """The parser passed over the body, and would take it for the next request: it is given the head once more, without
        the wish that a server may ignore (RFC 9110, 7.8)."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        lines = [b"%b: %b\r\n" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"%b %b HTTP/%b\r\n%b\r\n" % (method, self.url, version, b"".join(lines)))

    def _refuse(self, error: RequestError) -> None:
        """What is no request is answered, unless that would be taken for another answer, and nothing more is read."""
        cycle = self.cycle
        in_body = self._amid and self.headers_since is None
        unanswered = in_body and cycle is not None and not cycle.response_started and not self.pipeline
        if unanswered:
            # By this answer, and by no other.
            cycle.disconnected = True
        if unanswered or cycle is None or cycle.response_complete:
            self.transport.write(refusal(error, self.server_state.default_headers))
        self.transport.close()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(CorkedTransport(transport, cork_of(self.loop)))
        transport.set_write_buffer_limits(high=WRITE_BUFFER_BYTES)
        self.headers_since = self.idle_since = self.server_state.came_at = time.monotonic()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self.answering is not None:
            self.answering.leave()
        callback, self.on_client_gone = self.on_client_gone, None
        if callback is not None:
            callback()

    def on_message_begin(self) -> None:
        self._amid = True
        self._begun += 1
        self._hosts = 0
        self.url = b""
        self.expect_100_continue = False
        self.headers = []
        self.headers_since = time.monotonic()

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.headers_since is None:
            # A trailer, which is no header (RFC 9110, 6.5.1).
            return
        name = name.lower()
        if name in NOTED:
            self._note(name, value.lower())
        self.headers.append((name, value))

    def _note(self, name: bytes, value: bytes) -> None:
        if name == b"host":
            self._hosts += 1
        elif name == b"expect":
            self.expect_100_continue = value == b"100-continue"
        elif value != b"chunked":
            raise UnknownTransferCoding("The only transfer coding that is read here is 'chunked'.")

    def on_headers_complete(self) -> None:
        parser = self.parser
        version = parser.get_http_version()
        if parser.get_method() == b"CONNECT" or (self._hosts != 1 and version == "1.1"):
            raise InvalidRequest("An HTTP/1.1 request has exactly one header 'host', and a method other than CONNECT.")
        self.headers_since = None
        self._moved = True
        wishes = parser.should_upgrade()
        self._upgrading = wishes and self._should_upgrade()
        self._ignoring = wishes and not self._upgrading
        if self._ignoring:
            return
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
        if self._upgrading:
            return
        draining = self.server_state.draining
        keep_alive = version != "1.0" and not draining and parser.should_keep_alive()
        before = self.cycle
        self.cycle = cycle = RequestCycle(self, scope, keep_alive)
        if self.expect_100_continue and version != "1.0":
            # An older client would take the interim answer for the whole one (RFC 9110, 10.1.1).
            cycle.waiting_for_100_continue = True
        scope["extensions"] = {"llm_proxy.connection": cycle}
        if before is None or before.response_complete:
            cycle.start()
        else:
            # Pipelined: answered when those before it are.
            self.flow.pause_reading()
            self.pipeline.appendleft((cycle, self.app))

    def on_body(self, body: bytes) -> None:
        self._moved = True
        cycle = self.cycle
        if self._upgrading or cycle.response_complete:
            return
        cycle.received(body)
        if len(cycle.body) > HIGH_WATER_LIMIT:
            self.flow.pause_reading()

    def on_message_complete(self) -> None:
        self._amid = False
        cycle = self.cycle
        if self._upgrading or self._ignoring or cycle.response_complete:
            return
        cycle.more_body = False
        if self.flow.read_paused and not self.pipeline:
            # It was paused for the size of this body; who does not read does not see its client leave.
            self.flow.resume_reading()
        if cycle.waiting is not None:
            cycle.waiting.set()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer: the sweep closes what is idle, for a fraction of what a timer costs."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        if self.pipeline:
            cycle, _ = self.pipeline.pop()
            cycle.start()  # type: ignore[attr-defined]
        else:
            self.idle_since = time.monotonic()
        if self.flow.read_paused and not self.pipeline:
            self._read_on()

    def _read_on(self) -> None:
        rest, self._rest = self._rest, b""
        if rest:
            self.data_received(rest)
        if not self._rest and not self.pipeline and self.flow.read_paused:
            self.flow.resume_reading()
            if self.headers_since is not None:
                # Its rest could not come.
                self.headers_since = time.monotonic()

    def pause_writing(self) -> None:
        self.paused_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.paused_since = None
        super().resume_writing()

    def overdue(self, now: float) -> bool:
        """Whether the peer sends its headers, or reads its answer, too slowly to be served on."""
        if self.headers_since is not None and not self.flow.read_paused:
            return now - self.headers_since > HEADERS_DEADLINE_S
        return self.paused_since is not None and now - self.paused_since > STALLED_READER_S

    def unused(self, now: float) -> bool:
        """Whether it has waited for another request for so long that it is closed."""
        answered = self.headers_since is None and self.cycle is not None and self.cycle.response_complete
        return answered and now - self.idle_since > self.timeout_keep_alive


def _target(url: bytes) -> tuple[bytes, str, bytes, bytes]:
    parsed = httptools.parse_url(url)
    # Of `http://host`, which proxies are asked for, the path is the root.
    raw_path: bytes = parsed.path or b"/"
    path = raw_path.decode("ascii")
    return url, unquote(path) if "%" in path else path, raw_path, parsed.query or b""
