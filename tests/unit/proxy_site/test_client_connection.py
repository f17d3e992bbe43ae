"""A client connection of ours answers as uvicorn's own does, however the bytes of its requests arrive; and one that waits for
another request is closed in time, and never while it is being answered."""

import asyncio
import gc
import re
import time
from typing import Any

import pytest
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.server import ServerState

from proxy_site.client_connection import GatewayProtocol, GatewayServerState

HOST = b"host: here\r\n"
KEPT_S = 75
GET = b"GET /v1/models?limit=2 HTTP/1.1\r\n" + HOST + b"\r\n"
POST = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\ncontent-length: 5\r\n\r\nhello"
CHUNKED = b"POST /x HTTP/1.1\r\n" + HOST + b"transfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n"
REQUESTS = {
    "a query": GET,
    "a body": POST,
    "a body in chunks": CHUNKED,
    "an empty body": b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 0\r\n\r\n",
    "one after another": GET + POST + CHUNKED + GET,
    "the last on its connection": b"GET / HTTP/1.1\r\n" + HOST + b"connection: close\r\n\r\n" + GET,
    "HTTP 1.0": b"GET / HTTP/1.0\r\n\r\n",
    "HTTP 1.0, kept": b"GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\n",
    "HEAD": b"HEAD /v1/models HTTP/1.1\r\n" + HOST + b"\r\n" + GET,
    "escapes in the path": b"GET /a%20b/%C3%A9?c=%20 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a whole address": b"GET http://there:8000/p?q=1 HTTP/1.1\r\n" + HOST + b"\r\n",
    "a client that asks before it sends": b"POST / HTTP/1.1\r\n"
    + HOST
    + b"expect: 100-continue\r\ncontent-length: 2\r\n\r\nab",
    "no path": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n",
    "an unknown method": b"BREW / HTTP/1.1\r\n" + HOST + b"\r\n",
    "a header without a name": b"GET / HTTP/1.1\r\n: x\r\n\r\n",
    "two lengths": b"POST / HTTP/1.1\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab",
    "a length beside chunks": b"POST / HTTP/1.1\r\ncontent-length: 1\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    "a body that ends early": POST[:-1],
}
"""What a connection may be sent; each is cut into two at every byte."""


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = self.ended = False
        self.reading = True
        self.protocol: asyncio.BaseProtocol | None = None

    def write(self, data: Any) -> None:
        if not self.closed:
            self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def pause_reading(self) -> None:
        self.reading = False

    def resume_reading(self) -> None:
        self.reading = True

    def write_eof(self) -> None:
        self.ended = True

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self.protocol = protocol

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...


async def told(scope: Any, receive: Any, send: Any) -> None:
    """Answers with what it was asked."""
    body, message = b"", {"more_body": True}
    while message["more_body"]:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        body += message["body"]
    about = {name: scope[name] for name in ("method", "path", "raw_path", "query_string", "http_version", "headers")}
    text = f"{about} {body!r}".encode()
    length = (b"content-length", b"%d" % len(text))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": text})


def connection(
    kind: type[HttpToolsProtocol], app: Any, state: ServerState, **options: Any
) -> tuple[HttpToolsProtocol, Socket]:
    config = uvicorn.Config(app, interface="asgi3", log_config=None, lifespan="off", **options)
    protocol, socket = kind(config=config, server_state=state, app_state={}), Socket()
    protocol.connection_made(socket)
    return protocol, socket


async def turns(count: int) -> None:
    """Of the event loop."""
    for _ in range(count):
        await asyncio.sleep(0)


async def settled(state: ServerState) -> None:
    """Until nobody has anything more to do, or all wait for what does not come."""
    await turns(12)
    for task in list(state.tasks):
        task.cancel()
    await asyncio.sleep(0)


async def sent(kind: type[HttpToolsProtocol], pieces: list[bytes], app: Any = told) -> tuple[bytes, bool]:
    """What came back, and whether the connection was closed."""
    state = GatewayServerState()
    protocol, socket = connection(kind, app, state)
    for piece in pieces:
        if not socket.closed:
            protocol.data_received(piece)
        await turns(3)
    await turns(12)
    outcome = (_without_refusal(socket.written), socket.closed)
    protocol.connection_lost(None)
    await settled(state)
    return outcome


def _without_refusal(written: bytes) -> bytes:
    """uvicorn refuses in plain text, the gateway in the shape of the API."""
    return re.sub(rb"(HTTP/1.1 400 Bad Request\r\n).*", rb"\1", written, flags=re.S)


@pytest.mark.parametrize("wire", REQUESTS.values(), ids=REQUESTS.keys())
async def test_every_request_is_answered_as_by_uvicorn_wherever_it_is_cut(wire: bytes) -> None:
    expected = await sent(HttpToolsProtocol, [wire])
    assert await sent(GatewayProtocol, [wire]) == expected
    for at in range(1, len(wire)):
        pieces = [wire[:at], wire[at:]]
        assert await sent(GatewayProtocol, pieces) == await sent(HttpToolsProtocol, pieces), pieces


async def test_a_body_that_nobody_reads_stops_the_connection_from_reading_more() -> None:
    async def asleep(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, asleep, state)
    protocol.data_received(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 1000000\r\n\r\n")
    for _ in range(3):
        assert socket.reading
        protocol.data_received(b"x" * 30_000)
    assert not socket.reading
    await settled(state)


async def test_a_request_that_breaks_outside_the_application_is_answered_in_the_shape_of_the_api() -> None:
    async def broken(scope: Any, receive: Any, send: Any) -> None:
        raise RuntimeError("a mistake")

    written, closed = await sent(GatewayProtocol, [GET], broken)
    assert written.startswith(b"HTTP/1.1 500 Internal Server Error\r\ncontent-type: application/json\r\n")
    assert b'"code":"internal_error"' in written
    assert b"mistake" not in written
    assert closed


async def test_an_application_that_ends_in_the_middle_of_its_answer_costs_the_connection() -> None:
    async def halfway(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"9")]})

    written, closed = await sent(GatewayProtocol, [GET], halfway)
    assert written == b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n"
    assert closed


async def test_an_answered_request_leaves_nothing_for_the_garbage_collector() -> None:
    state = GatewayServerState()
    protocol, _ = connection(GatewayProtocol, told, state)
    protocol.data_received(GET)
    await settled(state)
    gc.collect()
    gc.disable()
    try:
        for _ in range(50):
            protocol.data_received(POST)
            await turns(5)
        protocol.connection_lost(None)
        del protocol
        assert gc.collect() < 50
    finally:
        gc.enable()
    assert not state.tasks


async def test_a_connection_is_unused_only_after_it_was_answered_and_nothing_came_for_long() -> None:
    may_answer = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    protocol, socket = connection(GatewayProtocol, application, GatewayServerState(), timeout_keep_alive=KEPT_S)
    assert isinstance(protocol, GatewayProtocol)
    protocol.data_received(GET)
    later = time.monotonic() + KEPT_S + 1
    assert not protocol.unused(later)
    may_answer.set()
    while not socket.written:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not protocol.unused(time.monotonic() + KEPT_S - 1)
    assert protocol.unused(later)
    protocol.data_received(GET[:10])
    assert not protocol.unused(later)
