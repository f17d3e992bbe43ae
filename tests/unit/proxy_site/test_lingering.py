"""A connection whose request was answered before it had come whole: what still comes is thrown away, within bounds."""

import asyncio
from typing import Any

import pytest

from proxy_site import lingering
from proxy_site.client_connection import GatewayProtocol, GatewayServerState
from tests.unit.proxy_site.test_client_connection import GET, HOST, Socket, connection, turns

BEGUN = b"POST /v1/chat/completions HTTP/1.1\r\n" + HOST + b"content-length: 9000000\r\n\r\n"


def refusing(asked: list[str]) -> Any:
    async def refuse(scope: Any, receive: Any, send: Any) -> None:
        asked.append(scope["path"])
        cycle = scope["extensions"]["llm_proxy.connection"]
        await cycle.respond(401, b"content-length: 0\r\nconnection: close\r\n", b"")

    return refuse


async def refused(asked: list[str]) -> tuple[GatewayServerState, Socket]:
    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, refusing(asked), state)
    protocol.data_received(BEGUN)
    await turns(5)
    assert socket.written.startswith(b"HTTP/1.1 401 ")
    assert not socket.closed
    return state, socket


async def test_the_end_of_the_answer_is_told_at_once() -> None:
    _, socket = await refused([])
    assert socket.ended
    socket.protocol.connection_lost(None)


async def test_what_still_comes_is_no_request() -> None:
    asked: list[str] = []
    _, socket = await refused(asked)
    socket.protocol.data_received(GET)
    await turns(5)
    assert asked == ["/v1/chat/completions"]
    socket.protocol.connection_lost(None)


async def test_no_more_is_taken_than_a_request_may_have() -> None:
    _, socket = await refused([])
    for _ in range(8):
        socket.protocol.data_received(bytes(1024 * 1024))
    assert not socket.closed
    socket.protocol.data_received(b"x")
    assert socket.closed
    socket.protocol.connection_lost(None)


async def test_no_longer_is_waited_than_for_headers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lingering, "LINGER_S", 0.01)
    _, socket = await refused([])
    await asyncio.sleep(0.05)
    assert socket.closed
    socket.protocol.connection_lost(None)


async def test_a_connection_that_is_lost_is_forgotten() -> None:
    state, socket = await refused([])
    assert len(state.connections) == 1
    socket.protocol.connection_lost(None)
    assert not state.connections
