"""Pieces of a stream that are written by who must not wait: all of them or nothing, in order, and never into another answer."""

import asyncio
from typing import Any

import pytest

from proxy_site.client_connection import GatewayProtocol, GatewayServerState
from proxy_site.request_cycle import RequestCycle
from tests.unit.proxy_site.test_client_connection import HOST, Socket, connection, settled, turns

GET = b"GET / HTTP/1.1\r\n" + HOST + b"\r\n"
OLD = b"GET / HTTP/1.0\r\n\r\n"
HEADERS = b"content-type: text/event-stream\r\n"


class Streaming:
    """Requests on one connection whose answers have begun, and are then written by the test."""

    def __init__(self, *requests: bytes) -> None:
        self.cycles: list[RequestCycle] = []
        self.ends: list[asyncio.Event] = []
        self.state = GatewayServerState()
        protocol, self.socket = connection(GatewayProtocol, self._answer, self.state)
        assert isinstance(protocol, GatewayProtocol)
        self.protocol = protocol
        for request in requests:
            protocol.data_received(request)

    async def _answer(self, scope: Any, receive: Any, send: Any) -> None:
        cycle: RequestCycle = scope["extensions"].pop("llm_proxy.connection")
        self.cycles.append(cycle)
        self.ends.append(asyncio.Event())
        await cycle.begin(HEADERS)
        await self.ends[-1].wait()

    async def begun(self) -> tuple[RequestCycle, Socket]:
        """The first answer's cycle, and its socket without the head."""
        await turns(3)
        assert self.socket.written.endswith(b"\r\n\r\n")
        self.socket.written = b""
        return self.cycles[0], self.socket

    async def over(self) -> None:
        for end in self.ends:
            end.set()
        self.protocol.connection_lost(None)
        await settled(self.state)


@pytest.mark.parametrize(("request_", "wire"), [(GET, b"5\r\nhello\r\n2\r\nab\r\n0\r\n\r\n"), (OLD, b"helloab")])
async def test_a_piece_is_written_in_the_framing_of_its_answer(request_: bytes, wire: bytes) -> None:
    streaming = Streaming(request_)
    cycle, socket = await streaming.begun()
    assert cycle.push(b"hello")
    assert cycle.push(b"ab")
    await cycle.end(b"")
    await turns(1)
    assert socket.written == wire
    assert socket.closed == (request_ is OLD)
    await streaming.over()


async def test_nothing_is_written_while_the_client_is_slow_to_read() -> None:
    streaming = Streaming(GET)
    cycle, socket = await streaming.begun()
    streaming.protocol.pause_writing()
    assert not cycle.push(b"hello")
    assert socket.written == b""
    streaming.protocol.resume_writing()
    assert cycle.push(b"hello")
    await turns(1)
    assert socket.written == b"5\r\nhello\r\n"
    await streaming.over()


async def test_who_may_wait_writes_as_soon_as_the_client_reads_on() -> None:
    streaming = Streaming(GET)
    cycle, socket = await streaming.begun()
    streaming.protocol.pause_writing()
    writing = asyncio.create_task(cycle.write(b"hello"))
    await turns(3)
    assert not cycle.push(b"before it")
    streaming.protocol.resume_writing()
    await writing
    assert cycle.push(b"after it")
    await turns(1)
    assert socket.written == b"5\r\nhello\r\n8\r\nafter it\r\n"
    await streaming.over()


async def test_who_waits_goes_on_waiting_when_another_has_filled_the_connection_again() -> None:
    streaming = Streaming(GET)
    cycle, socket = await streaming.begun()
    streaming.protocol.pause_writing()
    writing = asyncio.create_task(cycle.write(b"hello"))
    await turns(3)
    streaming.protocol.resume_writing()
    assert cycle.push(b"much")
    streaming.protocol.pause_writing()
    await turns(3)
    assert not writing.done()
    assert socket.written == b"4\r\nmuch\r\n"
    streaming.protocol.resume_writing()
    await writing
    await turns(1)
    assert socket.written == b"4\r\nmuch\r\n5\r\nhello\r\n"
    await streaming.over()


async def test_nothing_is_written_to_a_client_that_left_and_nobody_waits_for_it() -> None:
    streaming = Streaming(GET)
    cycle, socket = await streaming.begun()
    streaming.protocol.pause_writing()
    writing = asyncio.create_task(cycle.write(b"hello"))
    await turns(3)
    streaming.protocol.connection_lost(ConnectionResetError())
    assert cycle.push(b"hello")
    await asyncio.wait_for(writing, 1)
    await turns(1)
    assert socket.written == b""
    await streaming.over()


async def test_a_client_that_leaves_with_another_request_waiting_is_no_mistake_of_the_applications(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The connection knows the request that came last, and it is the one before it that is answered."""
    streaming = Streaming(GET, GET)
    cycle, socket = await streaming.begun()
    streaming.protocol.connection_lost(ConnectionResetError())
    assert cycle.push(b"hello")
    await turns(1)
    assert socket.written == b""
    streaming.ends[0].set()
    await turns(3)
    assert not caplog.records
    await streaming.over()


async def test_a_piece_after_the_end_is_not_taken_for_the_next_answer() -> None:
    streaming = Streaming(GET + GET)
    first, socket = await streaming.begun()
    await first.end(b"all")
    streaming.ends[0].set()
    await turns(4)
    second = streaming.cycles[1]
    assert socket.written.count(b"HTTP/1.1 200 OK\r\n") == 1
    socket.written = b""
    assert first.push(b"late")
    await first.write(b"later")
    assert second.push(b"hello")
    await turns(1)
    assert socket.written == b"5\r\nhello\r\n"
    await streaming.over()


async def test_a_request_reads_nothing_of_its_class_and_its_connection_is_small_enough() -> None:
    """Python 3.11 reads both ten times as slowly: what a class holds for its objects, and anything of an object that was
    given more than thirty attributes, or others than its siblings."""
    streaming = Streaming(GET)
    cycle, _ = await streaming.begun()
    assert not vars(cycle).keys() & vars(RequestCycle).keys()
    assert vars(cycle).keys() == vars(RequestCycle(streaming.protocol, {}, True)).keys()
    assert len(vars(streaming.protocol)) <= 30
    await streaming.over()
