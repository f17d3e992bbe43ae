"""A body that goes to a consumer as it arrives: limits of time, refusals, mistakes of the consumer's, and who leaves."""

import asyncio
import gc
import socket
import time

import pytest

from providers.aiohttp_transport import AiohttpTransport
from providers.errors import BadAnswer, ConnectFailed, StreamTruncated, UpstreamTimeout
from providers.http1 import Http1Transport
from providers.transport import Endpoint
from tests.transport.outcomes import REQUEST, WAYS, outcome
from tests.transport.test_pool import abandonable
from tests.transport.wire import Wire, WireServer, answer_then_close, eventually

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
END = b"0\r\n\r\n"


@pytest.fixture(autouse=True)
async def unhandled():
    """What reached the event loop's own handler, which is nobody."""
    found = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: found.append(context))
    yield found
    await asyncio.sleep(0)
    gc.collect()
    assert not found


class Taken:
    """A consumer that is content until it has `enough` pieces, if ever."""

    def __init__(self, enough: int | None = None) -> None:
        self.pieces: list[bytes] = []
        self.tasks: list[object] = []
        self.enough = enough

    def __call__(self, piece: bytes) -> bool:
        assert piece
        self.pieces.append(piece)
        self.tasks.append(asyncio.current_task())
        return self.enough is None or len(self.pieces) < self.enough

    @property
    def body(self) -> bytes:
        return b"".join(self.pieces)


