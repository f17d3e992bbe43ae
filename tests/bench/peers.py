"""`make bench-peers`: the gateway beside LiteLLM's proxy and Portkey's gateway, with the same upstream, in one run.

    python -m tests.bench.peers --install                      # once; into a folder of its own, needs the registries
    python -m tests.bench.peers [--seconds 5] [--rounds 2] [--write FILE]
    python -m tests.bench.peers --held litellm --streams 25 50 100

Each serves with one worker on core 0; upstream and load have core 1. CPU is that of the process tree per request. Memory is
the tree's proportional set size after the load. Cold start is from starting the program to its first answer of 200, the
gateway's with a database that is there, LiteLLM's without one. The gateway runs as `manage.py serve` does: accounting,
metrics, decision record, log line and Celery inside. LiteLLM and Portkey persist nothing. `--held` asks how many streams
of 10 events/s each are served with a p99 delay of at most 100 ms.
"""

import argparse
import asyncio
import contextlib
import datetime
import http.client
import os
import platform
import re
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.bench.compare import BODIES, MODEL, Contender, cpu_seconds, pinned, program
from tests.bench.streams import Point, hold, memory_mb, relay_command, request_to, upstream_command
from tests.e2e.gateway_process import ROOT, GatewayProcess, free_port

PEERS = ROOT / "dist" / "peers"
KEY = "sk-bench"
LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params: {{model: openai/gpt-4o, api_base: "http://127.0.0.1:{upstream}/v1", api_key: sk-up}}
general_settings: {{master_key: {key}}}
litellm_settings: {{telemetry: false}}
"""
PORTKEY_NEEDS = ["hono@4.9.7", "@hono/node-server@1.3.3"]
"""With the newer @hono/node-server that its ranges allow, Portkey 1.15.2 answers every stream with 500 ("immutable")."""
LOADS = (("chat", 32), ("stream", 32), ("chat", 1), ("stream", 1))
HELD_DELAY_MS = 100.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Peer:
    """How one program is started; `headers` go with each request to it."""

    name: str
    version: str
    command: Sequence[str]
    port: int
    key: str
    env: dict[str, str]
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Run:
    latencies_s: list[float] = field(default_factory=list)
    bad: list[bytes] = field(default_factory=list)

    def quantile_ms(self, share: float) -> float:
        ordered = sorted(self.latencies_s)
        return ordered[int(len(ordered) * share)] * 1000 if ordered else float("nan")


@dataclass(slots=True)
class Figures:
    """Of one program over all rounds; one entry per round in each list, by kind of call and connections."""

    cpu_us: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    runs: dict[tuple[str, int], list[Run]] = field(default_factory=dict)
    rate: dict[tuple[str, int], list[float]] = field(default_factory=dict)
    cold_start_s: list[float] = field(default_factory=list)
    memory_mb: list[float] = field(default_factory=list)

    def latency(self, kind: str, connections: int) -> str:
        runs = self.runs[kind, connections]
        p50, p99 = (statistics.median(run.quantile_ms(share) for run in runs) for share in (0.5, 0.99))
        return f"{p50:.1f} / {p99:.1f}"

    def bad(self) -> list[bytes]:
        return [each for runs in self.runs.values() for run in runs for each in run.bad]


def install(directory: Path) -> None:
    """LiteLLM into a virtual environment, Portkey with npm where there is one; nothing of the project's is touched."""
    directory.mkdir(parents=True, exist_ok=True)
    subprocess.run([sys.executable, "-m", "venv", directory / "litellm"], check=True)
    subprocess.run([directory / "litellm/bin/pip", "install", "--quiet", "litellm[proxy]"], check=True)
    if npm := shutil.which("npm"):
        (directory / "portkey").mkdir(exist_ok=True)
        subprocess.run([npm, "init", "--yes"], cwd=directory / "portkey", check=True, stdout=subprocess.DEVNULL)
        for packages in (["@portkey-ai/gateway"], PORTKEY_NEEDS):
            options = ["--silent", "--ignore-scripts", "--legacy-peer-deps"]
            subprocess.run([npm, "install", *options, *packages], cwd=directory / "portkey", check=True)


