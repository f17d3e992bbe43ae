"""Several real workers and one Redis: what one of them learns of a bad endpoint all of them act on within a second."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.calling import Caller, percentile, report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.e2e.private_servers import PrivateServer
from tests.upstreams.behaviours import Behaviour, Fault, expected_text
from tests.upstreams.faults import FaultUpstream, Script

pytestmark = pytest.mark.redis

WORKERS = 3
THRESHOLD = 3
FINE = expected_text(8)
UNHURRIED = {"model": "unhurried", "upstream_model": "fault:none?interval_s=0.02"}
BROKEN = Script(default=Behaviour(fault=Fault.STATUS, status=500))


@pytest.fixture
async def bad() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as upstream:
        yield upstream


@pytest.fixture
async def good() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as upstream:
        yield upstream


@pytest.fixture
def server(
    migrated_data_dir: Path, tmp_path: Path, redis: PrivateServer, bad: FaultUpstream, good: FaultUpstream
) -> Iterator[GatewayProcess]:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    quick = {"circuit_breaker_threshold": THRESHOLD, "circuit_breaker_timeout_s": 0.5}
    slow = {"circuit_breaker_threshold": THRESHOLD}
    process.seed(
        {
            "providers": [
                {"name": "quick", "base_url": f"{bad.url}/v1", "priority": 1, "models": ["m"], **quick},
                {"name": "slow", "base_url": f"{bad.url}/v1", "priority": 1, "models": ["probed"], **slow},
                {"name": "good", "base_url": f"{good.url}/v1", "priority": 2, "models": ["m", "probed", UNHURRIED]},
            ]
        }
    )
    process.env["REDIS_URL"] = redis.url
    process.start("--workers", str(WORKERS))
    yield process
    process.end()


class Worker(Caller):
    """One connection, which one worker accepted and goes on answering."""

    def __init__(self, gateway: GatewayProcess) -> None:
        super().__init__(gateway, connections=1)

    async def sees(self, provider: str) -> str:
        """The state of the provider's breaker, as this worker knows it."""
        return str((await self.status(provider))["circuit_breaker"]["state"])

    async def status(self, provider: str) -> dict[str, Any]:
        async with self.session.get(f"{self.gateway.url}/status/{provider}") as response:
            found: dict[str, Any] = await response.json()
            return found

    async def pid(self) -> int:
        """The process at the other end."""
        async with self.post("unhurried") as response:
            assert response.connection is not None, "it is still being answered"
            assert response.connection.transport is not None
            _, port = response.connection.transport.get_extra_info("sockname")
            await response.read()
        return pid_of_connection(self.gateway, port)


def pid_of_connection(gateway: GatewayProcess, client_port: int) -> int:
    """Which worker holds the server's side of the connection that comes from this port."""
    local, remote = f"0100007F:{gateway.port:04X}", f"0100007F:{client_port:04X}"
    rows = (line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:])
    (inode,) = (row[9] for row in rows if row[1] == local and row[2] == remote)
    for pid in workers_of(gateway):
        for descriptor in Path(f"/proc/{pid}/fd").iterdir():
            if descriptor.is_symlink() and str(descriptor.readlink()) == f"socket:[{inode}]":
                return pid
    raise AssertionError("no worker has this connection")


def workers_of(gateway: GatewayProcess) -> list[int]:
    children = Path(f"/proc/{gateway.pid}/task/{gateway.pid}/children").read_text().split()
    return [int(pid) for pid in children if "worker_process" in Path(f"/proc/{pid}/cmdline").read_text()]


@pytest.fixture
async def workers(server: GatewayProcess) -> AsyncIterator[list[Worker]]:
    """One connection to each."""
    found: dict[int, Worker] = {}
    async with contextlib.AsyncExitStack() as stack, asyncio.timeout(90):
        while len(found) < WORKERS:
            worker = await stack.enter_async_context(Worker(server))
            found.setdefault(await worker.pid(), worker)
        for worker in found.values():
            # The first look loads half of Django; it must not be part of what is measured.
            assert await worker.sees("quick") == "closed"
        yield list(found.values())


