"""Three workers over PostgreSQL and Redis under a steady load: failures, memory and descriptors, and what the stores carry.

    python -m tests.bench.soak [--minutes 30] [--rate 100] [--workers 3] [--warm-calls 0] [--write FILE]

Calls leave at a fixed rate whether or not answers come: seven in ten are chats, three are streams of 24 events over 0.4 s; a
key with a request limit (Redis) and a budget (SQL) makes half of them, one without limits the other half. PostgreSQL and
Redis are servers of this run's own, so that what they count is this run's: statements of pg_stat_statements, commands of
Redis, each by the calls made in the same time.

`--warm-calls` chats come before, uncounted, as fast as they go through: what a worker keeps (statistics, buffers, the
allocator's arenas) fills with the number of calls, and not with time. Needs wrk then. Descriptors are told without the
clients' own connections: a client that opens twenty at once keeps them, and that is its affair.

Memory's growth is the slope of a straight line, by least squares, through the means of each minute after the first third
(warm-up); minutes and not samples, because neighbouring samples are not independent. Its 95 % confidence interval says
whether it differs from 0. A call has failed when it is not a 200 with its whole answer.
"""

import argparse
import asyncio
import contextlib
import datetime
import json
import math
import os
import re
import statistics
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import psycopg
import uvloop
from redis import Redis

from tests.bench.compare import BODIES, MODEL, Contender, measure, process_tree, program
from tests.e2e.gateway_process import GatewayProcess, free_port, on_postgres
from tests.e2e.private_servers import private_postgres, private_redis

EVENTS, PAUSE_S = 20, 0.02
STREAMS_IN_TEN = 3
SAMPLE_EVERY_S = 5.0
ANSWER_WITHIN_S = 60.0
LATE_S = 1.0
WARM_CONNECTIONS, WARM_SLICE_S = 12, 10
ESTABLISHED = "01"
T_95 = {3: 3.18, 4: 2.78, 5: 2.57, 8: 2.31, 10: 2.23, 15: 2.13, 18: 2.10, 28: 2.05}
"""Student's t for a two-sided 95 % interval, by degrees of freedom; between two, the wider is taken."""


@dataclass(slots=True)
class Sample:
    at_s: float
    memory_mb: dict[int, float]
    descriptors: dict[int, int]


@dataclass(slots=True)
class Run:
    calls: int = 0
    unsent: int = 0
    failures: Counter[str] = field(default_factory=Counter)
    latencies_s: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)


@dataclass(frozen=True, slots=True, kw_only=True)
class Slope:
    """Per hour, with half the width of its 95 % confidence interval."""

    per_hour: float
    plus_minus: float

    def __str__(self) -> str:
        return f"{self.per_hour:+.2f} ± {self.plus_minus:.2f}"


