"""The database or Redis frozen, killed and back, behind a server that goes on: the outage table, measured."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from redis import Redis

from tests.e2e import ledger
from tests.e2e.calling import Caller, Got, at_once, percentile, report
from tests.e2e.gateway_process import GatewayProcess, on_postgres
from tests.e2e.private_servers import PrivateServer, private_postgres
from tests.upstreams.behaviours import expected_text
from tests.upstreams.faults import FaultUpstream

pytestmark = pytest.mark.slow
PRICES = {"input_nano_usd_per_mtok": 10**9, "output_nano_usd_per_mtok": 2 * 10**9}


@pytest.fixture
def postgres() -> Iterator[PrivateServer]:
    with private_postgres() as server:
        yield server


@pytest.fixture
def not_started(
    tmp_path: Path, upstream: FaultUpstream, postgres: PrivateServer, redis: PrivateServer
) -> Iterator[GatewayProcess]:
    (tmp_path / "data").mkdir(exist_ok=True)
    environment = {**on_postgres(postgres.url), "REDIS_URL": redis.url}
    process = GatewayProcess(tmp_path / "data", env=environment)
    models = [{"model": "m", "upstream_model": "fault:none", **PRICES}]
    process.seed({"providers": [{"name": "only", "base_url": f"{upstream.url}/v1", "models": models}]})
    yield process
    process.kill()


@pytest.fixture
def server(not_started: GatewayProcess) -> GatewayProcess:
    return not_started.start()


@pytest.fixture
def limited(server: GatewayProcess) -> str:
    return key(server, "limited", "--rpm", "100000")


@pytest.fixture
def budgeted(server: GatewayProcess) -> str:
    return key(server, "budgeted", "--budget-usd", "1")


@pytest.fixture
def cold(server: GatewayProcess) -> str:
    return key(server, "cold")


def key(process: GatewayProcess, name: str, *options: str) -> str:
    return process.manage("create_api_key", name, *options).split()[0]


async def ask(caller: Caller, token: str, calls: int = 20) -> list[Got]:
    headers = {"authorization": f"Bearer {token}"}
    return await at_once(4, [lambda: caller.ask("m", stream=False, headers=headers, max_tokens=20)] * calls)


def slowest(found: list[Got]) -> float:
    return percentile([got.duration_s for got in found], 0.99) * 1000


def fine(found: list[Got]) -> int:
    return sum(got.is_clean(expected_text(8)) for got in found)


async def seconds_until_answered(caller: Caller, token: str) -> float:
    began = time.monotonic()
    while time.monotonic() - began < 20:
        (got,) = await ask(caller, token, 1)
        if got.status == 200:
            return time.monotonic() - began
        await asyncio.sleep(0.1)
    raise AssertionError(f"no answer: {got}")


async def test_a_frozen_database_stops_nobody_who_is_known(
    server: GatewayProcess, upstream: FaultUpstream, postgres: PrivateServer, budgeted: str, cold: str
) -> None:
    async with Caller(server) as caller:
        before = await ask(caller, server.key)
        warm = await ask(caller, budgeted, 4)
        assert fine(before + warm) == 24
        postgres.freeze()
        frozen = await ask(caller, server.key, 100)
        leased = await ask(caller, budgeted, 20)
        (unknown,) = await ask(caller, cold, 1)
        status, _, _ = await asyncio.to_thread(server.get, "/livez")
        postgres.thaw()
        back = await seconds_until_answered(caller, cold)
        answered = len(upstream.hits)
    assert fine(frozen) == 100
    assert {got.status for got in leased} <= {200, 503}, leased
    assert fine(leased) >= 1, "a leased slice is spent without the database"
    assert unknown.status == 503
    rows = await asyncio.to_thread(ledger.rows_when, server, lambda rows: len(rows) >= answered, 20)
    report(
        f"database frozen: known key 100 of 100 answered, p99 {slowest(frozen):.0f} ms (before {slowest(before):.0f} ms); "
        f"budgeted key {fine(leased)} of 20 from its lease; unknown key 503 after {unknown.duration_s:.2f} s; liveness "
        f"{status}; unknown keys known {back:.1f} s after the thaw; ledger {len(rows)} rows for {answered} upstream calls"
    )
    assert len(rows) == answered
    assert slowest(frozen) <= slowest(before) + 100
    assert back <= 5


async def test_a_killed_database_loses_no_row(
    server: GatewayProcess, upstream: FaultUpstream, postgres: PrivateServer, cold: str
) -> None:
    async with Caller(server) as caller:
        await ask(caller, server.key)
        postgres.kill()
        during = await ask(caller, server.key, 100)
        # Away for long enough that who asks again after ever longer pauses would be late.
        await asyncio.sleep(20)
        await asyncio.to_thread(postgres.start)
        back = await seconds_until_answered(caller, cold)
    rows = await asyncio.to_thread(ledger.rows_when, server, lambda rows: len(rows) >= len(upstream.hits), 20)
    report(
        f"database killed: {fine(during)} of 100 answered meanwhile, unknown keys known {back:.1f} s after the start; "
        f"ledger {len(rows)} rows for {len(upstream.hits)} upstream calls"
    )
    assert fine(during) == 100
    assert back <= 5
    assert len(rows) == len(upstream.hits)
    ledger.totals(server)


@pytest.mark.parametrize("how", ["frozen", "killed"])
async def test_without_redis_limits_are_counted_here_and_others_notice_nothing(
    server: GatewayProcess, redis: PrivateServer, limited: str, how: str
) -> None:
    async with Caller(server) as caller:
        before = await ask(caller, server.key, 100)
        await ask(caller, limited, 4)
        redis.freeze() if how == "frozen" else redis.kill()
        others = await ask(caller, server.key, 100)
        counted = await ask(caller, limited, 100)
        await asyncio.to_thread(redis.thaw if how == "frozen" else redis.start)
    report(
        f"Redis {how}: key without limits {fine(others)} of 100, p99 {slowest(others):.0f} ms (before "
        f"{slowest(before):.0f} ms); limited key {fine(counted)} of 100, p99 {slowest(counted):.0f} ms"
    )
    assert fine(others) == fine(counted) == 100
    assert slowest(others) <= slowest(before) + 50


async def test_redis_that_was_away_at_the_start_counts_for_all_soon_after_it_came(
    not_started: GatewayProcess, redis: PrivateServer
) -> None:
    limited = key(not_started, "limited", "--rpm", "100000")
    redis.kill()
    began = time.monotonic()
    await asyncio.to_thread(not_started.start)
    ready_after = time.monotonic() - began
    async with Caller(not_started) as caller:
        without = await ask(caller, limited, 20)
        while "shared limits are unreachable" not in not_started.log.read_text():
            without += await ask(caller, limited, 1)
            assert len(without) < 2000
        back = time.monotonic()
        await asyncio.to_thread(redis.start)
        counted = Redis.from_url(redis.url)
        after: list[Got] = []
        while not any(counted.scan_iter("llm_proxy:{limits}:key:*")):
            after += await ask(caller, limited, 1)
            assert time.monotonic() < back + 5, "the limits are not shared again"
        shared_after = time.monotonic() - back
    report(
        f"Redis away at the start: ready after {ready_after:.1f} s, limited key {fine(without)} of {len(without)}; shared "
        f"limits {shared_after:.2f} s after Redis came, {fine(after)} of {len(after)} calls meanwhile"
    )
    assert fine(without) == len(without)
    assert fine(after) == len(after)
