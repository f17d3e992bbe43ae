"""One budget for four server processes and five hundred calls at once: never exceeded, and accounted for to the nano-USD."""

import asyncio
import secrets
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest

from tests.e2e import ledger
from tests.e2e.calling import Caller, at_once, report
from tests.e2e.gateway_process import GatewayProcess, on_postgres
from tests.e2e.private_servers import private_redis
from tests.upstreams.faults import FaultUpstream

pytestmark = [pytest.mark.slow, pytest.mark.postgres, pytest.mark.redis]
POSTGRES = "postgresql://postgres@127.0.0.1:5432"
PER_INPUT, PER_OUTPUT = 1_000, 2_000
PRICES = {"input_nano_usd_per_mtok": PER_INPUT * 10**6, "output_nano_usd_per_mtok": PER_OUTPUT * 10**6}
COST = 5 * PER_INPUT + 8 * PER_OUTPUT
CALLS, AMOUNT = 500, 300 * COST


@pytest.fixture
def server(tmp_path: Path, upstream: FaultUpstream) -> Iterator[GatewayProcess]:
    name = f"budget_{secrets.token_hex(4)}"
    (tmp_path / "data").mkdir()
    with psycopg.connect(f"{POSTGRES}/test", autocommit=True) as administration, private_redis(tmp_path) as redis:
        administration.execute(f"CREATE DATABASE {name}")
        environment = {**on_postgres(f"{POSTGRES}/{name}"), "REDIS_URL": redis.url}
        process = GatewayProcess(tmp_path / "data", env=environment)
        models = [{"model": "m", "upstream_model": "fault:none?delay_s=0.05", **PRICES}]
        process.seed({"providers": [{"name": "only", "base_url": f"{upstream.url}/v1", "models": models}]})
        process.start("--workers", "4")
        yield process
        process.kill()
        administration.execute(f"DROP DATABASE {name} WITH (FORCE)")


async def test_five_hundred_calls_at_four_processes_never_exceed_one_budget(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    arguments = ("create_api_key", "shared", "--budget-usd", f"{AMOUNT / 1e9:.9f}")
    token = (await asyncio.to_thread(server.manage, *arguments)).split()[0]
    headers = {"authorization": f"Bearer {token}"}
    async with Caller(server) as caller:
        call = lambda: caller.ask("m", stream=False, headers=headers, max_tokens=8)  # noqa: E731
        found, unavailable = await at_once(CALLS, [call] * CALLS), 0
        for _ in range(20):
            again = sum(got.status == 503 for got in found)
            if not again:
                break
            # As SDKs do: a worker whose query took longer than a second has decided nothing yet.
            unavailable += again
            await asyncio.sleep(0.5)
            found = [got for got in found if got.status != 503] + await at_once(CALLS, [call] * again)
    await asyncio.to_thread(server.stop, signal.SIGTERM, 40)
    answered = sum(got.status == 200 for got in found)
    codes = Counter(got.errors[0]["code"] for got in found if got.errors)
    (period,) = ledger.query(server, "SELECT * FROM accounts_budgetperiod")
    sums = ledger.totals(server)
    report(
        f"500 calls at once, 4 server processes, one budget: {answered} answered, {dict(codes)}, {unavailable} asked "
        f"again, spent "
        f"{period['spent_nano_usd']} of {AMOUNT} nano-USD, ledger {sums['cost']}, reserved {period['reserved_nano_usd']}"
    )
    assert answered + codes["insufficient_quota"] == CALLS
    assert 0 < answered == len(upstream.hits) == sums["requests"]
    assert period["spent_nano_usd"] == sums["cost"] == answered * COST <= AMOUNT
    assert period["reserved_nano_usd"] == 0
