"""uvicorn, completed where a gateway needs more: it tells when a client leaves, bounds slow senders and stalled readers,
and drains without cutting streams.

uvicorn 0.54 never closes a connection that is idle, or whose headers or body arrive too slowly; it tells an application
of a disconnect only through `receive()`, which would cost a task per request.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.server import ServerState

from accounts.task_ending import end
from proxy_site.client_connection import RequestConnection

HEADERS_DEADLINE_S = 10.0
STALLED_READER_S = 30.0
WRITE_BUFFER_BYTES = 128 * 1024
SWEEP_INTERVAL_S = 1.0
LAME_DUCK_S = 2.0
"""A draining server answers one more request on each open connection that it gets within this time, because a client
that is just sending one must not lose it."""
DRAIN_GRACE_S = 5.0
"""How long after the drain deadline a client may take to read the error event before its connection is cut."""


class GatewayServerState(ServerState):
    draining: bool = False


class GatewayProtocol(HttpToolsProtocol):
    """One client connection. The application finds it as `scope["extensions"]["llm_proxy.connection"]`."""

    on_client_gone: Callable[[], None] | None = None
    headers_since: float | None = None
    paused_since: float | None = None
    idle_since = 0.0

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
        super().on_message_begin()
        self.headers_since = time.monotonic()

    def on_headers_complete(self) -> None:
        self.headers_since = None
        before = self.cycle
        # The task that super() starts runs after this returns, so it finds what is put into its scope here.
        scope = self.scope
        super().on_headers_complete()
        if self.cycle is not before:
            if self.server_state.draining:  # type: ignore[attr-defined]
                self.cycle.keep_alive = False
            scope["extensions"] = {"llm_proxy.connection": RequestConnection(self, self.cycle)}  # type: ignore[dict-item]

    def pause_writing(self) -> None:
        self.paused_since = time.monotonic()
        super().pause_writing()

    def resume_writing(self) -> None:
        self.paused_since = None
        super().resume_writing()

    def on_response_complete(self) -> None:
        """As uvicorn's, but for its timer: the sweep closes what is idle, for a fraction of what a timer costs."""
        self.server_state.total_requests += 1
        if self.transport.is_closing():
            return
        self.flow.resume_reading()
        if self.pipeline:
            self._start_asgi_task(*self.pipeline.pop())
        else:
            self.idle_since = time.monotonic()

    def send_400_response(self, msg: str) -> None:
        body = b'{"error":{"message":"Invalid HTTP request.","type":"invalid_request_error","param":null,"code":null}}'
        head = b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nconnection: close\r\n"
        self.transport.write(head + b"content-length: %d\r\n\r\n" % len(body) + body)
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


class GatewayServer(uvicorn.Server):
    """Serves until SIGTERM or SIGINT, then drains: running answers finish, connections close, the process ends with 0.

    `on_drain` is called once when draining begins (readiness turns to 503 and the gateway's own deadline,
    `drain_timeout_s`, starts). A server with a listener of its own goes on accepting for a moment, so that probes see it
    unready; one of several workers leaves its listener to the others at once. `is_busy` tells of calls that no HTTP
    request stands for, such as those of a WebSocket.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_drain: Callable[[], None] | None = None,
        on_started: Callable[[], None] | None = None,
        drain_timeout_s: float = 30.0,
        is_busy: Callable[[], bool] = bool,
    ) -> None:
        super().__init__(config)
        self.server_state = GatewayServerState()
        self._drain_timeout_s = drain_timeout_s
        self._is_busy = is_busy
        self._sweeper: asyncio.Task[None] | None = None
        self._on_drain = on_drain
        self._on_started = on_started

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets=sockets)
        if self._on_started is not None:
            self._on_started()

    async def main_loop(self) -> None:
        # It goes on while the server drains: stalled readers are cut then as well.
        self._sweeper = asyncio.create_task(self._sweep(), name="connection-sweeper")
        await super().main_loop()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        if self._on_drain is not None:
            self._on_drain()
        await self._drain(shared_listener=sockets is not None)
        await super().shutdown(sockets=sockets)
        await end(self._sweeper)
        # A drained shutdown is a success, not a death by signal: uvicorn would raise the signal again.
        self._captured_signals.clear()

    async def _drain(self, *, shared_listener: bool) -> None:
        """Until nothing runs any more, at the latest until the drain deadline and its grace have passed."""
        began = time.monotonic()
        self._mark_last_requests(began)
        if shared_listener:
            self._stop_listening()
        while not self.force_exit and (now := time.monotonic()) < began + self._drain_timeout_s + DRAIN_GRACE_S:
            if not self._is_busy() and not self._running() and not self._may_be_used_again(now):
                return
            if now >= began + LAME_DUCK_S:
                self._stop_listening()
            await asyncio.sleep(0.05)
        for connection in self._connections():
            connection.transport.abort()

    def _mark_last_requests(self, now: float) -> None:
        self.server_state.draining = True  # type: ignore[attr-defined]
        for connection in self._connections():
            connection.idle_since = now
        for cycle in self._running():
            # Where the headers are out already, the client takes the connection for one that it may use again.
            cycle.keep_alive = cycle.keep_alive and cycle.response_started

    def _stop_listening(self) -> None:
        for server in self.servers:
            server.close()

    def _may_be_used_again(self, now: float) -> bool:
        """Whether a client may be sending on a connection that it believes to be open."""
        return any(now < connection.idle_since + LAME_DUCK_S for connection in self._connections())

    def _running(self) -> list[RequestResponseCycle]:
        """The HTTP requests that are being answered."""
        cycles = [connection.cycle for connection in self._connections()]
        return [cycle for cycle in cycles if cycle is not None and not cycle.response_complete]

    def _connections(self) -> list[GatewayProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, GatewayProtocol)]

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            now = time.monotonic()
            for connection in self._connections():
                if connection.overdue(now):
                    connection.transport.abort()
                elif connection.unused(now):
                    connection.transport.close()


def server_config(*, host: str, port: int, **overrides: Any) -> uvicorn.Config:
    """The one way this product configures uvicorn."""
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "loop": "uvloop",
        # Not to be guessed: the application's call returns a coroutine without being one.
        "interface": "asgi3",
        "http": GatewayProtocol,
        "ws": "websockets-sansio",
        "ws_ping_interval": 20.0,
        "ws_max_size": 8 * 1024 * 1024,
        # Messages are small: compressing them would save little, and costs each socket two dictionaries of memory.
        "ws_per_message_deflate": False,
        "lifespan": "on",
        # Forwarded addresses are for those who configure which proxies to trust.
        "proxy_headers": False,
        "access_log": False,
        "log_config": None,
        "timeout_keep_alive": 75,
        # What our own drain leaves behind: connections that nothing runs on.
        "timeout_graceful_shutdown": 5,
        "server_header": False,
        "date_header": True,
        "h11_max_incomplete_event_size": 65536,
        **overrides,
    }
    return uvicorn.Config("proxy_site.asgi:application", **options)