def paced(*pieces: bytes, after_s: float, end: bytes = END):
    """One chunk after the other, each in a segment of its own."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await wire.send(STREAM)
            for piece in pieces:
                await asyncio.sleep(after_s)
                await wire.send(b"%x\r\n%b\r\n" % (len(piece), piece))
            await asyncio.sleep(after_s)
            await wire.send(end)

    return script


def silent_after(data: bytes):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM + data)
        await wire.hang()

    return script


async def test_pieces_are_taken_where_they_arrive_and_the_caller_sleeps(transport, server, endpoint):
    server.script = paced(*[b"%d" % number for number in range(5)], after_s=0.01)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken()
    assert not await response.forward(taken, 2)
    assert taken.pieces == [b"0", b"1", b"2", b"3", b"4"]
    if isinstance(transport, Http1Transport):
        assert set(taken.tasks) == {None}
    response.close()
    assert (await outcome(transport, endpoint)).body == b"01234"
    assert len(server.wires) == 1, "the connection was not used again"


async def test_who_wants_no_more_is_given_no_more_until_it_asks_again(transport, server, endpoint):
    server.script = paced(*[b"%d" % number for number in range(6)], after_s=0.01)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken(enough=2)
    assert await response.forward(taken, 2)
    assert taken.pieces == [b"0", b"1"]
    await asyncio.sleep(0.05)
    assert taken.body == b"01"
    rest = await response.chunk(2)
    assert rest.startswith(b"2")
    taken = Taken()
    assert not await response.forward(taken, 2)
    assert rest + taken.body == b"2345"
    assert not await response.forward(taken, 2)
    assert await response.chunk(2) == b""
    response.close()


async def test_silence_ends_at_the_limit(transport, server, endpoint):
    server.script = silent_after(b"5\r\nhello\r\n")
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken, began = Taken(), time.monotonic()
    with pytest.raises(UpstreamTimeout) as caught:
        await response.forward(taken, 0.1)
    assert caught.value.phase == "idle"
    assert 0.09 < time.monotonic() - began < 0.35
    assert taken.body == b"hello"
    response.close()
    assert await server.all_ended(0.2)


@pytest.mark.parametrize(("end", "error"), [(END, None), (b"", "UpstreamTimeout:idle")])
async def test_silence_is_counted_from_piece_to_piece(transport, server, endpoint, end, error):
    server.script = paced(*[b"x"] * 8, after_s=0.04, end=end)
    began = time.monotonic()
    assert (await outcome(transport, endpoint, idle_s=0.2, way=WAYS["by forward"])).error == error
    assert 0.32 < time.monotonic() - began < 1


async def test_what_is_no_piece_does_not_push_the_limit(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM + b"1\r\nx\r\n")
        await asyncio.sleep(0.02)
        await wire.send(b"1\r\ny\r\n5;")
        while True:
            await wire.send(b"a")
            await asyncio.sleep(0.02)

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken, began = Taken(), time.monotonic()
    with pytest.raises(UpstreamTimeout):
        await response.forward(taken, 0.15)
    assert 0.14 < time.monotonic() - began < 0.5
    assert taken.body == b"xy"
    response.close()


async def test_the_time_that_a_slow_consumer_takes_is_not_the_upstreams_silence(transport, server, endpoint):
    server.script = paced(b"a", b"b", after_s=0.15)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken(enough=1)
    assert await response.forward(taken, 0.25)
    await asyncio.sleep(0.4)
    taken.enough = None
    assert not await response.forward(taken, 0.25)
    assert taken.body == b"ab"
    response.close()


@pytest.mark.parametrize("reset", [False, True])
async def test_a_cut_is_told_after_all_that_came_before_it(transport, server, endpoint, reset):
    server.script = answer_then_close(STREAM + b"5\r\nhello\r\n3\r\nab", reset=reset)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken()
    with pytest.raises(StreamTruncated):
        await response.forward(taken, 2)
    assert taken.body in (b"hello", b"helloab")
    response.close()
    with pytest.raises(StreamTruncated):
        await response.forward(taken, 2)


MISTAKES = [ValueError("a mistake"), BadAnswer("A bad answer."), StopIteration("a mistake")]


@pytest.mark.parametrize("mistake", MISTAKES, ids=lambda mistake: type(mistake).__name__)
@pytest.mark.parametrize("at", [0, 3])
async def test_what_a_consumer_raises_is_the_callers(transport, server, endpoint, unhandled, mistake, at):
    """Also at a piece that was there already. A coroutine raises no StopIteration."""

    def take(piece: bytes) -> bool:
        if b"%d" % at in piece:
            raise mistake
        return True

    server.script = paced(*[b"%d" % number for number in range(5)], after_s=0.01)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    if at == 0:
        await asyncio.sleep(0.02)
    with pytest.raises(RuntimeError if isinstance(mistake, StopIteration) else type(mistake)):
        await response.forward(take, 2)
    response.close()
    assert await server.all_ended(0.2)
    assert not unhandled
    assert (await outcome(transport, endpoint)).body == b"01234"


async def test_a_consumers_mistake_leaves_nothing_to_the_garbage_collector(server, endpoint):
    def take(piece: bytes) -> bool:
        raise ValueError("a mistake")

    transport = Http1Transport()
    server.script = paced(b"a", b"b", after_s=0.001)
    gc.collect()
    gc.disable()
    before = {id(found) for found in abandonable()}
    try:
        for _ in range(20):
            response = await transport.send(endpoint, REQUEST, timeout_s=2)
            with pytest.raises(ValueError, match="a mistake"):
                await response.forward(take, 2)
            response.close()
        del response
        assert await server.all_ended()
        await asyncio.sleep(0.01)
        assert len({id(found) for found in abandonable()} - before) <= 1
    finally:
        gc.enable()
        await transport.aclose()


async def test_a_cancelled_forward_loses_nothing(transport, server, endpoint):
    pieces = [b"%d" % number for number in range(30)]
    server.script = paced(*pieces, after_s=0.002)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken, cancelled = Taken(), 0
    for _ in range(10):
        running = asyncio.ensure_future(response.forward(taken, 5))
        await asyncio.sleep(0.005)
        cancelled += running.cancel()
        await asyncio.gather(running, return_exceptions=True)
    assert cancelled
    assert not taken.pieces or taken.body != b"".join(pieces)
    await response.forward(taken, 5)
    assert taken.body == b"".join(pieces)
    response.close()


async def test_who_was_cancelled_is_given_nothing_more(transport, server, endpoint):
    server.script = paced(*[b"x"] * 20, after_s=0.005)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken()
    running = asyncio.ensure_future(response.forward(taken, 5))
    assert await eventually(lambda: len(taken.pieces) > 1)
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    seen = taken.body
    await asyncio.sleep(0.05)
    assert taken.body == seen
    response.close()
    assert await server.all_ended(0.2)


async def test_a_cancellation_in_the_turn_of_a_mistake_ends_the_caller_and_nothing_else(server, endpoint):
    def take(piece: bytes) -> bool:
        running.cancel()
        raise ValueError("a mistake")

    transport = Http1Transport()
    server.script = paced(b"a", b"b", after_s=0.01)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    running = asyncio.ensure_future(response.forward(take, 2))
    with pytest.raises(asyncio.CancelledError):
        await running
    response.close()
    await transport.aclose()


async def test_closing_the_transport_fails_who_waits(server, endpoint):
    transport = Http1Transport()
    server.script = silent_after(b"1\r\na\r\n")
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken()
    running = asyncio.ensure_future(response.forward(taken, 5))
    assert await eventually(lambda: bool(taken.pieces))
    await transport.aclose()
    with pytest.raises(ConnectFailed):
        await running
    response.close()


async def test_who_wants_no_more_slows_the_upstream_down(transport, server, endpoint):
    written = 0

    async def script(wire: Wire) -> None:
        nonlocal written
        await wire.request()
        wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        for _ in range(1000):
            await wire.send(b"x" * 100_000)
            written += 100_000

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken, before = Taken(enough=1), -1
    assert await response.forward(taken, 2)
    async with asyncio.timeout(10):
        while written != before:
            before = written
            await asyncio.sleep(0.15)
    assert written < 20_000_000
    assert len(taken.pieces) == 1
    response.close()


@pytest.mark.parametrize("way", [way for name, way in WAYS.items() if name != "by chunk"])
async def test_a_large_body_is_forwarded_over_tls(transport_class, authority, way):
    """Where reading stops and goes on within one read."""
    sent = bytes(range(256)) * 16_000

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(sent) + sent)
        await wire.hang()

    async with WireServer(tls=authority.server_context("127.0.0.1")) as server:
        server.script = script
        transport = transport_class()
        endpoint = Endpoint(scheme="https", host="127.0.0.1", port=server.port, ca_file=authority.ca_file)
        try:
            assert (await outcome(transport, endpoint, way=way)).body == sent
        finally:
            await transport.aclose()
            await asyncio.sleep(0.01)


async def test_aiohttp_gives_pieces_in_the_callers_own_task(server, endpoint):
    transport = AiohttpTransport()
    server.script = paced(b"a", b"b", after_s=0.01)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    taken = Taken()
    assert not await response.forward(taken, 2)
    assert set(taken.tasks) == {asyncio.current_task()}
    response.close()
    await transport.aclose()
