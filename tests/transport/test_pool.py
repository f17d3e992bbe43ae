"""The bound of the pool, those who wait for it, and callers that leave at any moment."""

import asyncio
import gc
import random
import time

import pytest

from providers.http1 import Http1Transport
from providers.http1.connection import Connection
from providers.http1.response import Http1Response
from providers.transport import Endpoint
from tests.transport.outcomes import REQUEST, outcome
from tests.transport.wire import Wire, answer_each, eventually

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


@pytest.fixture
def narrow(server):
    return Endpoint(scheme="http", host="127.0.0.1", port=server.port, max_connections=2, pool_timeout_s=5)


async def test_never_opens_more_connections_than_the_bound(transport, server, narrow):
    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.002)
            await wire.send(OK)

    server.script = script
    seen = await asyncio.gather(*[outcome(transport, narrow) for _ in range(50)])
    assert {found.body for found in seen} == {b"ok"}
    assert len(server.wires) == 2


async def test_a_full_pool_is_waited_for_no_longer_than_its_limit(transport, server):
    endpoint = Endpoint(scheme="http", host="127.0.0.1", port=server.port, max_connections=1, pool_timeout_s=0.1)
    server.script = Wire.hang
    holding = asyncio.ensure_future(outcome(transport, endpoint))
    assert await eventually(lambda: server.open == 1)
    started = time.monotonic()
    assert (await outcome(transport, endpoint)).error == "UpstreamTimeout:pool"
    assert 0.09 < time.monotonic() - started < 0.35
    holding.cancel()
    await asyncio.gather(holding, return_exceptions=True)
    server.script = answer_each(OK)
    assert (await outcome(transport, endpoint)).body == b"ok"


async def test_those_who_wait_are_served_in_the_order_they_came(transport, server, narrow):
    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            await asyncio.sleep(0.001)
            await wire.send(OK)

    server.script = script
    served: list[int] = []

    async def call(number: int) -> None:
        response = await transport.send(narrow, REQUEST, timeout_s=5)
        await response.read(limit=10, timeout_s=5)
        served.append(number)
        response.close()

    await asyncio.gather(*[call(number) for number in range(20)])
    assert all(abs(number - place) <= 1 for place, number in enumerate(served)), served


async def test_a_saturated_pool_recovers_when_everyone_leaves(transport, server, narrow):
    server.script = Wire.hang
    calls = [asyncio.ensure_future(outcome(transport, narrow)) for _ in range(100)]
    assert await eventually(lambda: server.open == 2)
    random.Random(7).shuffle(calls)
    for number, call in enumerate(calls):
        call.cancel()
        if number % 7 == 0:
            await asyncio.sleep(0)
    await asyncio.gather(*calls, return_exceptions=True)
    assert await server.all_ended(0.5)
    server.script = answer_each(OK)
    seen = await asyncio.wait_for(asyncio.gather(*[outcome(transport, narrow) for _ in range(10)]), 2)
    assert {found.body for found in seen} == {b"ok"}


async def test_a_failed_connection_frees_its_slot_for_those_who_wait(transport, server, narrow):
    async def script(wire: Wire) -> None:
        await wire.request()
        wire.reset()

    server.script = script
    seen = await asyncio.gather(*[outcome(transport, narrow) for _ in range(20)])
    assert {found.error for found in seen} == {"ConnectFailed"}


def unsteady(server, chance: random.Random):
    """Answers, streams or hangs, until the server gets another script; then it answers on the connections it has."""

    async def script(wire: Wire) -> None:
        while True:
            await wire.request()
            kind = chance.random() if server.script is script else 0.5
            if kind < 0.2:
                await wire.hang()
            elif kind < 0.6:
                await wire.send(OK)
            else:
                await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
                for _ in range(5):
                    await wire.send(b"5\r\nhello\r\n")
                    await asyncio.sleep(chance.random() * 0.002)
                await wire.send(b"0\r\n\r\n")

    return script


async def storm(transport, server, endpoint, calls: int, seed: int) -> None:
    """Callers that leave at random moments of a call."""
    chance = random.Random(seed)
    server.script = unsteady(server, chance)
    wrong: list[object] = []

    async def call() -> None:
        seen = await outcome(transport, endpoint)
        if seen.error or seen.body not in (b"ok", b"hello" * 5):
            wrong.append(seen)

    running: set[asyncio.Future[None]] = set()
    for _ in range(calls):
        task = asyncio.ensure_future(call())
        running.add(task)
        task.add_done_callback(running.discard)
        asyncio.get_running_loop().call_later(chance.random() * 0.01, task.cancel)
        if len(running) > 20:
            await asyncio.sleep(0.001)
    await asyncio.gather(*running, return_exceptions=True)
    assert not wrong


async def check_that_nothing_leaked(transport, server, endpoint):
    server.script = answer_each(OK)
    seen = await asyncio.gather(*[outcome(transport, endpoint, timeout_s=5) for _ in range(40)])
    assert {found.body or found.error for found in seen} == {b"ok"}
    # The server hears of a connection that was aborted a moment later than the pool, which has opened another one by then.
    assert await eventually(lambda: server.open <= endpoint.max_connections)


async def test_callers_that_leave_at_random_moments_leak_nothing(transport, server):
    endpoint = Endpoint(scheme="http", host="127.0.0.1", port=server.port, max_connections=8, pool_timeout_s=5)
    await storm(transport, server, endpoint, 500, seed=1)
    await check_that_nothing_leaked(transport, server, endpoint)


def abandonable() -> list[object]:
    # By type: `isinstance` would ask a proxy whose object other tests have let go.
    return [found for found in gc.get_objects() if type(found) in (Connection, Http1Response)]


async def test_abandoned_calls_of_the_lean_client_do_not_wait_for_the_garbage_collector(server):
    endpoint = Endpoint(scheme="http", host="127.0.0.1", port=server.port, max_connections=8)
    transport = Http1Transport()

    async def stall(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n1\r\nx\r\n")
        await wire.hang()

    server.script = stall
    gc.collect()
    gc.disable()
    before = abandonable()  # what other tests of this process still hold is not ours to count
    try:
        for _ in range(30):
            response = await transport.send(endpoint, REQUEST, timeout_s=2)
            await response.chunk(2)
            response.close()
        del response
        assert await server.all_ended()
        await asyncio.sleep(0.01)
        assert len({id(found) for found in abandonable()} - {id(found) for found in before}) <= 1
    finally:
        gc.enable()
        await transport.aclose()


@pytest.mark.slow
async def test_ten_thousand_callers_that_leave_leak_nothing(transport, server):
    endpoint = Endpoint(scheme="http", host="127.0.0.1", port=server.port, max_connections=8, pool_timeout_s=5)
    await storm(transport, server, endpoint, 10_000, seed=2)
    await check_that_nothing_leaked(transport, server, endpoint)