async def open_on_one(workers: list[Worker], bad: FaultUpstream, model: str, provider: str) -> list[float]:
    """One worker meets the threshold; how long after that answer each of the others has the breaker open."""
    bad.forget()
    while len(bad.hits) < THRESHOLD:
        assert (await workers[0].ask(model)).is_clean(FINE)
    opened_at = bad.hits[THRESHOLD - 1].completed_at
    assert opened_at is not None

    async def heard(worker: Worker) -> float:
        while await worker.sees(provider) == "closed":
            assert time.monotonic() - opened_at < 5, "it never heard"
        return time.monotonic() - opened_at

    return list(await asyncio.gather(*map(heard, workers[1:])))


async def back_on_each(workers: list[Worker], bad: FaultUpstream, model: str, provider: str) -> list[float]:
    """How long after healing each worker sent its first call there again."""
    healed_at = time.monotonic()

    async def returned(worker: Worker) -> float:
        while True:
            got = await worker.ask(model)
            assert got.is_clean(FINE)
            if got.headers["x-llm-proxy-provider"] == provider:
                return time.monotonic() - healed_at
            assert time.monotonic() - healed_at < 15, "it never came back"
            await asyncio.sleep(0.01)

    return list(await asyncio.gather(*map(returned, workers)))


async def test_a_breaker_that_opens_in_one_worker_keeps_all_of_them_away_and_all_return(
    workers: list[Worker], bad: FaultUpstream
) -> None:
    bad.script = BROKEN
    heard = await open_on_one(workers, bad, "m", "quick")
    assert max(heard) <= 1, heard
    bad.script = Script()
    back = await back_on_each(workers, bad, "m", "quick")
    report(
        f"breaker shared by {WORKERS} workers: the others know {max(heard) * 1000:.0f} ms after the failure that opened "
        f"it, all are back {max(back):.2f} s after healing (timeout 0.5 s)"
    )


@pytest.mark.slow
async def test_workers_agree_each_of_ten_times_and_return_by_probes_within_15_s(
    server: GatewayProcess, workers: list[Worker], bad: FaultUpstream
) -> None:
    heard: list[float] = []
    for _ in range(10):
        bad.script = BROKEN
        heard += await open_on_one(workers, bad, "m", "quick")
        assert len(bad.hits) == THRESHOLD, "the others did not find out by themselves"
        # Opening again soon after would double the timeout each time.
        server.post("/circuit-breakers/reset?provider=quick", {})
        for worker in workers:
            while await worker.sees("quick") != "closed":
                await asyncio.sleep(0.01)
        # Each worker also reads the operator's request by itself, within a second, and would close what opened since.
        await asyncio.sleep(1.5)
    assert max(heard) <= 1, heard
    # The timeout is the default's 60 s here: only probes can end it sooner.
    bad.script = BROKEN
    await open_on_one(workers, bad, "probed", "slow")
    await bad.refuse()
    await until_probed(workers)
    bad.script = Script()
    await bad.listen()
    back = await back_on_each(workers, bad, "probed", "slow")
    report(
        f"breaker shared by {WORKERS} workers, 10 openings: the others know p50 {percentile(heard, 0.5) * 1000:.0f} ms, "
        f"max {max(heard) * 1000:.0f} ms after the failure that opened it; with a timeout of 60 s and probes, all are "
        f"back {max(back):.1f} s after the endpoint listens again"
    )
    assert max(back) <= 15


async def until_probed(workers: list[Worker]) -> None:
    """Calls go on meanwhile, and keep the connections open."""
    before = (await workers[0].status("slow"))["last_check"]
    async with asyncio.timeout(30):
        while (await workers[0].status("slow"))["last_check"] == before:
            for worker in workers:
                assert (await worker.ask("probed")).is_clean(FINE)
            await asyncio.sleep(0.2)
