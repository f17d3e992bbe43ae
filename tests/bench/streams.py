"""How many streams one worker holds: a curve of streams against the delay that is added to each event.

    python -m tests.bench.streams [--streams 100 500 1000 2000 5000] [--seconds 8] [--rate 10] [--without relay]

The upstream writes into each event the moment it sends it (the monotonic clock is one for all processes of a machine), the
client subtracts it from the moment it reads. The same is measured with no proxy between, because upstream and client
share a core and are late by themselves: what a proxy adds is the difference. The proxy has the other core.
"""

import argparse
import asyncio
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path

import uvloop

from tests.bench.compare import BODIES, MODEL, Contender, cpu_seconds, process_tree, program
from tests.e2e.gateway_process import GatewayProcess, free_port

TICK_S = 0.002
RAMP_PER_S = 500
"""Streams opened per second, so that what is measured is holding them and not their start."""
SETTLE_S = 1.0
STAMP = re.compile(rb"t=(\d+\.\d+)")
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n"
FRAME = (
    b'{"id":"chatcmpl-1","object":"chat.completion.chunk","created":1700000000,"model":"gpt-4o",'
    b'"choices":[{"index":0,"delta":%b,"logprobs":null,"finish_reason":%b}]}'
)


def event(payload: bytes) -> bytes:
    line = b"data: " + payload + b"\n\n"
    return b"%x\r\n%b\r\n" % (len(line), line)


FIRST = HEAD + event(FRAME % (b'{"role":"assistant","content":""}', b"null"))
LAST = event(FRAME % (b"{}", b'"stop"')) + event(b"[DONE]") + b"0\r\n\r\n"


class PacedUpstream(asyncio.Protocol):
    """One connection; the wheel writes to it."""

    def __init__(self, wheel: "Wheel") -> None:
        self.wheel, self.buffer, self.left = wheel, b"", 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        end = self.buffer.find(b"\r\n\r\n")
        found = re.search(rb"content-length: *(\d+)", self.buffer[: max(end, 0)], re.I)
        if end < 0 or len(self.buffer) < end + 4 + (int(found[1]) if found else 0):
            return
        self.buffer, self.left = b"", self.wheel.events
        self.transport.write(FIRST)
        self.wheel.add(self)

    def turn(self) -> bool:
        """Sends one event; whether another is to come."""
        if self.transport.is_closing():
            return False
        self.left -= 1
        self.transport.write(event(FRAME % (b'{"content":"t=%.6f "}' % time.monotonic(), b"null")))
        if self.left:
            return True
        self.transport.write(LAST)
        return False


class Wheel:
    """Turns once per interval; each stream has its slot, so that events are spread evenly over it."""

    def __init__(self, rate: float, events: int) -> None:
        self.events = events
        self.slots: list[list[PacedUpstream]] = [[] for _ in range(round(1 / rate / TICK_S))]
        self.next = 0

    def add(self, stream: PacedUpstream) -> None:
        self.slots[self.next % len(self.slots) - 1].append(stream)

    async def run(self) -> None:
        began = time.monotonic()
        turned = 0
        while True:
            while turned * TICK_S < time.monotonic() - began:
                at = turned % len(self.slots)
                self.slots[at] = [stream for stream in self.slots[at] if stream.turn()]
                turned += 1
                self.next = turned
            await asyncio.sleep(TICK_S / 2)


async def serve(port: int, rate: float, events: int) -> None:
    wheel = Wheel(rate, events)
    loop = asyncio.get_running_loop()
    await loop.create_server(lambda: PacedUpstream(wheel), "127.0.0.1", port, backlog=4096)
    await wheel.run()


@dataclass(slots=True)
class Seen:
    """What the client saw of all streams; delays in seconds, of events within the window only."""

    opens_at: float
    closes_at: float
    delays: list[float] = field(default_factory=list)
    complete: int = 0
    refused: int = 0
    broken: int = 0