def litellm(directory: Path, scratch: Path, upstream: int) -> Peer | None:
    program = directory / "litellm/bin/litellm"
    if not program.exists():
        return None
    config, port = scratch / "litellm.yaml", free_port()
    config.write_text(LITELLM.format(upstream=upstream, key=KEY))
    found = next((directory / "litellm").glob("lib/*/site-packages/litellm-*.dist-info"))
    options = ["--config", str(config), "--host", "127.0.0.1", "--port", str(port), "--num_workers", "1"]
    return Peer(
        name="LiteLLM",
        version=found.name.removeprefix("litellm-").removesuffix(".dist-info"),
        command=[str(program), *options],
        port=port,
        key=KEY,
        env={"LITELLM_LOCAL_MODEL_COST_MAP": "True", "LITELLM_LOG": "ERROR"},
    )


def portkey(directory: Path, upstream: int) -> Peer | None:
    package = directory / "portkey/node_modules/@portkey-ai/gateway"
    if shutil.which("node") is None or not package.exists():
        return None
    version = re.search(r'"version": "([^"]+)"', (package / "package.json").read_text())
    port = free_port()
    return Peer(
        name="Portkey",
        version=version[1] if version else "?",
        command=["node", str(package / "build/start-server.js"), "--headless", f"--port={port}"],
        port=port,
        key=KEY,
        env={"NODE_ENV": "production"},
        headers={"x-portkey-provider": "openai", "x-portkey-custom-host": f"http://127.0.0.1:{upstream}/v1"},
    )


def gateway(scratch: Path, upstream: int) -> Peer:
    data = scratch / "data"
    data.mkdir()
    process = GatewayProcess(data)
    url = f"http://127.0.0.1:{upstream}/v1"
    process.seed({"providers": [{"name": "bench", "base_url": url, "max_connections": 100_000, "models": [MODEL]}]})
    return Peer(
        name="gateway",
        version=subprocess.check_output(["git", "describe", "--always"], cwd=ROOT, text=True).strip(),
        command=[sys.executable, "manage.py", "serve", "--port", str(process.port)],
        port=process.port,
        key=process.key,
        env=process.env,
    )


