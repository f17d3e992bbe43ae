"""One suite for every limit store. Time is the test's own: the script reads a key where it would ask for the time."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable
from contextvars import ContextVar

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from redis.asyncio import Redis

from accounts.limit_store import Hold, MemoryLimitStore, Refused, StoreUnavailable, Taken
from accounts.records import LimitRule
from accounts.redis_limit_store import SCRIPT, RedisLimitStore
from tests.e2e.private_servers import private_redis

START = 1_700_000_000_000_000
ASK_THE_SERVER = "local time = redis.call('TIME')"
REQUESTS = LimitRule(scope="key:1", kind="requests", limit=5, window_s=6)
TOKENS = LimitRule(scope="key:1", kind="tokens", limit=100, window_s=6)
TEAM = LimitRule(scope="team:1", kind="requests", limit=8, window_s=6)
RUNNING = LimitRule(scope="key:1", kind="concurrency", limit=2)


class InMemory:
    exact_places = True

    def __init__(self) -> None:
        self.now = START
        self.store = MemoryLimitStore(lambda: self.now)

    async def pass_time(self, microseconds: int) -> None:
        self.now += microseconds

    async def settled(self) -> None:
        return None

    async def aclose(self) -> None:
        return None


class InRedis:
    def __init__(self, url: str) -> None:
        self.prefix = f"test:{{{secrets.token_hex(4)}}}:"
        self.clock = f"{self.prefix}clock"
        self.now = START
        self.redis = Redis.from_url(url)
        assert ASK_THE_SERVER in SCRIPT
        reads = f"local us = tonumber(redis.call('GET', '{self.clock}')) local time = {{ 0, us }}"
        self.store = RedisLimitStore(
            url, prefix=self.prefix, timeout_s=5.0, script=SCRIPT.replace(ASK_THE_SERVER, reads)
        )

    async def open(self) -> "InRedis":
        await self.redis.set(self.clock, self.now)
        await self.store.open()
        return self

    async def pass_time(self, microseconds: int) -> None:
        self.now += microseconds
        await self.redis.set(self.clock, self.now)

    async def settled(self) -> None:
        """Corrections travel in the background: the answer to a later script proves that they arrived."""
        await self.store.take([], tokens=0, call_id="flush")

    async def aclose(self) -> None:
        await self.store.aclose()
        keys = [key async for key in self.redis.scan_iter(f"{self.prefix}*")]
        await self.redis.delete(*keys)
        await self.redis.aclose()


@contextlib.asynccontextmanager
async def opened(kind: str, url: str):
    bench = InMemory() if kind == "memory" else await InRedis(url).open()
    try:
        yield bench
    finally:
        await bench.aclose()


KINDS = ["memory", pytest.param("redis", marks=pytest.mark.redis)]


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


@pytest.fixture
def url(kind, request) -> str:
    return request.getfixturevalue("redis_url") if kind == "redis" else ""


@pytest.fixture
async def bench(kind, url):
    async with opened(kind, url) as found:
        yield found


async def test_exactly_the_limit_is_let_through_and_the_wait_is_exact(bench):
    verdicts = [await bench.store.take([REQUESTS], tokens=0, call_id=str(n)) for n in range(8)]
    assert [isinstance(verdict, Taken) for verdict in verdicts] == [True] * 5 + [False] * 3
    assert [verdict.states[0][1] for verdict in verdicts] == [4, 3, 2, 1, 0, 0, 0, 0]

    wait = round(verdicts[-1].retry_after_s * 1e6)
    await bench.pass_time(wait - 1)
    assert isinstance(await bench.store.take([REQUESTS], tokens=0, call_id="early"), Refused)
    await bench.pass_time(1)
    assert isinstance(await bench.store.take([REQUESTS], tokens=0, call_id="now"), Taken)


async def test_a_refusal_by_one_rule_counts_in_none(bench):
    for number in range(5):
        await bench.store.take([REQUESTS, TEAM], tokens=0, call_id=str(number))
    for number in range(20):
        refused = await bench.store.take([TEAM, REQUESTS], tokens=0, call_id=f"r{number}")
        assert refused.rule == REQUESTS
    other = await bench.store.take([TEAM], tokens=0, call_id="other")

    assert other.states[0][1] == 2


async def test_tokens_are_corrected_to_what_was_used(bench):
    taken = await bench.store.take([TOKENS], tokens=80, call_id="a")
    bench.store.settle(Hold(bench.store, "a", (TOKENS,), taken.buckets, 80), 30)
    await bench.settled()
    again = await bench.store.take([TOKENS], tokens=70, call_id="b")
    assert isinstance(again, Taken)
    assert again.states[0][1] == 0

    bench.store.cancel(Hold(bench.store, "b", (TOKENS,), again.buckets, 70))
    await bench.settled()
    assert (await bench.store.take([TOKENS], tokens=0, call_id="c")).states[0][1] == 70


@pytest.mark.parametrize("turns", [0, 1, 2, 4, 8, 16, 32])
async def test_a_call_that_is_cancelled_while_it_asks_leaves_no_tokens_behind(bench, turns):
    """At whatever turn of the event loop that happens."""
    asking = asyncio.create_task(bench.store.take([TOKENS, RUNNING], tokens=70, call_id="a"))
    for _ in range(turns):
        await asyncio.sleep(0)
    asking.cancel()
    (taken,) = await asyncio.gather(asking, return_exceptions=True)
    if isinstance(taken, Taken):
        bench.store.cancel(Hold(bench.store, "a", (TOKENS, RUNNING), taken.buckets, 70))
    await bench.settled()
    await bench.settled()
    left = await bench.store.take([TOKENS, RUNNING], tokens=0, call_id="b")
    assert [remaining for _, remaining, _ in left.states] == [100, 1]


async def test_more_tokens_than_the_limit_never_fit(bench):
    refused = await bench.store.take([TOKENS], tokens=101, call_id="a")

    assert isinstance(refused, Refused)
    assert refused.retry_after_s is None


async def test_places_come_free_when_calls_end(bench):
    holds = []
    for number in range(2):
        taken = await bench.store.take([RUNNING], tokens=0, call_id=str(number))
        holds.append(Hold(bench.store, str(number), (RUNNING,), taken.buckets, 0))
    assert isinstance(await bench.store.take([RUNNING], tokens=0, call_id="third"), Refused)

    bench.store.settle(holds[0], 0)
    bench.store.settle(holds[0], 0)
    await bench.settled()
    assert isinstance(await bench.store.take([RUNNING], tokens=0, call_id="third"), Taken)
    assert isinstance(await bench.store.take([RUNNING], tokens=0, call_id="fourth"), Refused)


moves = st.lists(
    st.tuples(st.integers(0, 2_000_000), st.integers(0, 60), st.none() | st.integers(0, 80)), min_size=1, max_size=40
)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(moves)
def test_every_store_decides_as_the_memory_of_one_process_does(kind, url, steps):
    """Memory agrees with the plain model in the unit tests; here the script agrees with memory, answer by answer."""

    async def run() -> None:
        reference = InMemory()
        async with opened(kind, url) as bench:
            rules = [REQUESTS, TOKENS, TEAM]
            for number, (pause, tokens, really) in enumerate(steps):
                for one in (reference, bench):
                    await one.pass_time(pause)
                verdicts = [
                    await one.store.take(rules, tokens=tokens, call_id=str(number)) for one in (reference, bench)
                ]
                assert verdicts[0] == verdicts[1]
                if isinstance(verdicts[0], Taken) and really is not None:
                    for one, verdict in zip((reference, bench), verdicts, strict=True):
                        one.store.settle(Hold(one.store, str(number), tuple(rules), verdict.buckets, tokens), really)
                    await bench.settled()

    asyncio.run(run())


@pytest.mark.redis
async def test_several_workers_at_once_let_through_exactly_the_limit(redis_url):
    async with opened("redis", redis_url) as first:
        stores = [first.store]
        for _ in range(3):
            store = RedisLimitStore(redis_url, prefix=first.prefix, timeout_s=5.0, script=first.store._script)
            await store.open()
            stores.append(store)
        wide = LimitRule(scope="key:1", kind="requests", limit=123, window_s=60)
        verdicts = await asyncio.gather(
            *[stores[number % 4].take([wide], tokens=0, call_id=str(number)) for number in range(500)]
        )
        assert sum(isinstance(verdict, Taken) for verdict in verdicts) == 123
        for store in stores[1:]:
            await store.aclose()


@pytest.mark.redis
async def test_a_killed_workers_places_come_free_and_a_live_ones_do_not(redis_url):
    async with opened("redis", redis_url) as bench:
        await bench.store.take([RUNNING], tokens=0, call_id="dead")
        bench.store._running.clear()
        await bench.pass_time(10_000_000)
        await bench.store.take([RUNNING], tokens=0, call_id="alive")
        await bench.pass_time(6_000_000)

        assert isinstance(await bench.store.take([RUNNING], tokens=0, call_id="third"), Taken)
        assert isinstance(await bench.store.take([RUNNING], tokens=0, call_id="fourth"), Refused)


def test_keys_of_a_team_count_in_one_window_also_after_it_was_forgotten_in_memory() -> None:
    memory = InMemory()
    one, another = [TEAM], [TEAM]
    assert isinstance(memory.store.take_now(one, tokens=0, call_id="a"), Taken)
    memory.now += 60_000_000
    memory.store.sweep()
    for number in range(TEAM.limit):
        assert isinstance(memory.store.take_now(another, tokens=0, call_id=f"b{number}"), Taken)
    assert isinstance(memory.store.take_now(one, tokens=0, call_id="c"), Refused)


def test_limits_in_memory_are_divided_among_workers_from_then_on() -> None:
    memory = InMemory()
    rules = [LimitRule(scope="key:9", kind="requests", limit=4, window_s=6)]
    assert isinstance(memory.store.take_now(rules, tokens=0, call_id="a"), Taken)
    memory.store.parts = 2
    assert isinstance(memory.store.take_now(rules, tokens=0, call_id="b"), Taken)
    assert isinstance(memory.store.take_now(rules, tokens=0, call_id="c"), Refused)


REFUSALS = {
    "a replica": ["--replicaof", "127.0.0.1 1"],
    "full memory": ["--maxmemory", "1", "--maxmemory-policy", "noeviction"],
    "no right to scripts": ["--user", "default", "on", "nopass", "~*", "&*", "+@all", "-evalsha"],
}


@pytest.mark.redis
@pytest.mark.parametrize("refusal", REFUSALS)
async def test_a_server_that_answers_and_takes_no_writes_is_down_until_it_does(refusal, tmp_path, caplog):
    with private_redis(tmp_path, *REFUSALS[refusal]) as server:
        store = RedisLimitStore(server.url, prefix="test:", timeout_s=1.0)
        await store.open()
        try:
            for _ in range(15):
                assert not store.up
                await asyncio.sleep(0.1)
            with pytest.raises(StoreUnavailable):
                await store.take([REQUESTS], tokens=1, call_id="a")
            async with Redis.from_url(server.url) as redis:
                await redis.execute_command("REPLICAOF", "NO", "ONE")
                await redis.config_set("maxmemory", "0")
                await redis.execute_command("ACL", "SETUSER", "default", "+evalsha")
            await comes(lambda: store.up)
            assert isinstance(await store.take([REQUESTS], tokens=1, call_id="b"), Taken)
        finally:
            await store.aclose()
    said = [record.getMessage() for record in caplog.records if "shared limits" in record.getMessage()]
    assert [line.split(" (")[0] for line in said] == [
        "shared limits are unreachable",
        "shared limits are reachable again",
    ]


@pytest.mark.redis
async def test_that_the_server_is_back_is_said_of_no_call(tmp_path, monkeypatch):
    call = ContextVar("call", default="")
    with private_redis(tmp_path) as server:
        store = RedisLimitStore(server.url, prefix="test:", timeout_s=1.0)
        await store.open()
        try:
            server.kill()
            call.set("the one that failed")
            while store.up:
                with pytest.raises(StoreUnavailable):
                    await store.take([REQUESTS], tokens=1, call_id="a")
            said = []
            monkeypatch.setattr("accounts.redis_limit_store.log.warning", lambda *_: said.append(call.get()))
            server.start()
            await comes(lambda: store.up)
            assert said == [""]
        finally:
            await store.aclose()


@pytest.mark.redis
async def test_a_server_that_goes_is_missed_soon_although_no_call_has_a_limit(tmp_path, monkeypatch):
    monkeypatch.setattr("accounts.redis_limit_store.RENEW_EVERY_S", 2.0)
    with private_redis(tmp_path) as server:
        store = RedisLimitStore(server.url, prefix="test:", timeout_s=1.0)
        await store.open()
        try:
            assert store.up
            server.kill()
            # One renewal that fails, and those that follow it at once: five of them would be ten seconds.
            await comes(lambda: not store.up, within_s=6)
        finally:
            await store.aclose()
            server.start()


async def comes(condition: Callable[[], bool], within_s: float = 10) -> None:
    async with asyncio.timeout(within_s):
        while not condition():
            await asyncio.sleep(0.05)
