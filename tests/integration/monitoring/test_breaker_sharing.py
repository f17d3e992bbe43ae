"""Two workers, one Redis: what one learns of an upstream the other knows within a second."""

import asyncio
import os
import secrets
import time
from contextlib import AsyncExitStack, asynccontextmanager

import pytest
from redis.asyncio import Redis

from monitoring.breaker import BreakerState, SharedBreaker
from monitoring.breaker_sharing import HELLO, BreakerSharing, channel_of, message, parsed
from monitoring.credential_state import ANONYMOUS
from monitoring.upstream_state import UpstreamStates
from providers.errors import ServerFailed
from tests.e2e.private_servers import private_redis
from tests.unit.routing.pools import deployment

URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
D = deployment(1)


class Worker:
    def __init__(self, channel: str) -> None:
        self.states = UpstreamStates(time.monotonic, lambda: 0.5)
        self.states.sync([D, deployment(2)])
        self.redis = Redis.from_url(URL)
        self.sharing = BreakerSharing(self.states, self.redis, clock=time.time, channel=channel)
        self.own_changes: list[str] = []
        self.states.hooks.append(self._heard)

    async def aclose(self) -> None:
        await self.sharing.aclose()
        await self.redis.aclose()

    def _heard(self, event) -> None:
        if not self.sharing.adopting:
            self.own_changes.append(event.change.after)

    def fail(self) -> None:
        for _ in range(5):
            self.states.on_failure(self.states.on_start(D, ANONYMOUS), ServerFailed("x"))

    def state(self, id: int = 1) -> BreakerState:
        return self.states.find(id).breaker.state(time.monotonic())

    async def sees(self, state: BreakerState, within_s: float) -> None:
        async with asyncio.timeout(within_s):
            while self.state() is not state:
                await asyncio.sleep(0.005)


@asynccontextmanager
async def workers(count: int):
    channel = f"test:{secrets.token_hex(6)}"
    async with AsyncExitStack() as stack:
        made = [Worker(channel) for _ in range(count)]
        for worker in made:
            await worker.sharing.open()
            stack.push_async_callback(worker.aclose)
        async with asyncio.timeout(3):
            while not all(worker.sharing.up for worker in made):
                await asyncio.sleep(0.005)
        yield made


@pytest.mark.redis
async def test_a_breaker_that_opens_is_open_everywhere_within_a_second():
    async with workers(3) as (one, two, three):
        one.fail()
        for other in (two, three):
            await other.sees(BreakerState.OPEN, within_s=1)
        assert two.state(2) is BreakerState.CLOSED
        assert (one.own_changes, two.own_changes, three.own_changes) == (["open"], [], [])
        two.states.reset(1)
        for other in (one, three):
            await other.sees(BreakerState.CLOSED, within_s=1)


@pytest.mark.redis
async def test_a_worker_that_starts_later_learns_what_is_known():
    async with workers(1) as (one,):
        one.fail()
        late = Worker(one.sharing._channel)
        await late.sharing.open()
        try:
            await late.sees(BreakerState.OPEN, within_s=1)
        finally:
            await late.aclose()


@pytest.mark.redis
async def test_nothing_echoes():
    async with workers(2) as (one, two):
        one.fail()
        await two.sees(BreakerState.OPEN, within_s=1)
        version = two.states.export_breakers(time.time())[1].version
        await asyncio.sleep(0.3)
        assert one.states.export_breakers(time.time())[1].version == version


def test_gateways_in_different_databases_of_one_redis_have_channels_of_their_own():
    urls = ("redis://127.0.0.1:6379", "redis://127.0.0.1:6379/0", "redis://127.0.0.1:6379/7")
    assert [channel_of(Redis.from_url(url))[-2:] for url in urls] == [":0", ":0", ":7"]


async def test_a_redis_that_is_not_there_hinders_nothing():
    states = UpstreamStates(time.monotonic, lambda: 0.5)
    states.sync([D])
    redis = Redis.from_url("redis://127.0.0.1:1/0")
    sharing = BreakerSharing(states, redis, clock=time.time)
    await sharing.open()
    for _ in range(5):
        states.on_failure(states.on_start(D, ANONYMOUS), ServerFailed("x"))
    await asyncio.sleep(0.05)
    assert not sharing.up
    await sharing.aclose()
    await redis.aclose()
    assert states.hooks == []


@pytest.mark.redis
async def test_one_line_when_redis_goes_and_one_when_it_is_back(tmp_path, caplog):
    """A connection that broke meanwhile, and fails once more when Redis is there again, is no second outage."""
    with private_redis(tmp_path) as server:
        redis = Redis.from_url(server.url)
        sharing = BreakerSharing(UpstreamStates(time.monotonic, lambda: 0.5), redis, clock=time.time, channel="test")
        await sharing.open()
        try:
            async with asyncio.timeout(15):
                while not sharing.up:
                    await asyncio.sleep(0.01)
                server.kill()
                while sharing.up:
                    await asyncio.sleep(0.01)
                server.start()
                while not sharing.up:
                    await asyncio.sleep(0.01)
                await asyncio.sleep(0.2)
        finally:
            await sharing.aclose()
            await redis.aclose()
    said = [record.getMessage().partition(",")[0] for record in caplog.records if "breakers" in record.getMessage()]
    assert said == ["breakers are no longer shared", "breakers are shared again"]


def test_a_message_says_everything_and_garbage_says_nothing():
    breakers = {7: SharedBreaker(version=3, open_until_epoch_s=99.5, trips=2, override="open", cause="x")}
    sent = message("me", breakers)
    assert parsed(sent) == breakers
    assert parsed(sent, ignoring="me") == {}
    for garbage in (b"", b"[]", b"null", b'{"from":"x"}', b'{"from":"x","breakers":{"a":{}}}', b"\xff"):
        assert parsed(garbage) == {}
    assert parsed(sent.replace(b'"open"', b'"evil"')) == {}


async def test_a_greeting_is_answered_though_ones_own_is_heard_right_behind_it():
    """Workers that start together hear each other and themselves in one turn."""
    published: list[bytes] = []

    class Listener:
        async def publish(self, channel: str, data: bytes) -> None:
            published.append(data)

    states = UpstreamStates(time.monotonic, lambda: 0.5)
    states.sync([D])
    states.hold_open(D.id)
    sharing = BreakerSharing(states, Listener(), clock=time.time, channel="test")
    publisher = asyncio.create_task(sharing._publish())
    await asyncio.sleep(0.01)
    published.clear()
    sharing.adopt(HELLO + b"somebody")
    sharing.adopt(HELLO + sharing._me.encode())
    await asyncio.sleep(0.01)
    publisher.cancel()
    assert [list(parsed(each)) for each in published] == [[D.id]]
