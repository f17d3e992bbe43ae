"""The connections of one endpoint: which are idle, how many there may be, and who waits for one.

A slot is counted for every connection, idle ones included, and while one is being opened. A slot or connection that
becomes free goes straight to whoever has waited longest, so nobody who comes later can take it first.
"""

import asyncio
import collections
from typing import TypeAlias

from providers.errors import ConnectFailed, UpstreamTimeout
from providers.http1.connection import Connection
from providers.http1.dialing import Dialer
from providers.http1.request import RequestHeads
from providers.resolution import Resolve
from providers.transport import Endpoint

_Waiter: TypeAlias = asyncio.Future[Connection | None]
"""Gets a connection, or None for a slot in which to open one."""


class Pool:
    """`open` is the number of slots taken, `connections` those whose socket is open."""

    def __init__(self, endpoint: Endpoint, resolve: Resolve, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint, self.loop = endpoint, loop
        self._dialer = Dialer(endpoint, resolve, loop)
        self._idle: list[Connection] = []
        self._waiters: collections.deque[_Waiter] = collections.deque()
        self._closed = False
        self.open = 0
        self.connections: set[Connection] = set()
        proxy = self._dialer.proxy
        plain = proxy is not None and endpoint.scheme == "http"
        extra = (("proxy-authorization", proxy.authorization),) if plain and proxy and proxy.authorization else ()
        self.heads = RequestHeads(
            authority=endpoint.authority, prefix=f"http://{endpoint.authority}" if plain else "", extra=extra
        )

    @property
    def unused(self) -> bool:
        return not self.open and not self._waiters

    def take(self) -> Connection | None:
        """The idle connection used last, if there is one. The freshest is the least likely to have been closed."""
        return self._idle.pop() if self._idle else None

    async def acquire(self, deadline: float) -> Connection:
        """A connection when none is idle: opened, or waited for when all slots are taken."""
        patience = min(deadline, self.loop.time() + self._endpoint.pool_timeout_s)
        while self.open >= self._endpoint.max_connections:
            handed = await self._wait(patience)
            if handed is None:
                return await self._open(deadline)
            # One that was closed meanwhile left its slot to others, and what came back since found nobody waiting.
            connection = self.take() if handed.gone else handed
            if connection is not None:
                return connection
        self.open += 1
        return await self._open(deadline)

    def release(self, connection: Connection) -> None:
        """Takes a connection back after a call, or closes it when it cannot carry another one."""
        if not connection.settle(self._endpoint.keepalive_s):
            return
        waiter = self._next_waiter() if self._waiters else None
        if waiter is None:
            self._idle.append(connection)
        else:
            waiter.set_result(connection)

    def close(self) -> None:
        self._closed = True
        for connection in list(self.connections):
            connection.fail(ConnectFailed("The transport was closed."))
        while (waiter := self._next_waiter()) is not None:
            waiter.set_exception(ConnectFailed("The transport was closed."))

    async def _open(self, deadline: float) -> Connection:
        """Fills a slot that the caller holds."""
        try:
            connection = await self._dialer.dial(min(self._endpoint.connect_timeout_s, deadline - self.loop.time()))
        except BaseException:
            self._free_slot()
            raise
        if connection.gone or self._closed:
            connection.abort()
            self._free_slot()
            raise ConnectFailed("The connection was closed as soon as it was open.")
        connection.on_gone = self._forget
        self.connections.add(connection)
        return connection

    async def _wait(self, patience: float) -> Connection | None:
        waiter: _Waiter = self.loop.create_future()
        self._waiters.append(waiter)
        timer = self.loop.call_at(patience, _expire, waiter)
        try:
            return await waiter
        except asyncio.CancelledError:
            self._return_what_was_handed(waiter)
            raise
        finally:
            timer.cancel()

    def _return_what_was_handed(self, waiter: _Waiter) -> None:
        """For a caller that was cancelled after its turn came, but before it could notice."""
        if waiter.cancelled() or waiter.exception() is not None:
            return
        connection = waiter.result()
        if connection is None:
            self._free_slot()
        elif not connection.gone:
            self.release(connection)

    def _next_waiter(self) -> _Waiter | None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                return waiter
        return None

    def _free_slot(self) -> None:
        waiter = self._next_waiter()
        if waiter is None:
            self.open -= 1
        else:
            waiter.set_result(None)

    def _forget(self, connection: Connection) -> None:
        self.connections.discard(connection)
        if connection in self._idle:
            self._idle.remove(connection)
        self._free_slot()


def _expire(waiter: _Waiter) -> None:
    if not waiter.done():
        waiter.set_exception(UpstreamTimeout("No connection became free in time.", phase="pool"))
