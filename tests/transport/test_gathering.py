"""Streams that come fast are read together while many run; nothing is lost, and nobody else waits."""

import asyncio
import time

import pytest

from providers.http1 import Http1Transport
from providers.http1.gathering import CROWD, REST_S, Gatherer, gatherer_of
from providers.transport import Consumer, Endpoint
from tests.transport.outcomes import REQUEST
from tests.transport.test_forward import Taken, paced
from tests.transport.wire import WireServer

PIECES = [b"%04d" % number for number in range(200)]


class Reader:
    def __init__(self) -> None:
        self.told: list[str] = []

    def pause(self) -> None:
        self.told.append("pause")

    def resume(self) -> None:
        self.told.append("resume")


async def streamed(transport: Http1Transport, endpoint, consumer: Consumer) -> None:
    response = await transport.send(endpoint, REQUEST, timeout_s=10)
    try:
        assert not await response.forward(consumer, 10)
    finally:
        response.close()


@pytest.fixture
async def http1():
    transport = Http1Transport()
    yield transport
    await transport.aclose()


@pytest.fixture
def rests(monkeypatch) -> list[Reader]:
    """Who rested. However slow this machine is at the moment, all that comes counts as fast."""
    found = []

    rest = Gatherer.rest

    def noting(self, reader):
        found.append(reader)
        rest(self, reader)

    monkeypatch.setattr(Gatherer, "rest", noting)
    monkeypatch.setattr("providers.http1.connection.SOON_S", 60.0)
    return found


async def test_many_fast_streams_rest_and_arrive_whole(rests, http1, server, endpoint):
    server.script = paced(*PIECES, after_s=0)
    taken = [Taken() for _ in range(2 * CROWD)]
    await asyncio.gather(*[streamed(http1, endpoint, each) for each in taken])
    assert [each.body for each in taken] == [b"".join(PIECES)] * len(taken)
    assert len(set(rests)) == len(taken)
    assert gatherer_of(asyncio.get_running_loop()).streams == 0


async def test_over_tls_they_arrive_whole_as_well(rests, http1, authority):
    async with WireServer(tls=authority.server_context("127.0.0.1")) as server:
        server.script = paced(*PIECES, after_s=0)
        endpoint = Endpoint(scheme="https", host="127.0.0.1", port=server.port, ca_file=authority.ca_file)
        taken = [Taken() for _ in range(2 * CROWD)]
        await asyncio.gather(*[streamed(http1, endpoint, each) for each in taken])
        assert [each.body for each in taken] == [b"".join(PIECES)] * len(taken)
        assert len(set(rests)) == len(taken)
        await http1.aclose()


async def test_a_connection_that_rested_carries_the_next_call(http1, server, endpoint):
    server.script = paced(*PIECES, after_s=0)
    for _ in range(3):
        taken = [Taken() for _ in range(CROWD)]
        await asyncio.gather(*[streamed(http1, endpoint, each) for each in taken])
        assert {each.body for each in taken} == {b"".join(PIECES)}
    assert len(server.wires) == CROWD


async def test_a_stream_that_comes_no_faster_than_a_model_writes_does_not_rest(http1, server, endpoint, monkeypatch):
    rested = []
    monkeypatch.setattr(Gatherer, "rest", lambda self, reader: rested.append(reader))
    server.script = paced(*PIECES, after_s=0.02)
    taken = [Taken() for _ in range(CROWD)]
    streams = [asyncio.create_task(streamed(http1, endpoint, each)) for each in taken]
    await asyncio.sleep(0.5)
    # Where the machine stood still for a moment, what had gathered came at once.
    assert len(rested) < sum(len(each.pieces) for each in taken) / 4
    for stream in streams:
        stream.cancel()
    await asyncio.gather(*streams, return_exceptions=True)


@pytest.mark.parametrize("streams", [CROWD - 1, CROWD])
async def test_few_streams_never_rest(streams):
    gatherer, reader = Gatherer(asyncio.get_running_loop()), Reader()
    gatherer.streams = streams
    gatherer.rest(reader)
    assert reader.told == (["pause"] if streams == CROWD else [])


async def test_all_that_rest_go_on_together_and_none_rests_longer_than_it_should():
    gatherer, readers = Gatherer(asyncio.get_running_loop()), [Reader() for _ in range(3)]
    gatherer.streams = CROWD
    began = time.monotonic()
    gatherer.rest(readers[0])
    await asyncio.sleep(0)
    gatherer.rest(readers[1])
    async with asyncio.timeout(5):
        while readers[0].told != ["pause", "resume"]:
            await asyncio.sleep(0)
    assert time.monotonic() - began >= REST_S / 2
    assert readers[1].told == ["pause", "resume"]
    gatherer.rest(readers[2])
    async with asyncio.timeout(5):
        while readers[2].told != ["pause", "resume"]:
            await asyncio.sleep(0)


async def test_who_leaves_while_its_stream_rests_closes_it_at_once(http1, server, endpoint):
    server.script = paced(*PIECES * 1000, after_s=0)
    gatherer_of(asyncio.get_running_loop()).streams += CROWD
    try:
        responses = [await http1.send(endpoint, REQUEST, timeout_s=10) for _ in range(8)]
        running = [asyncio.create_task(response.forward(Taken(), 10)) for response in responses]
        await asyncio.sleep(0.01)
        for task, response in zip(running, responses, strict=True):
            task.cancel()
            response.close()
        assert await server.all_ended(0.5)
        # Those who would have woken them find nobody.
        await asyncio.sleep(4 * REST_S)
    finally:
        gatherer_of(asyncio.get_running_loop()).streams -= CROWD
    await asyncio.gather(*running, return_exceptions=True)
