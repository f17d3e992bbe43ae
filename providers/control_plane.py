"""HTTP for the control plane (probes, discovery): one request, one bounded answer, under the same address policy as calls.

httpx is the client. Names are resolved and checked here, then the address itself is put into the URL, so that nothing
can change between the check and the connect; TLS still verifies the name. Connections are not kept: one to a shared
address that was verified for one vendor must not carry another vendor's key. Redirects, cookies and proxies that httpx
would find by itself are off. What httpx raises becomes `providers.errors` here. Through a proxy the data plane's client
goes: what a proxy refuses reads the same in a probe and in a call.
"""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from http.cookiejar import CookieJar, DefaultCookiePolicy
from types import TracebackType

import httpx

from providers.errors import BadAnswer, ConnectFailed, StreamTruncated, UpstreamTimeout
from providers.http1 import Http1Transport
from providers.resolution import Resolve, admitted_addresses, system_resolve
from providers.tls import client_context
from providers.transport import Endpoint, UpstreamRequest

ANSWER_LIMIT_BYTES = 16 * 1024 * 1024
ADDRESSES_TRIED = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """Header names are lower case."""

    status: int
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)


class ControlPlaneClient:
    """An async context manager. `connections` bounds sockets, `timeout_s` the whole of each request, names included."""

    def __init__(
        self,
        *,
        timeout_s: float,
        connections: int = 100,
        resolve: Resolve = system_resolve,
    ) -> None:
        self._timeout_s = timeout_s
        self._connections = connections
        self._resolve = resolve
        self._clients: dict[str | None, httpx.AsyncClient] = {}
        self._through_proxies = Http1Transport(resolve=resolve)
        self._sockets_to_proxies = asyncio.Semaphore(connections)

    async def __aenter__(self) -> "ControlPlaneClient":
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        for client in self._clients.values():
            await client.aclose()
        await self._through_proxies.aclose()

    async def send(self, endpoint: Endpoint, request: UpstreamRequest) -> Answer:
        """Raises `ConnectFailed`, `UpstreamTimeout`, `StreamTruncated` or `BadAnswer`."""
        phase = "connect"
        try:
            async with asyncio.timeout(self._timeout_s):
                if endpoint.proxy is not None:
                    return await self._through_proxy(endpoint, request)
                addresses = await admitted_addresses(
                    self._resolve,
                    endpoint.host,
                    endpoint.port,
                    allow_private=endpoint.allow_private,
                    networks=endpoint.private_networks,
                )
                phase = "total"
                return await self._first_that_connects(endpoint, request, addresses[:ADDRESSES_TRIED])
        except TimeoutError:
            message = f"no complete answer within {self._timeout_s:g} s"
            raise UpstreamTimeout(message, phase=phase) from None

    async def _through_proxy(self, endpoint: Endpoint, request: UpstreamRequest) -> Answer:
        once = replace(endpoint, keepalive_s=0.0)
        async with self._sockets_to_proxies:
            response = await self._through_proxies.send(once, request, timeout_s=self._timeout_s)
            try:
                body = await response.read(limit=ANSWER_LIMIT_BYTES, timeout_s=self._timeout_s)
            finally:
                response.close()
        return Answer(status=response.status, headers=response.headers, body=body)

    async def _first_that_connects(
        self, endpoint: Endpoint, request: UpstreamRequest, addresses: tuple[str, ...]
    ) -> Answer:
        for position, address in enumerate(addresses):
            try:
                return await self._send_to(address, endpoint, request)
            except ConnectFailed:
                if position + 1 == len(addresses):
                    raise
        raise ConnectFailed(f"no address of {endpoint.host} was found")

    async def _send_to(self, address: str, endpoint: Endpoint, request: UpstreamRequest) -> Answer:
        host = f"[{address}]" if ":" in address else address
        url = f"{endpoint.scheme}://{host}:{endpoint.port}{request.path}"
        headers = [("host", endpoint.authority), *request.headers]
        try:
            async with self._client(endpoint.ca_file).stream(
                request.method,
                url,
                headers=headers,
                content=request.body or None,
                extensions={"sni_hostname": endpoint.host},
            ) as response:
                return Answer(
                    status=response.status_code,
                    headers={name.lower(): value for name, value in response.headers.items()},
                    body=await self._read(response),
                )
        except httpx.TimeoutException as error:
            raise UpstreamTimeout(f"no answer from {endpoint.host} in time", phase="total") from error
        except (httpx.ConnectError, httpx.WriteError, httpx.ReadError) as error:
            raise ConnectFailed(f"{endpoint.host} cannot be reached: {_reason(error)}") from error
        except (httpx.RemoteProtocolError, httpx.DecodingError) as error:
            raise StreamTruncated(f"the answer of {endpoint.host} is broken: {_reason(error)}") from error
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise BadAnswer(f"the request to {endpoint.host} failed: {type(error).__name__}") from error

    async def _read(self, response: httpx.Response) -> bytes:
        parts: list[bytes] = []
        size = 0
        async for part in response.aiter_bytes():
            size += len(part)
            if size > ANSWER_LIMIT_BYTES:
                raise BadAnswer(f"the answer is longer than {ANSWER_LIMIT_BYTES} bytes")
            parts.append(part)
        return b"".join(parts)

    def _client(self, ca_file: str | None) -> httpx.AsyncClient:
        client = self._clients.get(ca_file)
        if client is None:
            client = self._clients[ca_file] = httpx.AsyncClient(
                verify=client_context(ca_file),
                trust_env=False,
                # By address, one vendor's cookie would be sent to another behind the same one.
                cookies=CookieJar(DefaultCookiePolicy(allowed_domains=[])),
                follow_redirects=False,
                timeout=self._timeout_s,
                limits=httpx.Limits(max_connections=self._connections, max_keepalive_connections=0),
            )
        return client


def _reason(error: httpx.HTTPError) -> str:
    """The text of a connection error names addresses and causes, never headers or bodies."""
    return str(error) or type(error).__name__
