"""Stopping and restarting under load: running streams finish, nobody new is invited, and the exit is an orderly one."""

import asyncio
import http.client
import itertools
import json
import os
import select
import signal
import socket
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.e2e.calling import Caller, Got, at_once, report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy, shared_redis
from tests.upstreams.behaviours import expected_text
from tests.upstreams.faults import FaultUpstream

MODELS = [
    {"model": "long", "upstream_model": "fault:none?tokens=20&interval_s=0.1"},
    {"model": "longer", "upstream_model": "fault:none?tokens=40&interval_s=0.1"},
    {"model": "endless", "upstream_model": "fault:none?tokens=1000&interval_s=0.1"},
    {"model": "short", "upstream_model": "fault:none?tokens=5&interval_s=0.05"},
]


@pytest.fixture
def server(migrated_data_dir: Path, tmp_path: Path, upstream: FaultUpstream) -> Iterator[GatewayProcess]:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    process.seed({"providers": [{"name": "only", "base_url": f"{upstream.url}/v1", "models": MODELS}]})
    yield process
    process.kill()


async def stopped(server: GatewayProcess, timeout_s: float = 20, number: int = signal.SIGTERM) -> int:
    return await asyncio.to_thread(server.stop, number, timeout_s)


async def ready(server: GatewayProcess) -> int:
    return (await asyncio.to_thread(server.get, "/readyz"))[0]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
async def test_running_streams_finish_while_readiness_is_gone(
    server: GatewayProcess, upstream: FaultUpstream, number: int
) -> None:
    server.start()
    async with Caller(server) as caller:
        assert await ready(server) == 200
        running = [asyncio.create_task(caller.ask("long")) for _ in range(5)]
        await upstream.until(lambda seen: len(seen.hits) == 5)
        exit_code = asyncio.create_task(stopped(server, number=number))
        await asyncio.sleep(0.3)
        assert await ready(server) == 503
        found = await asyncio.gather(*running)
    assert all(got.is_clean(expected_text(20)) for got in found), found
    assert await exit_code == 0


def outcomes(server: GatewayProcess, seconds: float) -> list[tuple[float, object]]:
    """Of calls that each open a connection of their own: when it was opened, and its status or what failed."""
    began, found = time.monotonic(), []
    while (now := time.monotonic() - began) < seconds:
        try:
            found.append((now, server.get("/v1/models")[0]))
        except (OSError, http.client.HTTPException) as error:
            found.append((now, type(getattr(error, "reason", error))))
        time.sleep(0.005)
    return found


@pytest.mark.parametrize(
    ("workers", "model", "tokens"), [(1, "short", 5), pytest.param(2, "longer", 40, marks=pytest.mark.redis)]
)
async def test_who_opens_a_connection_for_each_call_is_answered_for_a_moment_and_then_refused(
    server: GatewayProcess, upstream: FaultUpstream, workers: int, model: str, tokens: int
) -> None:
    server.env.update(shared_redis() if workers > 1 else {})
    server.start("--workers", str(workers))
    async with Caller(server) as caller:
        await until_answered(caller)
        before = len(upstream.hits)
        running = asyncio.create_task(caller.ask(model))
        await upstream.until(lambda seen: len(seen.hits) == before + 1)
        server.signal(signal.SIGTERM)
        found = await asyncio.to_thread(outcomes, server, 3.5)
        got = await running
    assert got.is_clean(expected_text(tokens)), got
    answered = list(itertools.takewhile(lambda one: one[1] == 200, found))
    assert answered[-1][0] > 1.5
    # The one that was on its way when the socket was closed may be reset; nobody waits for a server that accepts no more.
    assert {what for _, what in found[len(answered) + 1 :]} == {ConnectionRefusedError}
    assert await stopped(server) == 0


async def test_it_ends_in_order_though_nobody_reads_its_log(server: GatewayProcess) -> None:
    os.mkfifo(server.log)
    pipe = os.open(server.log, os.O_RDWR)
    try:
        server.start()
        async with Caller(server) as caller:
            calls_since_it_is_full = 0
            while calls_since_it_is_full < 100:
                answers = await at_once(20, [lambda: caller.ask("short", stream=False)] * 20)
                assert {got.status for got in answers} == {200}
                if not select.select([], [pipe], [], 0)[1]:
                    calls_since_it_is_full += 20
        assert await stopped(server, 15) == 0
    finally:
        server.kill()
        os.close(pipe)