def slope(points: Sequence[tuple[float, float]]) -> Slope:
    """Least squares through (seconds, value), reduced to the mean of each minute."""
    minutes: dict[int, list[float]] = {}
    for at_s, value in points:
        minutes.setdefault(int(at_s // 60), []).append(value)
    xs = [minute / 60 for minute in minutes]
    ys = [statistics.fmean(values) for values in minutes.values()]
    freedom = len(xs) - 2
    if freedom < 1:
        return Slope(per_hour=math.nan, plus_minus=math.nan)
    found = statistics.linear_regression(xs, ys)
    rest = sum((y - found.intercept - found.slope * x) ** 2 for x, y in zip(xs, ys, strict=True))
    spread = sum((x - statistics.fmean(xs)) ** 2 for x in xs)
    t = T_95[max((known for known in T_95 if known <= freedom), default=3)]
    return Slope(per_hour=found.slope, plus_minus=t * math.sqrt(rest / freedom / spread))


def sample(pid: int, port: int, at_s: float) -> Sample:
    memory, descriptors = {}, {}
    clients = sockets_of_clients(port)
    for member in process_tree(pid):
        status = Path(f"/proc/{member}/status").read_text()
        memory[member] = int(re.search(r"VmRSS:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]
        descriptors[member] = sum(opened not in clients for opened in targets(Path(f"/proc/{member}/fd")))
    return Sample(at_s=at_s, memory_mb=memory, descriptors=descriptors)


def sockets_of_clients(port: int) -> set[str]:
    """The accepted connections of a listening port, as /proc/<pid>/fd names them."""
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return {f"socket:[{row[9]}]" for row in rows if row[1].endswith(f":{port:04X}") and row[3] == ESTABLISHED}


def targets(directory: Path) -> list[str]:
    found = []
    for name in os.listdir(directory):
        with contextlib.suppress(FileNotFoundError):
            found.append(os.readlink(directory / name))
    return found


async def call(session: aiohttp.ClientSession, url: str, key: str, stream: bool, run: Run) -> None:
    began = time.monotonic()
    given = {"authorization": f"Bearer {key}", "content-type": "application/json"}
    try:
        async with session.post(url, data=BODIES["stream" if stream else "chat"], headers=given) as answer:
            body = await answer.read()
        whole = body.rstrip().endswith(b"data: [DONE]") if stream else body.startswith(b'{"id"')
        if answer.status != 200 or not whole:
            run.failures[f"{answer.status} {body[-200:]!r}"] += 1
    except (aiohttp.ClientError, TimeoutError) as error:
        run.failures[repr(error)] += 1
    run.calls += 1
    run.latencies_s.append(time.monotonic() - began)


async def load(gateway: GatewayProcess, keys: Sequence[str], rate: float, seconds: float) -> Run:
    run, began, tasks = Run(), time.monotonic(), set()
    url = f"{gateway.url}/v1/chat/completions"
    timeout = aiohttp.ClientTimeout(total=ANSWER_WITHIN_S)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        watcher = asyncio.create_task(watch(gateway, began, run))
        for number in range(int(rate * seconds)):
            wait = began + number / rate - time.monotonic()
            await asyncio.sleep(max(wait, 0))
            if wait < -LATE_S:
                # A machine that did not let this program run says nothing about the gateway, and a burst would.
                run.unsent += 1
                continue
            stream = number % 10 < STREAMS_IN_TEN
            task = asyncio.create_task(call(session, url, keys[number % len(keys)], stream, run))
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        await asyncio.gather(*tasks)
        watcher.cancel()
    return run


def warmed(gateway: GatewayProcess, keys: Sequence[str], calls: int, directory: Path) -> int:
    """Makes at least that many chats, by each key in turn, and tells how many they were."""
    contenders = [Contender(name="warm-up", pid=gateway.pid, port=gateway.port, key=key) for key in keys]
    made = 0
    while made < calls:
        for contender in contenders:
            run = measure(contender, "chat", WARM_CONNECTIONS, WARM_SLICE_S, directory)
            if run.bad or not run.requests:
                raise SystemExit(f"{run.bad} of {run.requests} calls of the warm-up failed")
            made += run.requests
    return made


async def watch(gateway: GatewayProcess, began: float, run: Run) -> None:
    while True:
        await asyncio.sleep(SAMPLE_EVERY_S)
        run.samples.append(sample(gateway.pid, gateway.port, time.monotonic() - began))


class Counters:
    """What the stores say they have done since `start`."""

    def __init__(self, database: str, redis: str) -> None:
        self.database = psycopg.connect(database, autocommit=True)
        self.database.execute("CREATE EXTENSION IF NOT EXISTS pg_stat_statements")
        self.redis: Redis = Redis.from_url(redis)

    def start(self) -> None:
        self.database.execute("SELECT pg_stat_statements_reset()")
        self.redis.config_resetstat()

    def told(self, calls: int) -> list[str]:
        kept = "SELECT COUNT(*), pg_total_relation_size('accounts_usagerecord') FROM accounts_usagerecord"
        ledger = self.database.execute(kept).fetchone() or (0, 0)
        rows = self.database.execute(
            "SELECT calls, rows, total_exec_time, left(regexp_replace(query, '\\s+', ' ', 'g'), 90) "
            "FROM pg_stat_statements ORDER BY calls DESC"
        ).fetchall()
        statements, time_ms = sum(row[0] for row in rows), sum(row[2] for row in rows)
        lines = [f"PostgreSQL: {statements / calls:.3f} statements and {time_ms / calls * 1000:.0f} µs per call; most:"]
        lines += [
            f"  {row[0] / calls:.3f} per call, {row[1]} rows, {row[2] / calls * 1000:.1f} µs: {row[3]}"
            for row in rows[:12]
        ]
        lines.append(f"  ledger: {ledger[0]} rows of {ledger[1] / max(ledger[0], 1):.0f} bytes, indexes included")
        stats = {name.removeprefix("cmdstat_"): each for name, each in self.redis.info("commandstats").items()}
        commands, time_us = (sum(each[what] for each in stats.values()) for what in ("calls", "usec"))
        lines.append(f"Redis: {commands / calls:.3f} commands and {time_us / calls:.1f} µs per call; most:")
        most = sorted(stats.items(), key=lambda item: -item[1]["calls"])[:8]
        lines += [
            f"  {each['calls'] / calls:.3f} per call, {each['usec'] / calls:.1f} µs: {name}" for name, each in most
        ]
        return lines


@contextlib.contextmanager
def installation(directory: Path, workers: int):  # type: ignore[no-untyped-def]
    """A gateway over stores of its own, its two keys, and the stores' counters."""
    with ExitStack() as stack:
        redis = stack.enter_context(private_redis(directory))
        postgres = stack.enter_context(private_postgres())
        psycopg.connect(postgres.url, autocommit=True).execute(
            "ALTER SYSTEM SET shared_preload_libraries = pg_stat_statements"
        )
        postgres.kill()
        postgres.start()
        upstream = free_port()
        command = [sys.executable, "-m", "tests.bench.upstream", str(upstream), str(EVENTS), str(PAUSE_S)]
        stack.enter_context(program(command, upstream))
        (directory / "data").mkdir()
        environment = {**on_postgres(postgres.url), "REDIS_URL": redis.url}
        gateway = GatewayProcess(directory / "data", env=environment)
        url = f"http://127.0.0.1:{upstream}/v1"
        gateway.run("manage.py", "migrate", "-v", "0", timeout_s=600)
        gateway.seed({"providers": [{"name": "bench", "base_url": url, "max_connections": 1000, "models": [MODEL]}]})
        options = ("--team", "soak", "--rpm", "1000000", "--budget-usd", "100000", "--json")
        limited = json.loads(gateway.manage("create_api_key", "limited", *options))["key"]
        gateway.start("--workers", str(workers))
        stack.callback(gateway.stop, timeout_s=120)
        yield gateway, (gateway.key, limited), Counters(postgres.url, redis.url)


def wait_until_ready(gateway: GatewayProcess) -> None:
    """Behind a supervisor the socket listens before a worker does."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            if gateway.get("/readyz")[0] == 200:
                return
        time.sleep(0.1)
    raise SystemExit(f"not ready:\n{gateway.log.read_text()[-3000:]}")


def told(run: Run, minutes: float) -> list[str]:
    warm = [each for each in run.samples if each.at_s >= minutes * 60 / 3]
    failed = run.failures.total()
    latencies = sorted(run.latencies_s)
    lines = [
        f"{run.calls} calls, {failed} failed ({failed / max(run.calls, 1):.5%}), {run.unsent} not made; "
        f"p50 {latencies[len(latencies) // 2] * 1000:.0f} ms, p99 {latencies[int(len(latencies) * 0.99)] * 1000:.0f} ms",
        *(f"  {count} × {what}" for what, count in run.failures.most_common(10)),
    ]
    whole = slope([(each.at_s, sum(each.memory_mb.values())) for each in warm])
    lines.append(f"memory of all processes: {sum(warm[-1].memory_mb.values()):.0f} MB, {whole} MB per hour")
    for pid in warm[-1].memory_mb:
        there = [each for each in warm if pid in each.memory_mb]
        descriptors = [each.descriptors[pid] for each in there]
        memory = slope([(each.at_s, each.memory_mb[pid]) for each in there])
        open_files = slope([(each.at_s, each.descriptors[pid]) for each in there])
        lines.append(
            f"  process {pid}: {there[0].memory_mb[pid]:.1f} → {there[-1].memory_mb[pid]:.1f} MB, {memory} MB per hour; "
            f"descriptors {min(descriptors)} to {max(descriptors)}, {open_files} per hour"
        )
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--rate", type=float, default=100, help="calls per second")
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--warm-calls", type=int, default=0)
    parser.add_argument("--write", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as name, installation(Path(name), options.workers) as (gateway, keys, counters):
        wait_until_ready(gateway)
        uvloop.run(load(gateway, keys, options.rate, 5))
        warm = warmed(gateway, keys, options.warm_calls, Path(name))
        counters.start()
        run = uvloop.run(load(gateway, keys, options.rate, options.minutes * 60))
        lines = [*told(run, options.minutes), *counters.told(run.calls)]
        when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
        head = f"{when}, {options.workers} workers, {options.rate:.0f} calls/s for {options.minutes:g} minutes"
        head += f", after {warm} calls"
        report = "\n".join([head, *lines]) + "\n"
        print(report, flush=True)
        if options.write:
            options.write.write_text(report)
    if run.failures.total() > run.calls * 1e-5:
        raise SystemExit("more than 0.001 % failed")


if __name__ == "__main__":
    main()
