"""A proxy on the way out, as companies have them: tunnels for https, whole addresses for http, a password if wanted.

Names lead where the test says, so that they need no name server: the proxy is who resolves them.
"""

import asyncio
import base64
import contextlib
from collections.abc import Iterator, Mapping
from urllib.parse import urlsplit

from tests.upstreams.in_thread import in_thread

REFUSAL = b"HTTP/1.1 %d No\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"


class OutgoingProxy:
    """`leads_to` is the port on 127.0.0.1 for each name; others get 502. `user` is `name:password`, or empty for anybody.
    `asked` are method and target of each request that came, also of those that were refused."""

    def __init__(self, leads_to: Mapping[str, int], *, user: str = "") -> None:
        self.leads_to, self.asked, self.port = dict(leads_to), list[str](), 0
        self._authorization = b"basic " + base64.b64encode(user.encode()) if user else b""

    async def __aenter__(self) -> "OutgoingProxy":
        self._server = await asyncio.start_server(self.serve, "127.0.0.1", 0)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *reason: object) -> None:
        self._server.close()
        for task in (left := asyncio.all_tasks() - {asyncio.current_task()}):
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            await self._serve(reader, writer)
        writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        first, *fields = (await reader.readuntil(b"\r\n\r\n"))[:-4].split(b"\r\n")
        method, target, _ = first.split(b" ")
        self.asked.append(f"{method.decode()} {target.decode()}")
        headers = {name.lower(): value for name, _, value in (field.partition(b": ") for field in fields)}
        given = headers.pop(b"proxy-authorization", b"")
        parts = urlsplit(("//" if method == b"CONNECT" else "") + target.decode())
        port = self.leads_to.get(parts.hostname or "")
        if self._authorization and given.replace(b"Basic ", b"basic ") != self._authorization:
            writer.write(REFUSAL % 407)
            return
        if port is None:
            writer.write(REFUSAL % 502)
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port)
        if method == b"CONNECT":
            writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        else:
            body = await reader.readexactly(int(headers.get(b"content-length", 0)))
            lines = [b"%b: %b\r\n" % field for field in {**headers, b"connection": b"close"}.items()]
            path = f"{parts.path}?{parts.query}" if parts.query else parts.path
            far_writer.write(b"%b %b HTTP/1.1\r\n%b\r\n%b" % (method, path.encode(), b"".join(lines), body))
        await asyncio.gather(_pipe(reader, far_writer), _pipe(far_reader, writer))


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


@contextlib.contextmanager
def outgoing_proxy(leads_to: Mapping[str, int], *, user: str = "") -> Iterator[OutgoingProxy]:
    """In a thread, on a free port of 127.0.0.1."""
    proxy = OutgoingProxy(leads_to, user=user)
    with in_thread(proxy):
        yield proxy