async def test_a_stream_over_the_drain_deadline_ends_with_an_error_event(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    server.env["PROXY_API_DRAIN_TIMEOUT"] = "1"
    server.start()
    async with Caller(server) as caller:
        running = asyncio.create_task(caller.ask("endless"))
        await upstream.until(lambda seen: bool(seen.hits) and seen.hits[0].tokens_sent > 2)
        began = time.monotonic()
        exit_code = await stopped(server)
        took_s = time.monotonic() - began
        got = await running
    assert (got.status, got.done, got.broken) == (200, False, "")
    assert got.errors[0]["code"] == "shutting_down"
    assert got.text
    assert expected_text(1000).startswith(got.text)
    assert exit_code == 0
    assert took_s < 12


async def load(caller: Caller, until: asyncio.Event, found: list[Got]) -> None:
    while not until.is_set():
        found.append(await caller.ask("short"))


async def roll(server: GatewayProcess, clients: int, restarts: int) -> list[Got]:
    """Every answer that clients got while the workers were replaced."""
    server.env.update(shared_redis())
    server.start("--workers", "2")
    found: list[Got] = []
    async with Caller(server) as caller:
        await until_answered(caller)
        over = asyncio.Event()
        tasks = [asyncio.create_task(load(caller, over, found)) for _ in range(clients)]
        for _ in range(restarts):
            before = workers_of(server)
            server.signal(signal.SIGHUP)
            deadline = time.monotonic() + 60
            while workers_of(server) & before or len(workers_of(server)) < 2:
                assert time.monotonic() < deadline, "the workers were not replaced"
                await asyncio.sleep(0.1)
        over.set()
        await asyncio.gather(*tasks)
    return found


async def until_answered(caller: Caller) -> None:
    """Behind a supervisor the socket listens before the first worker does."""
    while (await caller.ask("short")).status != 200:
        await asyncio.sleep(0.1)


def workers_of(server: GatewayProcess) -> set[int]:
    children = Path(f"/proc/{server.pid}/task/{server.pid}/children").read_text()
    return {int(pid) for pid in children.split()}


def is_running(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        return probe.connect_ex(("127.0.0.1", port)) != 0


async def until(condition: Callable[[], bool], timeout_s: float) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline
        await asyncio.sleep(0.1)


@pytest.mark.redis
async def test_workers_whose_supervisor_was_killed_finish_their_streams_and_give_the_port_back(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    server.env.update(shared_redis())
    server.start("--workers", "2")
    workers: set[int] = set()
    try:
        async with Caller(server) as caller:
            await until_answered(caller)
            workers = workers_of(server)
            assert len(workers) == 2
            before = len(upstream.hits)
            running = [asyncio.create_task(caller.ask("long")) for _ in range(4)]
            await upstream.until(lambda seen: len(seen.hits) == before + 4)
            server.kill()
            await until(lambda: is_free(server.port), 5)
            found = await asyncio.gather(*running)
        assert all(got.is_clean(expected_text(20)) for got in found), found
        await until(lambda: not any(map(is_running, workers)), 15)
        server.start()
    finally:
        for pid in filter(is_running, workers):
            os.kill(pid, signal.SIGKILL)
    assert "the supervisor is gone" in server.log.read_text()


@pytest.mark.redis
async def test_a_worker_that_was_killed_is_told_of_as_everything_else_and_leaves_no_directory(
    server: GatewayProcess, tmp_path: Path
) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    server.env.update({**shared_redis(), "TMPDIR": str(temporary)})
    server.start("--workers", "2")
    async with Caller(server) as caller:
        await until_answered(caller)
    before = workers_of(server)
    killed = min(before)
    os.kill(killed, signal.SIGKILL)
    await until(lambda: len(workers_of(server) - before) == 1, 30)
    assert server.stop(timeout_s=60) == 0

    lines = [line for line in server.log.read_text().splitlines() if f"worker {killed} ended" in line]
    (event,) = map(json.loads, lines)
    assert (event["level"], event["logger"]) == ("ERROR", "llm_proxy.proxy_site.supervisor")
    assert list(temporary.iterdir()) == []


@pytest.mark.redis
@pytest.mark.slow
async def test_a_rolling_restart_under_load_cuts_nothing(server: GatewayProcess, upstream: FaultUpstream) -> None:
    found = await roll(server, 10, 2)
    unclean = [got for got in found if not got.is_clean(expected_text(5))]
    report(f"rolling restart: 2 × 2 workers replaced under 10 clients, {len(found)} streams, {len(unclean)} not clean")
    assert not unclean
    assert await stopped(server) == 0
