"""A connection that waits for another request is closed in time, and never while it is being answered."""

import asyncio
import time
from typing import Any

import uvicorn

from proxy_site.client_connection import GatewayProtocol, GatewayServerState

REQUEST = b"GET / HTTP/1.1\r\nhost: here\r\n\r\n"
KEPT_S = 75


class Socket(asyncio.Transport):
    def __init__(self) -> None:
        super().__init__()
        self.written = b""
        self.closed = False

    def write(self, data: Any) -> None:
        self.written += data

    def close(self) -> None:
        self.closed = True

    def is_closing(self) -> bool:
        return self.closed

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None: ...
    def resume_reading(self) -> None: ...


async def test_a_connection_is_unused_only_after_it_was_answered_and_nothing_came_for_long() -> None:
    may_answer = asyncio.Event()

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = uvicorn.Config(application, timeout_keep_alive=KEPT_S, log_config=None, lifespan="off")
    config.load()
    connection = GatewayProtocol(config=config, server_state=GatewayServerState(), app_state={})
    socket = Socket()
    connection.connection_made(socket)
    connection.data_received(REQUEST)
    later = time.monotonic() + KEPT_S + 1
    assert not connection.unused(later)
    may_answer.set()
    while not socket.written:
        await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert not connection.unused(time.monotonic() + KEPT_S - 1)
    assert connection.unused(later)
    connection.data_received(REQUEST[:10])
    assert not connection.unused(later)
