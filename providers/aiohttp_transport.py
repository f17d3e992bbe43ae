"""The transport on aiohttp: the reference implementation of the seam in `providers.transport`.

One session for each endpoint. Nothing is automatic: no redirects, cookies, decompression, proxies from the environment
or headers of aiohttp's own. Time limits of the body are one timer for each answer, pushed lazily, because timeout
objects for each chunk cost more than the chunk.
"""

import asyncio
import collections
import io
import socket
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from typing import Any, Final, cast

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from yarl import URL

from providers import tls
from providers.content_encoding import Inflater, inflater, next_inflated
from providers.errors import BadAnswer, ConnectFailed, StreamTruncated, UpstreamError, UpstreamTimeout
from providers.http1.dialing import proxy_of, refused_tunnel
from providers.resolution import Resolve, admitted_addresses, check_literal, in_words, system_resolve
from providers.transport import Consumer, Endpoint, UpstreamRequest, UpstreamResponse, forward_chunks

HEADER_LIMIT_BYTES: Final = 64 * 1024
SKIPPED: Final = frozenset({"User-Agent", "Accept", "Accept-Encoding", "Content-Type"})
SESSION_IDLE_S: Final = 300.0
LARGE_BODY_BYTES: Final = 1024 * 1024
"""Above this aiohttp wants a file, which it writes in pieces."""


class _Dial:
    """How far one call has come, for telling stale connections and the phase of a timeout."""

    __slots__ = ("connected", "reused")

    def __init__(self) -> None:
        self.connected = self.reused = False


_dial: ContextVar[_Dial] = ContextVar("dial")


class _Resolver(AbstractResolver):
    """Hands aiohttp only addresses that policy admits; aiohttp connects to exactly these."""

    def __init__(self, resolve: Resolve, allow_private: bool, networks: tuple[str, ...]) -> None:
        self._resolve, self._allow_private, self._networks = resolve, allow_private, networks

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        admitted = await admitted_addresses(
            self._resolve, host, port, allow_private=self._allow_private, networks=self._networks
        )
        return [
            ResolveResult(
                hostname=host,
                host=ip,
                port=port,
                family=socket.AF_INET6 if ":" in ip else socket.AF_INET,
                proto=0,
                flags=socket.AI_NUMERICHOST,
            )
            for ip in admitted
        ]

    async def close(self) -> None:
        return None


class _Connector(aiohttp.TCPConnector):
    """Notes for each call whether its connection was used before, and drops those that spoke while they were idle."""

    async def connect(self, req: Any, traces: Any, timeout: Any) -> Any:
        connection = await super().connect(req, traces, timeout)
        while cast(Any, connection.protocol).should_close:
            connection.close()
            connection = await super().connect(req, traces, timeout)
        state, protocol = _dial.get(), cast(Any, connection.protocol)
        state.connected = True
        state.reused = getattr(protocol, "carried_a_call", False)
        protocol.carried_a_call = True
        return connection


