"""How soon `manage.py serve` answers, what one worker takes of memory, and what it does while nobody calls."""

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path

import pytest

from tests.e2e.calling import Caller, at_once, report
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.neighbours import Neighbours

START_WITHIN_S = 3.0
MOST_MEMORY_MB = 160.0
IDLE_SHARE = 0.03
CHAT = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}], "max_tokens": 3}
PAGES = ("/metrics", "/health", "/providers", "/status", "/openapi.json", "/admin/login/", "/docs", "/api/providers/")


@pytest.fixture(scope="module")
def server(demo_url: str, module_gateway: GatewayProcess) -> GatewayProcess:
    """On a database that exists, as at every start but the first."""
    first = {"name": "first", "base_url": f"{demo_url}/v1", "models": ["demo-small", "demo-large"]}
    return module_gateway.seed({"providers": [first]}).start(whole=True)


def memory_mb(pid: int) -> float:
    (line,) = [line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS")]
    return int(line.split()[1]) / 1024


def cpu_s(pid: int) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_a_worker_at_work_stays_small(server: GatewayProcess) -> None:
    fresh = memory_mb(server.pid)
    for path in PAGES:
        assert server.get(path)[0] == 200, path
    async with Caller(server) as caller:
        for stream in (False, True):
            answers = await at_once(40, [lambda stream=stream: caller.ask("demo-small", stream=stream)] * 200)
            assert {got.status for got in answers} == {200}
    used = memory_mb(server.pid)
    report(
        f"resident memory of one worker: {fresh:.0f} MB after the start, {used:.0f} MB after 400 calls and all pages"
    )
    assert used <= MOST_MEMORY_MB


def test_the_very_first_start_keeps_nothing_of_its_migrations(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    process = GatewayProcess(tmp_path / "data").start()
    try:
        assert process.get("/readyz")[0] == 200
        used = memory_mb(process.pid)
    finally:
        process.stop()
    report(f"resident memory after the very first start: {used:.0f} MB")
    assert used <= MOST_MEMORY_MB


def test_a_database_that_cannot_be_migrated_keeps_the_process_from_starting(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    with closing(sqlite3.connect(tmp_path / "data" / "llm_proxy.sqlite3")) as database:
        database.execute("CREATE TABLE accounts_apikey (somebody_elses INTEGER)")
    process = GatewayProcess(tmp_path / "data")
    with pytest.raises(AssertionError, match="The database could not be migrated"):
        process.start()


@pytest.mark.slow
def test_the_first_request_is_answered_within_three_seconds(server: GatewayProcess) -> None:
    began = time.monotonic()
    server.stop()
    neighbours, stopped = Neighbours(), time.monotonic()
    server.start(whole=True)
    assert server.post("/v1/chat/completions", CHAT)[0] == 200
    took_s = time.monotonic() - stopped
    report(f"start to first answer {took_s:.2f} s, {cpu_s(server.pid):.2f} s of CPU; stop {stopped - began:.2f} s")
    assert took_s <= START_WITHIN_S or neighbours.excuse(f"{took_s:.1f} s")


@pytest.mark.slow
def test_a_worker_that_nobody_calls_hardly_runs(server: GatewayProcess) -> None:
    server.post("/v1/chat/completions", CHAT)
    time.sleep(5)
    before, began = cpu_s(server.pid), time.monotonic()
    time.sleep(30)
    share = (cpu_s(server.pid) - before) / (time.monotonic() - began)
    report(f"an idle worker with its schedules takes {share * 100:.2f} % of a core")
    assert share <= IDLE_SHARE
