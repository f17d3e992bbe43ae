"""A WebSocket whose peer reads nothing, or sends a message in countless pieces or never its end, costs the others
nothing."""

import asyncio
import json
import time
import tracemalloc
from collections.abc import AsyncIterator
from itertools import pairwise
from typing import Any

import pytest
import uvicorn
from uvicorn.server import ServerState

from proxy_site.server import server_config
from proxy_site.socket_connection import TURN_BYTES, SocketConnection
from routing.endpoints.exchange import BODY_DEADLINE_S
from tests.unit.proxy_site.test_client_connection import Socket, settled, turns

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nhost: x\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
TEXT, BINARY, CONTINUATION, PING, PONG = 1, 2, 0, 9, 10
WHOLE = 0x80


def frame(opcode: int, data: bytes, *, last: bool = True) -> bytes:
    """As a client sends it, masked with zeros."""
    return bytes([opcode | (WHOLE if last else 0), WHOLE | len(data)]) + b"\0\0\0\0" + data


class Talk:
    """One open WebSocket and what the application has got."""

    def __init__(self) -> None:
        self.got: list[Any] = []
        self.gate = asyncio.Event()
        self.gate.set()
        self.state = ServerState()
        config = uvicorn.Config(self._listen, interface="asgi3", log_config=None, lifespan="off", ws=SocketConnection)
        config.load()
        self.protocol, self.socket = SocketConnection(config, self.state, {}), Socket()
        self.protocol.connection_made(self.socket)

    async def _listen(self, scope: Any, receive: Any, send: Any) -> None:
        await receive()
        await send({"type": "websocket.accept"})
        while (message := await receive())["type"] == "websocket.receive":
            self.got.append(message.get("text") or message.get("bytes"))
            await self.gate.wait()

    async def sends(self, data: bytes) -> None:
        self.protocol.data_received(data)
        await turns(4 + 2 * len(data) // TURN_BYTES)


@pytest.fixture
async def talk() -> AsyncIterator[Talk]:
    talk = Talk()
    await talk.sends(HANDSHAKE)
    assert talk.socket.written.startswith(b"HTTP/1.1 101 ")
    talk.socket.written = b""
    yield talk
    talk.protocol.connection_lost(None)
    await settled(talk.state)


def test_the_server_speaks_with_these() -> None:
    assert server_config(host="127.0.0.1", port=0).ws is SocketConnection


async def test_pings_whose_answers_nobody_reads_are_not_answered_one_by_one(talk: Talk) -> None:
    await talk.sends(frame(PING, b"first"))
    assert talk.socket.written == bytes([WHOLE | PONG, 5]) + b"first"

    talk.protocol.pause_writing()
    talk.socket.written = b""
    for number in range(100):
        await talk.sends(frame(PING, b"%03d" % number) * 100)
    assert talk.socket.written == b""

    talk.protocol.resume_writing()
    assert talk.socket.written == bytes([WHOLE | PONG, 3]) + b"099"
    talk.protocol.resume_writing()
    await talk.sends(frame(PING, b"later"))
    assert talk.socket.written == bytes([WHOLE | PONG, 3]) + b"099" + bytes([WHOLE | PONG, 5]) + b"later"


@pytest.mark.parametrize("piece", [b"", b" "])
async def test_the_pieces_of_a_message_cost_what_they_hold(talk: Talk, piece: bytes) -> None:
    many = frame(CONTINUATION, piece, last=False) * 1000
    await talk.sends(frame(TEXT, b"{", last=False) + many)
    tracemalloc.start()
    try:
        for _ in range(20):
            await talk.sends(many)
        assert tracemalloc.get_traced_memory()[0] < 100_000
    finally:
        tracemalloc.stop()
    await talk.sends(frame(CONTINUATION, b"}"))
    assert [json.loads(each) for each in talk.got] == [{}]
    assert len(talk.got[0]) == 2 + 21_000 * len(piece)


async def test_a_message_in_pieces_arrives_as_it_was_sent(talk: Talk) -> None:
    await talk.sends(frame(BINARY, b"a", last=False) + frame(PING, b"?") + frame(CONTINUATION, b"b"))
    await talk.sends(frame(TEXT, "xéx".encode()))
    assert talk.got == [b"ab", "xéx"]
    assert type(talk.got[0]) is bytes


@pytest.mark.parametrize("begun", [frame(TEXT, b"{", last=False), frame(TEXT, b"{}")[:-1]])
async def test_the_rest_of_a_message_is_awaited_as_long_as_a_body(talk: Talk, begun: bytes) -> None:
    now = time.monotonic()
    assert not talk.protocol.overdue(now + 3600)
    await talk.sends(begun)
    assert not talk.protocol.overdue(now + BODY_DEADLINE_S - 1)
    # Neither pings nor more pieces without an end give it more time.
    assert talk.protocol.overdue(time.monotonic() + BODY_DEADLINE_S + 1)


async def test_a_message_that_has_come_whole_is_waited_for_no_more(talk: Talk) -> None:
    await talk.sends(frame(TEXT, b"{", last=False))
    await talk.sends(frame(CONTINUATION, b"}"))
    assert talk.got == ["{}"]
    assert not talk.protocol.overdue(time.monotonic() + BODY_DEADLINE_S + 1)


async def test_a_rest_that_could_not_come_is_not_held_against_the_peer(talk: Talk) -> None:
    await talk.sends(frame(TEXT, b"{", last=False))
    talk.protocol.read_paused = True
    later = time.monotonic() + BODY_DEADLINE_S + 1
    assert not talk.protocol.overdue(later)
    talk.protocol.read_paused = False
    assert not talk.protocol.overdue(later + BODY_DEADLINE_S - 1)
    assert talk.protocol.overdue(later + BODY_DEADLINE_S + 1)


async def test_who_sends_very_many_frames_at_once_leaves_others_their_turn(talk: Talk) -> None:
    flood = frame(PING, b"") * 20_000
    talk.protocol.data_received(flood)
    seen = [len(talk.socket.written)]
    while len(talk.socket.written) < 2 * 20_000:
        assert not talk.socket.reading
        await turns(1)
        seen.append(len(talk.socket.written))
    assert max(after - before for before, after in pairwise(seen)) <= 2 * TURN_BYTES
    assert talk.socket.reading


async def test_what_waits_for_its_turn_waits_for_the_application_as_well(talk: Talk) -> None:
    """And arrives in its order, with what came meanwhile behind it."""
    talk.gate.clear()
    messages = [b"%04d" % number for number in range(2_000)]
    for begin in range(0, 2_000, 1_000):
        await talk.sends(b"".join(frame(TEXT, each) for each in messages[begin : begin + 1_000]))
    assert talk.protocol.queue.qsize() <= TURN_BYTES // len(frame(TEXT, messages[0])) + 1
    assert not talk.socket.reading
    talk.gate.set()
    while not talk.socket.reading or len(talk.got) < 2_000:
        await turns(1)
    assert [each.encode() for each in talk.got] == messages


async def test_a_connection_that_is_lost_takes_no_further_turn() -> None:
    talk = Talk()
    await talk.sends(HANDSHAKE)
    talk.protocol.data_received(frame(TEXT, b"x") * 5_000)
    talk.protocol.connection_lost(None)
    await settled(talk.state)
    assert talk.got == []


@pytest.mark.parametrize(
    "more",
    [
        b"content-length: 5\r\n\r\nhello",
        b"transfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        b"cookie: " + b"a" * 10_000 + b"\r\n\r\n",
        b"a: b\r\n" * 200 + b"\r\n",
    ],
)
async def test_a_handshake_that_is_none_is_answered_and_its_connection_closed(more: bytes) -> None:
    talk = Talk()
    await talk.sends(HANDSHAKE.removesuffix(b"\r\n") + more)
    head, _, body = talk.socket.written.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 400 Bad Request\r\n")
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert talk.socket.closed
    await talk.sends(HANDSHAKE)
    assert talk.socket.written == head + b"\r\n\r\n" + body
    talk.protocol.connection_lost(None)
    assert not talk.state.connections
