"""uvicorn's server, which closes connections that are idle, too slow or stalled, and drains without cutting streams."""

import asyncio
import signal
import threading
import time
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

from accounts.task_ending import end
from proxy_site.client_connection import GatewayProtocol, GatewayServerState
from proxy_site.request_cycle import RequestCycle
from proxy_site.socket_connection import SocketConnection

SWEEP_INTERVAL_S = 1.0
LAME_DUCK_S = 2.0
"""A draining server answers one more request on each open connection that it gets within this time, because a client
that is just sending one must not lose it. For as long it accepts from clients that open a connection for each call."""
REPLACED = signal.SIGUSR1
"""To one of several workers, whose listener the others go on with; SIGTERM says that nobody does."""
DRAIN_GRACE_S = 5.0
"""How long after the drain deadline a client may take to read the error event before its connection is cut."""


class GatewayServer(uvicorn.Server):
    """Serves until SIGTERM, SIGINT or a SIGHUP that nobody else handles, or until it is an orphan, then drains: running
    answers finish, connections close, the process ends with 0.

    `on_drain` is called once when draining begins (readiness turns to 503 and the gateway's own deadline,
    `drain_timeout_s`, starts). It goes on accepting for a moment, so that probes see it unready and who comes meanwhile is
    answered; a worker that is replaced leaves its listener to the others at once. `is_busy` tells of calls that no HTTP
    request stands for, such as those of a WebSocket. `is_orphan` is asked once a second.
    """

    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_drain: Callable[[], None],
        on_started: Callable[[], object] = bool,
        drain_timeout_s: float = 30.0,
        is_busy: Callable[[], bool] = bool,
        is_orphan: Callable[[], bool] = bool,
    ) -> None:
        super().__init__(config)
        self.server_state: GatewayServerState = GatewayServerState()
        self._drain_timeout_s = drain_timeout_s
        self._is_busy = is_busy
        self._is_orphan = is_orphan
        self._orphaned = False
        self._replaced = False
        self._sweeper: asyncio.Task[None] | None = None
        self._on_drain = on_drain
        self._on_started = on_started

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """SIGHUP would end it within a stream. Under nohup, and in a worker, it is ignored and stays so."""
        with super().capture_signals():
            handlers: dict[int, Any] = {}
            if threading.current_thread() is threading.main_thread():
                handlers[REPLACED] = self._replace
                if signal.getsignal(signal.SIGHUP) is signal.SIG_DFL:
                    handlers[signal.SIGHUP] = self.handle_exit
            before = {number: signal.signal(number, handler) for number, handler in handlers.items()}
            try:
                yield
            finally:
                for number, handler in before.items():
                    signal.signal(number, handler)

    def _replace(self, signum: int, frame: types.FrameType | None) -> None:
        self._replaced = self.should_exit = True

    async def startup(self, sockets: list[Any] | None = None) -> None:
        await super().startup(sockets=sockets)
        self._on_started()

    async def main_loop(self) -> None:
        # It goes on while the server drains: stalled readers are cut then as well.
        self._sweeper = asyncio.create_task(self._sweep(), name="connection-sweeper")
        await super().main_loop()

    async def shutdown(self, sockets: list[Any] | None = None) -> None:
        self._on_drain()
        await self._drain()
        await super().shutdown(sockets=sockets)
        await end(self._sweeper)
        # A drained shutdown is a success, not a death by signal: uvicorn would raise the signal again.
        self._captured_signals.clear()

    async def _drain(self) -> None:
        """Until nothing runs any more, at the latest until the drain deadline and its grace have passed."""
        began = time.monotonic()
        self._mark_last_requests(began)
        while not self.force_exit and (now := time.monotonic()) < began + self._drain_timeout_s + DRAIN_GRACE_S:
            listening = not self._replaced and now < began + LAME_DUCK_S
            if not listening:
                self._stop_listening()
            awaited = self._may_be_used_again(now) or (listening and self._may_be_sought(now))
            if not awaited and not self._is_busy() and not self._running():
                return
            await asyncio.sleep(0.05)
        for connection in self._connections():
            connection.transport.abort()

    def _mark_last_requests(self, now: float) -> None:
        self.server_state.draining = True
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

    def _may_be_sought(self, now: float) -> bool:
        """Whether a client that opens a connection for each call may be about to open the next."""
        return now < self.server_state.came_at + LAME_DUCK_S

    def _running(self) -> list[RequestCycle]:
        """The HTTP requests that are being answered."""
        cycles = [connection.cycle for connection in self._connections()]
        return [cycle for cycle in cycles if cycle is not None and not cycle.response_complete]

    def _connections(self) -> list[GatewayProtocol]:
        return [each for each in self.server_state.connections if isinstance(each, GatewayProtocol)]

    def _look_for_parent(self) -> None:
        if not self._orphaned and self._is_orphan():
            self._orphaned = self.should_exit = True

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(SWEEP_INTERVAL_S)
            self._look_for_parent()
            now = time.monotonic()
            for connection in self._connections():
                if connection.overdue(now):
                    connection.transport.abort()
                elif connection.unused(now):
                    connection.transport.close()
            for socket in [each for each in self.server_state.connections if isinstance(each, SocketConnection)]:
                if socket.overdue(now):
                    socket.transport.abort()


def server_config(*, host: str, port: int, **overrides: Any) -> uvicorn.Config:
    """The one way this product configures uvicorn."""
    options: dict[str, Any] = {
        "host": host,
        "port": port,
        "loop": "uvloop",
        # Not to be guessed: the application's call returns a coroutine without being one.
        "interface": "asgi3",
        "http": GatewayProtocol,
        "ws": SocketConnection,
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
        **overrides,
    }
    return uvicorn.Config("proxy_site.asgi:application", **options)
