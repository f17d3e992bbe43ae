"""The transport: finds the endpoint's pool, sends, waits for the head."""

import asyncio
from typing import Final

from providers.errors import ConnectFailed
from providers.http1.connection import NEVER
from providers.http1.pool import Pool
from providers.http1.response import response_on
from providers.identity_cache import IdentityCache
from providers.resolution import Resolve, system_resolve
from providers.transport import Endpoint, UpstreamRequest, UpstreamResponse

UNUSED_POOLS_KEPT: Final = 256
"""Pools without a connection that are remembered, so that endpoints which come and go do not add up."""


class Http1Transport:
    """See `providers.transport.Transport`. Bound to the event loop of its first call."""

    def __init__(self, *, resolve: Resolve = system_resolve) -> None:
        self._resolve = resolve
        self._pools: dict[Endpoint, Pool] = {}
        self._found = IdentityCache(self._find, size=UNUSED_POOLS_KEPT)
        self._closed = False

    async def send(self, endpoint: Endpoint, request: UpstreamRequest, *, timeout_s: float) -> UpstreamResponse:
        pool = self._found.get(endpoint)
        head = pool.heads.head(request)
        loop = pool.loop
        deadline = loop.time() + timeout_s
        connection = pool.take()
        if connection is None:
            connection = await pool.acquire(deadline)
        try:
            connection.start(head, request.body, head_only=request.method == "HEAD")
            while not connection.status:
                if connection.error is not None:
                    raise connection.error
                await connection.wait(deadline, "first_token")
            connection.deadline = NEVER
            return response_on(connection, pool.release, loop.time)
        except BaseException:
            connection.abort()
            raise

    async def aclose(self) -> None:
        self._closed = True
        pools, self._pools = self._pools, {}
        self._found.clear()
        for pool in pools.values():
            pool.close()
        # The event loop closes aborted sockets in its next turn.
        await asyncio.sleep(0)

    def _find(self, endpoint: Endpoint) -> Pool:
        return self._pools.get(endpoint) or self._open_pool(endpoint)

    def _open_pool(self, endpoint: Endpoint) -> Pool:
        if self._closed:
            raise ConnectFailed("The transport was closed.")
        if len(self._pools) >= UNUSED_POOLS_KEPT:
            for known, pool in list(self._pools.items()):
                if pool.unused:
                    del self._pools[known]
            self._found.clear()
        pool = self._pools[endpoint] = Pool(endpoint, self._resolve, asyncio.get_running_loop())
        return pool