class _Slots:
    """At most `limit` at once; those who wait are served in the order they came."""

    def __init__(self, limit: int) -> None:
        self.free = limit
        self._waiters: collections.deque[asyncio.Future[None]] = collections.deque()

    async def acquire(self, timeout_s: float) -> None:
        if self.free > 0:
            self.free -= 1
            return
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        timer = loop.call_later(timeout_s, _expire, waiter)
        try:
            await waiter
        except BaseException:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release()
            raise
        finally:
            timer.cancel()

    def release(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return
        self.free += 1


def _expire(waiter: "asyncio.Future[None]") -> None:
    if not waiter.done():
        waiter.set_exception(UpstreamTimeout("No connection became free in time.", phase="pool"))


class _Pool:
    """The session of one endpoint and its bound."""

    def __init__(self, endpoint: Endpoint, resolve: Resolve) -> None:
        self.base = f"{endpoint.scheme}://{endpoint.authority}"
        self.slots = _Slots(endpoint.max_connections)
        self.limit = endpoint.max_connections
        self.used_at = 0.0
        # The resolver sees the proxy's name when there is a proxy, and that one is the operator's own.
        self.session = aiohttp.ClientSession(
            connector=_Connector(
                limit=0,
                keepalive_timeout=endpoint.keepalive_s,
                ssl=tls.client_context(endpoint.ca_file) if endpoint.scheme == "https" else False,
                resolver=_Resolver(
                    resolve, endpoint.allow_private or endpoint.proxy is not None, endpoint.private_networks
                ),
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            skip_auto_headers=SKIPPED,
            trust_env=False,
            timeout=aiohttp.ClientTimeout(total=None, connect=endpoint.connect_timeout_s, ceil_threshold=1e9),
            max_line_size=HEADER_LIMIT_BYTES,
            max_field_size=HEADER_LIMIT_BYTES,
        )
        # A POST is never repeated by aiohttp; for other methods it must not be either: retrying is routing's work.
        self.session._retry_connection = False


class AiohttpResponse:
    """An answer of aiohttp's behind the seam; see `providers.transport.UpstreamResponse`."""

    __slots__ = ("_content", "_deadline", "_inflater", "_loop", "_release", "_response", "_timer", "headers", "status")

    def __init__(
        self, response: aiohttp.ClientResponse, release: Callable[[], None], loop: asyncio.AbstractEventLoop
    ) -> None:
        self.status = response.status
        headers = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in response.raw_headers}
        self._response, self._content, self._loop = response, response.content, loop
        self._release: Callable[[], None] | None = release
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = 0.0
        if response.status == 101:
            raise BadAnswer("The upstream switched protocols without being asked.")
        if headers.get("transfer-encoding", "chunked").lower() != "chunked":
            raise BadAnswer("The answer's transfer encoding is not known.")
        self._inflater = inflater(headers.get("content-encoding", ""))
        if self._inflater is not None:
            headers.pop("content-encoding")
            headers.pop("content-length", None)
        self.headers: Mapping[str, str] = headers

    async def chunk(self, timeout_s: float) -> bytes:
        if self._release is None:
            raise StreamTruncated("The answer was closed before it was read.")
        if self._inflater is not None:
            return await self._inflated(self._inflater, timeout_s)
        return await self._raw(timeout_s)

    async def forward(self, consumer: Consumer, timeout_s: float) -> bool:
        return await forward_chunks(self.chunk, consumer, timeout_s)

    async def read(self, *, limit: int, timeout_s: float) -> bytes:
        deadline = self._loop.time() + timeout_s
        pieces: list[bytes] = []
        size = 0
        while piece := await self.chunk(deadline - self._loop.time()):
            size += len(piece)
            if size > limit:
                self.close()
                raise BadAnswer(f"The answer is longer than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        if (release := self._release) is None:
            return
        self._release = None
        if self._timer is not None:
            self._timer.cancel()
        if self._content.is_eof():
            self._response.release()
        else:
            self._response.close()
        release()

    async def _raw(self, timeout_s: float) -> bytes:
        try:
            piece = self._content.read_nowait()
            if piece or self._content.at_eof():
                return piece
            self._arm(timeout_s)
            return await self._content.readany()
        except UpstreamError:
            self.close()
            raise
        except (aiohttp.ClientError, OSError, RuntimeError) as error:
            self.close()
            raise StreamTruncated(f"The answer broke off: {_text(error)}.") from error
        finally:
            self._deadline = float("inf")

    async def _inflated(self, decoder: Inflater, timeout_s: float) -> bytes:
        try:
            return await next_inflated(decoder, self._raw, timeout_s)
        except BadAnswer:
            self.close()
            raise

    def _arm(self, timeout_s: float) -> None:
        self._deadline = deadline = self._loop.time() + timeout_s
        if self._timer is None or self._timer.when() > deadline:
            if self._timer is not None:
                self._timer.cancel()
            self._timer = self._loop.call_at(deadline, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        if self._deadline == float("inf") or self._release is None:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._on_time)
            return
        self._content.set_exception(UpstreamTimeout("The answer went silent.", phase="idle"))


class AiohttpTransport:
    """See `providers.transport.Transport`. Bound to the event loop of its first call."""

    def __init__(self, *, resolve: Resolve = system_resolve) -> None:
        self._resolve = resolve
        self._pools: dict[Endpoint, _Pool] = {}
        self._closing: set[asyncio.Task[None]] = set()
        self._closed = False

    async def send(self, endpoint: Endpoint, request: UpstreamRequest, *, timeout_s: float) -> UpstreamResponse:
        if self._closed:
            raise ConnectFailed("The transport is closed.")
        loop = asyncio.get_running_loop()
        pool = self._pools.get(endpoint) or self._open(endpoint, loop)
        pool.used_at = started = loop.time()
        await pool.slots.acquire(min(endpoint.pool_timeout_s, timeout_s))
        try:
            response = await self._exchange(pool, endpoint, request, timeout_s - (loop.time() - started))
            try:
                return AiohttpResponse(response, pool.slots.release, loop)
            except BaseException:
                response.close()
                raise
        except BaseException:
            pool.slots.release()
            raise

    async def aclose(self) -> None:
        self._closed = True
        pools, self._pools = self._pools, {}
        for pool in pools.values():
            await pool.session.close()
        await asyncio.gather(*self._closing)

    async def _exchange(
        self, pool: _Pool, endpoint: Endpoint, request: UpstreamRequest, timeout_s: float
    ) -> aiohttp.ClientResponse:
        state = _Dial()
        _dial.set(state)
        headers = list(request.headers)
        if not any(name.lower() == "accept-encoding" for name, _ in headers):
            headers.append(("accept-encoding", "identity"))
        try:
            async with asyncio.timeout(timeout_s):
                return await pool.session.request(
                    request.method,
                    URL(pool.base + request.path, encoded=True),
                    data=_payload(request),
                    headers=headers,
                    allow_redirects=False,
                    proxy=endpoint.proxy,
                )
        except UpstreamError:
            raise
        except (aiohttp.ClientError, OSError, ValueError, RuntimeError) as error:
            raise _mapped(error, state) from error

    def _open(self, endpoint: Endpoint, loop: asyncio.AbstractEventLoop) -> _Pool:
        check_literal(endpoint.host, allow_private=endpoint.allow_private, networks=endpoint.private_networks)
        if (proxy := proxy_of(endpoint)) is not None:
            check_literal(proxy.host, allow_private=True)
        for old, pool in list(self._pools.items()):
            if pool.slots.free == pool.limit and loop.time() - pool.used_at > SESSION_IDLE_S:
                del self._pools[old]
                task = loop.create_task(pool.session.close())
                self._closing.add(task)
                task.add_done_callback(self._closing.discard)
        try:
            pool = self._pools[endpoint] = _Pool(endpoint, self._resolve)
        except OSError as error:
            raise ConnectFailed(f"The certificate authorities cannot be read: {error}") from error
        return pool


def _payload(request: UpstreamRequest) -> bytes | io.BytesIO | None:
    if len(request.body) > LARGE_BODY_BYTES:
        return io.BytesIO(request.body)
    return request.body if request.body or request.method == "POST" else None


def _mapped(error: Exception, state: _Dial) -> UpstreamError:
    """aiohttp's exceptions while waiting for headers, as ours."""
    if isinstance(error, TimeoutError):
        phase = "first_token" if state.connected else "connect"
        return UpstreamTimeout("The upstream did not answer in time.", phase=phase)
    if isinstance(error, aiohttp.ClientHttpProxyError):
        return ConnectFailed(refused_tunnel(error.status))
    if isinstance(error, aiohttp.ClientProxyConnectionError):
        return ConnectFailed(f"The proxy cannot be reached: {in_words(error.os_error)}.")
    if isinstance(error, (aiohttp.ClientResponseError, aiohttp.ClientPayloadError)) and state.connected:
        return BadAnswer(f"The answer is not HTTP: {_text(error)}.")
    if isinstance(error, aiohttp.ServerDisconnectedError) and not isinstance(error.message, str):
        return StreamTruncated("The answer broke off inside its headers.")
    if type(error) is aiohttp.ClientConnectorError:
        return ConnectFailed(f"{error.host}:{error.port} cannot be reached: {in_words(error.os_error)}.")
    disconnected = isinstance(error, (aiohttp.ServerDisconnectedError, OSError))
    return ConnectFailed(_text(error), stale=disconnected and state.reused)


def _text(error: Exception) -> str:
    """aiohttp's texts can hold whole header blocks of the upstream."""
    return f"{type(error).__name__}: {error}"[:200]