@contextlib.contextmanager
def running(peer: Peer, scratch: Path, *, settle: bool = True, kind: str = "chat") -> Iterator[tuple[Contender, float]]:
    """The program on core 0 and how many seconds it took to its first answer. `kind` is what the upstream can answer."""
    began = time.monotonic()
    with (scratch / f"{peer.name}.log").open("ab") as log:
        process = subprocess.Popen(
            pinned(0, list(peer.command)),
            cwd=ROOT,
            env={**os.environ, **peer.env},
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        while not answers(peer, kind):
            if process.poll() is not None or time.monotonic() - began > 120:
                raise SystemExit(f"{peer.name} does not answer:\n{(scratch / f'{peer.name}.log').read_text()[-2000:]}")
            time.sleep(0.02)
        took = time.monotonic() - began
        if settle:
            wait_until_idle(process.pid)
        yield Contender(name=peer.name, pid=process.pid, port=peer.port, key=peer.key), took
    finally:
        process.send_signal(signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(timeout=20)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)


def wait_until_idle(pid: int) -> None:
    """What a start leaves to do in the background is not a call's cost."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        before = cpu_seconds(pid)
        time.sleep(0.5)
        if cpu_seconds(pid) - before <= 0.02:
            return


def answers(peer: Peer, kind: str) -> bool:
    given = {"Authorization": f"Bearer {peer.key}", "Content-Type": "application/json", **peer.headers}
    connection = http.client.HTTPConnection("127.0.0.1", peer.port, timeout=10)
    try:
        connection.request("POST", "/v1/chat/completions", BODIES[kind], given)
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


class Asker(asyncio.Protocol):
    """One connection that asks again as soon as it has its answer, until the time is over; its last answer is awaited.

    wrk cuts what is still running at its end: of a program that takes seconds for 32 streams, most of what it did.
    """

    def __init__(self, request: bytes, until: float, run: Run) -> None:
        self.request, self.until, self.run, self.buffer = request, until, run, b""
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.ask()

    def ask(self) -> None:
        self.buffer, self.began = b"", time.monotonic()
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not is_whole(self.buffer):
            return
        now = time.monotonic()
        self.run.latencies_s.append(now - self.began)
        if not self.buffer.startswith(b"HTTP/1.1 200"):
            self.run.bad.append(self.buffer[:600])
        if now < self.until:
            self.ask()
        else:
            self.transport.abort()
            self.over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.run.bad.append(b"the connection was closed")
            self.over.set_result(None)


def is_whole(answer: bytes) -> bool:
    head, found, body = answer.partition(b"\r\n\r\n")
    if not found:
        return False
    length = re.search(rb"^content-length: *(\d+)", head, re.I | re.M)
    return len(body) >= int(length[1]) if length else body.endswith(b"0\r\n\r\n")


async def load(peer: Peer, kind: str, connections: int, seconds: float) -> Run:
    loop = asyncio.get_running_loop()
    contender = Contender(name=peer.name, pid=0, port=peer.port, key=peer.key)
    request = request_to(contender, peer.headers, kind)
    run, until = Run(), time.monotonic() + seconds
    connect = lambda: loop.create_connection(lambda: Asker(request, until, run), "127.0.0.1", peer.port)  # noqa: E731
    made = [await connect() for _ in range(connections)]
    await asyncio.wait_for(asyncio.gather(*(asker.over for _, asker in made)), seconds + 90)
    return run


def measure(peer: Peer, contender: Contender, figures: Figures, seconds: float) -> None:
    for kind, connections in LOADS:
        uvloop.run(load(peer, kind, connections, 1))
        before, began = cpu_seconds(contender.pid), time.monotonic()
        run = uvloop.run(load(peer, kind, connections, seconds))
        spent, took = cpu_seconds(contender.pid) - before, time.monotonic() - began
        figures.runs.setdefault((kind, connections), []).append(run)
        figures.rate.setdefault((kind, connections), []).append(len(run.latencies_s) / took)
        figures.cpu_us.setdefault((kind, connections), []).append(spent / max(len(run.latencies_s), 1) * 1e6)
    figures.memory_mb.append(memory_mb(contender.pid))


def compare(peers: list[Peer], options: argparse.Namespace, scratch: Path) -> dict[str, Figures]:
    results: dict[str, Figures] = {peer.name: Figures() for peer in peers}
    for _ in range(options.rounds):
        for peer in peers:
            figures = results[peer.name]
            with running(peer, scratch) as (contender, took):
                figures.cold_start_s.append(took)
                measure(peer, contender, figures, options.seconds)
            print(f"{peer.name}: {figures.cpu_us} {figures.cold_start_s}", file=sys.stderr, flush=True)
            for what in figures.bad()[:1]:
                print(f"{peer.name} answered {what!r}", file=sys.stderr, flush=True)
    return results


def table(peers: list[Peer], results: dict[str, Figures]) -> str:
    heads = [
        "CPU µs per chat",
        "per 54-event stream",
        "chats/s at 32",
        "chat ms, p50 / p99 at 32",
        "at 1",
        "stream at 32",
    ]
    heads += ["at 1", "cold start s", "memory MB", "not 200"]
    lines = ["| | " + " | ".join(heads) + " |", "|---" * (len(heads) + 1) + "|"]
    for peer in peers:
        figures, cells = results[peer.name], []
        for kind in BODIES:
            ours, theirs = (statistics.median(each.cpu_us[kind, 32]) for each in (results["gateway"], figures))
            cells.append(f"{theirs:.0f} ({theirs / ours:.1f} ×)")
        cells.append(f"{statistics.median(figures.rate['chat', 32]):.0f}")
        cells += [figures.latency(kind, connections) for kind in BODIES for connections in (32, 1)]
        cells += [f"{statistics.median(figures.cold_start_s):.1f}", f"{statistics.median(figures.memory_mb):.0f}"]
        calls = sum(len(run.latencies_s) for runs in figures.runs.values() for run in runs)
        cells.append(f"{len(figures.bad())} of {calls}")
        lines.append(f"| {peer.name} {peer.version} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def cold_starts(peers: list[Peer], times: int, scratch: Path) -> Iterator[str]:
    """Seconds and CPU seconds to the first answer, in turn."""
    for number in range(times):
        for peer in peers:
            with running(peer, scratch, settle=False) as (contender, took):
                yield f"{number} {peer.name} {peer.version}: {took:.2f} s, {cpu_seconds(contender.pid):.2f} s of CPU"


def held(peer: Peer, options: argparse.Namespace, scratch: Path) -> Iterator[Point]:
    """Ever more streams at once until they come late or end."""
    with running(peer, scratch, kind="stream") as (contender, _):
        for streams in options.streams:
            point = uvloop.run(
                hold(contender, streams, options.seconds, headers=peer.headers, ramp_s=8, to_the_end=False)
            )
            yield point
            if point.flowing < streams or not point.p99_ms <= HELD_DELAY_MS:
                return


def lines_of(made: list[Peer], options: argparse.Namespace, scratch: Path) -> Iterator[str]:
    if options.cold:
        yield from cold_starts(made, options.cold, scratch)
        return
    chosen = next((peer for peer in made if peer.name.lower() == options.held), None)
    if chosen is None:
        raise SystemExit(f"{options.held} is not installed in {options.peers}")
    for point in held(chosen, options, scratch):
        yield f"{chosen.name} {chosen.version}: {point}"


def relay(scratch: Path, upstream: int) -> Peer:
    port = free_port()
    env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}/v1/chat/completions"}
    return Peer(name="bare relay", version="", command=relay_command(port), port=port, key=KEY, env=env)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peers", type=Path, default=PEERS, help="where they are installed")
    parser.add_argument("--install", action="store_true")
    parser.add_argument("--seconds", type=float, default=5)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--cold", type=int, help="only start each so many times, in turn")
    parser.add_argument("--held", choices=["gateway", "litellm", "portkey", "bare relay"])
    parser.add_argument("--streams", type=int, nargs="+", default=[25, 50, 100, 200, 500, 1000, 2000])
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    # What was started is ended, also when a time limit ends this.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("ended"))
    if options.install:
        install(options.peers)
        return
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        scratch, upstream = Path(name), free_port()
        command = [sys.executable, "-m", "tests.bench.upstream", str(upstream), "50"]
        if options.held:
            command = upstream_command(upstream, 10, int(10 * (8 + options.seconds + 5)))
        stack.enter_context(program(command, upstream, core=1))
        made = [relay(scratch, upstream), gateway(scratch, upstream)]
        made += [peer for peer in (portkey(options.peers, upstream), litellm(options.peers, scratch, upstream)) if peer]
        os.sched_setaffinity(0, {1})
        if options.held or options.cold:
            for line in lines_of(made, options, scratch):
                print(line, flush=True)
            return
        results = compare(made, options, scratch)
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    report = f"{when}, {machine}, one worker each, median of {options.rounds} rounds of {options.seconds:g} s:\n\n"
    report += table(made, results) + "\n"
    print(report)
    if options.write:
        options.write.write_text(report)


if __name__ == "__main__":
    main()
