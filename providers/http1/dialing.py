"""Opening a connection: resolve → check → connect to a checked address → tunnel through a proxy → TLS.

The socket goes to the address that was checked, while SNI and certificate verification use the endpoint's name.
Names are resolved anew every `RESOLVED_FOR_S`, so a burst of connections asks once.
"""

import asyncio
import ssl
from typing import Final

from providers import tls
from providers.errors import ConnectFailed, UpstreamTimeout
from providers.http1.connection import Connection
from providers.proxies import Proxy, ProxyError, parse_proxy
from providers.resolution import Resolve, admitted_addresses, check_literal, in_words
from providers.transport import Endpoint

RESOLVED_FOR_S: Final = 10.0
PROXY_ANSWER_LIMIT_BYTES: Final = 16 * 1024


def proxy_of(endpoint: Endpoint) -> Proxy | None:
    """`ConnectFailed` for one that cannot be used."""
    if not endpoint.proxy:
        return None
    try:
        return parse_proxy(endpoint.proxy)
    except ProxyError as error:
        raise ConnectFailed(f"The proxy cannot be used: {error}.") from error


def refused_tunnel(status: int) -> str:
    wanted = ": it wants a user and a password that it knows" if status == 407 else ""
    return f"The proxy refused the tunnel with status {status}{wanted}."


class Dialer:
    """Opens connections to one endpoint. `ConnectFailed` or `UpstreamTimeout` (phase `connect`) when it cannot."""

    def __init__(self, endpoint: Endpoint, resolve: Resolve, loop: asyncio.AbstractEventLoop) -> None:
        self._endpoint, self._resolve, self._loop = endpoint, resolve, loop
        check_literal(endpoint.host, allow_private=endpoint.allow_private, networks=endpoint.private_networks)
        self.proxy = proxy_of(endpoint)
        # Whoever reads that a call failed need not know where the proxy is; who runs it does.
        self._next = "The proxy" if self.proxy is not None else f"{endpoint.host}:{endpoint.port}"
        self._known: tuple[str, ...] = ()
        self._known_until = 0.0

    async def dial(self, timeout_s: float) -> Connection:
        deadline = self._loop.time() + timeout_s
        try:
            async with asyncio.timeout_at(deadline):
                addresses = await self._addresses()
        except TimeoutError as error:
            raise UpstreamTimeout("The name was not resolved in time.", phase="connect") from error
        failure: ConnectFailed | UpstreamTimeout | None = None
        for left, ip in zip(range(len(addresses), 0, -1), addresses, strict=True):
            share = max(0.0, deadline - self._loop.time()) / left
            try:
                async with asyncio.timeout(share):
                    return await self._open(ip)
            except TimeoutError:
                through = " through the proxy" if self.proxy is not None else ""
                failure = UpstreamTimeout(f"The connection{through} was not made in time.", phase="connect")
            except ssl.SSLError as error:
                failure = ConnectFailed(f"TLS with {self._endpoint.host} failed: {error}")
                failure.__cause__ = error
            except OSError as error:
                failure = ConnectFailed(f"{self._next} cannot be reached: {in_words(error)}.")
                failure.__cause__ = error
        # Names may have moved: the next attempt asks again.
        self._known_until = 0.0
        raise failure or ConnectFailed(f"{self._endpoint.host} has no address.")

    async def _addresses(self) -> tuple[str, ...]:
        if self._loop.time() < self._known_until:
            return self._known
        if self.proxy is not None:
            found = await self._addresses_of(self.proxy)
        else:
            endpoint = self._endpoint
            found = await admitted_addresses(
                self._resolve,
                endpoint.host,
                endpoint.port,
                allow_private=endpoint.allow_private,
                networks=endpoint.private_networks,
            )
        self._known, self._known_until = found, self._loop.time() + RESOLVED_FOR_S
        return found

    async def _addresses_of(self, proxy: Proxy) -> tuple[str, ...]:
        """The proxy is the operator's own; it resolves the endpoint's name itself."""
        try:
            return await admitted_addresses(self._resolve, proxy.host, proxy.port, allow_private=True)
        except ConnectFailed as error:
            raise ConnectFailed("The proxy's name has no address that can be connected to.") from error

    async def _open(self, ip: str) -> Connection:
        endpoint = self._endpoint
        secure = endpoint.scheme == "https"
        if self.proxy is not None and secure:
            return await self._through(self.proxy, ip)
        connection = Connection(self._loop)
        await self._loop.create_connection(
            lambda: connection,
            ip,
            self.proxy.port if self.proxy is not None else endpoint.port,
            ssl=tls.client_context(endpoint.ca_file) if secure else None,
            server_hostname=endpoint.host if secure else None,
        )
        return connection

    async def _through(self, proxy: Proxy, ip: str) -> Connection:
        endpoint = self._endpoint
        transport, tunnel = await self._loop.create_connection(lambda: _Tunnel(self._loop), ip, proxy.port)
        try:
            host = f"[{endpoint.host}]" if ":" in endpoint.host else endpoint.host
            target = f"{host}:{endpoint.port}"
            authorization = f"proxy-authorization: {proxy.authorization}\r\n" if proxy.authorization else ""
            transport.write(f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n{authorization}\r\n".encode())
            await tunnel.opened
            connection = Connection(self._loop)
            connection.connection_made(await self._secured(transport, connection))
        except BaseException:
            transport.abort()
            raise
        return connection

    async def _secured(self, transport: asyncio.Transport, connection: Connection) -> asyncio.Transport:
        context, host = tls.client_context(self._endpoint.ca_file), self._endpoint.host
        try:
            secured = await self._loop.start_tls(transport, connection, context, server_hostname=host)
        except ssl.SSLError:
            raise
        except OSError as error:
            raise ConnectFailed(f"The tunnel through the proxy broke off: {in_words(error)}.") from error
        if secured is None:
            raise ConnectFailed("The proxy closed the tunnel.")
        return secured


class _Tunnel(asyncio.Protocol):
    """Waits for a proxy's answer to CONNECT."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.opened: asyncio.Future[None] = loop.create_future()
        self._answer = b""

    def data_received(self, data: bytes) -> None:
        self._answer += data
        head, end, rest = self._answer.partition(b"\r\n\r\n")
        if end or len(self._answer) > PROXY_ANSWER_LIMIT_BYTES:
            self._finish(_proxy_fault(head, rest if end else b"too long"))

    def eof_received(self) -> None:
        self._finish("The proxy closed the connection.")

    def connection_lost(self, exc: Exception | None) -> None:
        self._finish("The proxy closed the connection.")

    def _finish(self, fault: str | None) -> None:
        if self.opened.done():
            return
        if fault is None:
            self.opened.set_result(None)
        else:
            self.opened.set_exception(ConnectFailed(fault))
            # A dial that was given up never looks, which must not be reported as forgotten.
            self.opened.exception()


def _proxy_fault(head: bytes, rest: bytes) -> str | None:
    version, _, tail = head.partition(b"\r\n")[0].partition(b" ")
    if not version.startswith(b"HTTP/1.") or not tail[:3].isdigit():
        return "The proxy's answer is not HTTP."
    if not tail.startswith(b"2"):
        return refused_tunnel(int(tail[:3]))
    # The server speaks second in TLS: bytes that come now are not its own.
    return "The proxy sent more than its answer." if rest else None