class Client(asyncio.Protocol):
    def __init__(self, request: bytes, seen: Seen) -> None:
        self.request, self.seen, self.buffer, self.begun = request, seen, b"", False
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: asyncio.Transport = transport  # type: ignore[assignment]
        self.transport.write(self.request)

    def data_received(self, data: bytes) -> None:
        now = time.monotonic()
        data = self.buffer + data
        if not self.begun:
            self.begun = True
            if not data.startswith(b"HTTP/1.1 200"):
                self.seen.refused += 1
                self.end()
                return
        if self.seen.opens_at < now < self.seen.closes_at:
            self.seen.delays.extend([now - float(stamp) for stamp in STAMP.findall(data)])
        self.buffer = data[data.rfind(b"\n") + 1 :]
        if b"[DONE]" in data:
            self.seen.complete += 1
            self.end()

    def end(self) -> None:
        self.transport.abort()
        if not self.over.done():
            self.over.set_result(None)

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self.seen.broken += 1
            self.over.set_result(None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """One point of the curve; delays in milliseconds, `cores` is what the proxy took of one."""

    streams: int
    flowing: int
    """Streams that lived through the whole window."""
    complete: int
    p50_ms: float
    p99_ms: float
    cores: float
    memory_mb: float


def memory_mb(pid: int) -> float:
    """Resident memory of the process tree; what its processes share is counted once (proportional set size)."""
    total = 0
    for member in process_tree(pid):
        rollup = Path(f"/proc/{member}/smaps_rollup").read_text()
        total += int(re.search(r"^Pss:\s+(\d+)", rollup, re.M)[1])  # type: ignore[index]
    return total / 1024


def request_to(contender: Contender, headers: dict[str, str], kind: str = "stream") -> bytes:
    body = BODIES[kind].encode()
    given = {"host": "x", "authorization": f"Bearer {contender.key}", "content-type": "application/json", **headers}
    lines = "".join(f"{name}: {value}\r\n" for name, value in given.items())
    return f"POST /v1/chat/completions HTTP/1.1\r\n{lines}content-length: {len(body)}\r\n\r\n".encode() + body


async def hold(
    contender: Contender,
    streams: int,
    seconds: float,
    *,
    headers: dict[str, str] | None = None,
    ramp_s: float,
    to_the_end: bool = True,
) -> Point:
    """Opens streams within `ramp_s`, holds them for the window of `seconds` and tells what was seen in it."""
    loop = asyncio.get_running_loop()
    request = request_to(contender, headers or {})
    opens_at = time.monotonic() + ramp_s + SETTLE_S
    seen = Seen(opens_at=opens_at, closes_at=opens_at + seconds)
    began, clients = time.monotonic(), []
    for number in range(streams):
        if (wait := began + ramp_s * number / streams - time.monotonic()) > 0:
            await asyncio.sleep(wait)
        try:
            _, client = await loop.create_connection(lambda: Client(request, seen), "127.0.0.1", contender.port)
        except OSError:
            seen.broken += 1
            continue
        clients.append(client)
    await asyncio.sleep(max(seen.opens_at - time.monotonic(), 0))
    spent, since = cpu_seconds(contender.pid), time.monotonic()
    await asyncio.sleep(max(seen.closes_at - time.monotonic(), 0.1))
    cores = (cpu_seconds(contender.pid) - spent) / (time.monotonic() - since)
    memory = memory_mb(contender.pid)
    flowing = sum(client.begun and not client.over.done() for client in clients)
    if to_the_end:
        await asyncio.wait([client.over for client in clients], timeout=ramp_s + seconds + 15)
    for client in clients:
        client.transport.abort()
    delays = sorted(seen.delays) or [float("nan")]
    return Point(
        streams=streams,
        flowing=flowing,
        complete=seen.complete,
        p50_ms=delays[len(delays) // 2] * 1000,
        p99_ms=delays[int(len(delays) * 0.99)] * 1000,
        cores=cores,
        memory_mb=memory,
    )


def upstream_command(port: int, rate: float, events: int) -> list[str]:
    return [
        sys.executable,
        "-m",
        "tests.bench.streams",
        "--serve",
        str(port),
        "--rate",
        str(rate),
        "--events",
        str(events),
    ]


def started_gateway(
    stack: ExitStack, data: Path, upstream: int, settings: dict[str, object] | None = None
) -> Contender:
    """The gateway with one provider at the upstream's port, on core 0."""
    data.mkdir()
    gateway = GatewayProcess(data)
    url = f"http://127.0.0.1:{upstream}/v1"
    provider = {"name": "bench", "base_url": url, "max_connections": 100_000, "models": [MODEL]}
    gateway.seed({"providers": [provider], "settings": settings or {}})
    gateway.start()
    stack.callback(gateway.stop)
    if (os.cpu_count() or 1) > 1:
        subprocess.run(["taskset", "-acp", "0", str(gateway.pid)], check=True, stdout=subprocess.DEVNULL)
    return Contender(name="gateway", pid=gateway.pid, port=gateway.port, key=gateway.key)


def relay_command(port: int) -> list[str]:
    command = [sys.executable, "-m", "uvicorn", "tests.bench.relay:app", "--port", str(port), "--loop", "uvloop"]
    return [*command, "--http", "httptools", "--lifespan", "off", "--no-access-log", "--log-level", "error"]


def started_relay(stack: ExitStack, upstream: int) -> Contender:
    port = free_port()
    command = relay_command(port)
    env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}/v1/chat/completions"}
    return Contender(name="bare relay", pid=stack.enter_context(program(command, port, env)), port=port)


def curve(options: argparse.Namespace) -> Iterator[tuple[str, Point]]:
    for streams in options.streams:
        # As long as the last stream is measured, the first must not have ended.
        events = int(options.rate * (streams / RAMP_PER_S + SETTLE_S + options.seconds + 1))
        with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
            upstream = free_port()
            pid = stack.enter_context(program(upstream_command(upstream, options.rate, events), upstream, core=1))
            found = [Contender(name="no proxy", pid=pid, port=upstream)]
            if "relay" not in options.without:
                found.append(started_relay(stack, upstream))
            found.append(started_gateway(stack, Path(name) / "data", upstream))
            for contender in found:
                yield contender.name, uvloop.run(hold(contender, streams, options.seconds, ramp_s=streams / RAMP_PER_S))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--streams", type=int, nargs="+", default=[100, 500, 1000, 2000, 3000, 5000])
    parser.add_argument("--seconds", type=float, default=8)
    parser.add_argument("--rate", type=float, default=10, help="events per second and stream")
    parser.add_argument("--without", nargs="*", default=[], choices=["relay"])
    parser.add_argument("--serve", type=int, help="be the upstream, on this port")
    parser.add_argument("--events", type=int, default=100, help="of a stream, with --serve")
    options = parser.parse_args()
    if options.serve:
        uvloop.run(serve(options.serve, options.rate, options.events))
        return
    if (os.cpu_count() or 1) > 1:
        os.sched_setaffinity(0, {1})
    print("| streams | through | complete | p50 ms | p99 ms | cores | CPU µs per event | memory MB |")
    print("|---" * 8 + "|")
    for name, point in curve(options):
        print(
            f"| {point.streams} | {name} | {point.complete} | {point.p50_ms:.1f} | {point.p99_ms:.1f} "
            f"| {point.cores:.2f} | {point.cores / (point.streams * options.rate) * 1e6:.1f} | {point.memory_mb:.0f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
