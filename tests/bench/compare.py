"""`make bench`: CPU per request of the gateway against the bare relay, and nginx where installed, all in one run.

    python -m tests.bench.compare [--seconds 2] [--rounds 12] [--connections 32] [--redis URL]
                                  [--write docs/performance-run.md]

CPU seconds of the proxy's process tree per request is the figure to trust on a shared machine; requests per second is
not. Proxies are pinned to one core; the upstream and wrk to the other. Needs wrk.

The host's speed changes within seconds, by more than what is measured. So the contenders take short turns, each is
compared with the bare relay of its own round, and the median of these ratios is the figure, with its quartiles.
"""

import argparse
import datetime
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
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from tests.e2e.gateway_process import ROOT, GatewayProcess, free_port

TICKS = os.sysconf("SC_CLK_TCK")
# What a contender puts off (the gateway books calls within 0.9 s) is part of what they cost.
AFTERWARDS_S = 1.2
MESSAGES = (
    '[{"role":"system","content":"You are a helpful assistant."},'
    '{"role":"user","content":"Hello there, tell me something nice."}]'
)
MODEL = {
    "model": "gpt-4o",
    "context_window": 128_000,
    "max_output_tokens": 16_384,
    "input_nano_usd_per_mtok": 2_500_000_000,
    "output_nano_usd_per_mtok": 10_000_000_000,
}
LIMITS = ("--rpm", "1000000000", "--tpm", "1000000000000", "--budget-usd", "100000")
"""Of a key that is counted everywhere and stopped nowhere."""
BODIES = {
    "chat": '{"model":"gpt-4o","messages":' + MESSAGES + ',"max_tokens":100}',
    "stream": '{"model":"gpt-4o","stream":true,"messages":' + MESSAGES + ',"max_tokens":100}',
}
NGINX = """
worker_processes 1; daemon off; pid {directory}/nginx.pid; error_log {directory}/error.log;
events {{ worker_connections 4096; }}
http {{
  access_log off;
  client_body_temp_path {directory}/a; proxy_temp_path {directory}/b; fastcgi_temp_path {directory}/c;
  uwsgi_temp_path {directory}/d; scgi_temp_path {directory}/e;
  upstream up {{ server 127.0.0.1:{upstream}; keepalive 64; }}
  server {{
    listen 127.0.0.1:{port}; keepalive_requests 1000000;
    location / {{ proxy_pass http://up; proxy_http_version 1.1; proxy_set_header Connection ""; proxy_buffering off; }}
  }}
}}
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contender:
    name: str
    pid: int
    port: int
    key: str = "sk-none"
    model: str = "gpt-4o"


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    cpu_us: float
    requests: int
    bad: int
    p50: str
    p99: str


def process_tree(pid: int) -> set[int]:
    found = {pid}
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{thread}/children").read_text().split():
                found |= process_tree(int(child))
    except FileNotFoundError:
        pass
    return found


def cpu_seconds(pid: int) -> float:
    total = 0
    for member in process_tree(pid):
        try:
            fields = Path(f"/proc/{member}/stat").read_text().rsplit(")", 1)[1].split()
        except FileNotFoundError:
            continue
        total += int(fields[11]) + int(fields[12])
    return total / TICKS


def pinned(core: int, command: list[str]) -> list[str]:
    return ["taskset", "-c", str(core), *command] if (os.cpu_count() or 1) > 1 else command


def load(contender: Contender, kind: str, connections: int, seconds: int, directory: Path) -> str:
    """What wrk says; when it is said, all that the calls cost is spent."""
    script = directory / f"{kind}.lua"
    body = BODIES[kind].replace("gpt-4o", contender.model)
    script.write_text(
        f"wrk.method = 'POST'\nwrk.body = [==[{body}]==]\nwrk.headers['Content-Type'] = 'application/json'\n"
        f"wrk.headers['Authorization'] = 'Bearer {contender.key}'\n"
    )
    url = f"http://127.0.0.1:{contender.port}/v1/chat/completions"
    command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", str(script), "--latency", url]
    done = subprocess.run(pinned(1, command), capture_output=True, text=True, check=True, timeout=seconds + 60)
    time.sleep(AFTERWARDS_S)
    return done.stdout


def measure(
    contender: Contender, kind: str, connections: int, seconds: int, directory: Path, *, warm_up: int = 1
) -> Run:
    if warm_up:
        load(contender, kind, connections, warm_up, directory)
    before = cpu_seconds(contender.pid)
    out = load(contender, kind, connections, seconds, directory)
    spent = cpu_seconds(contender.pid) - before
    requests = int(found[1]) if (found := re.search(r"(\d+) requests in", out)) else 0
    bad = int(found[1]) if (found := re.search(r"Non-2xx.*: (\d+)", out)) else 0
    p50, p99 = (found[1] if (found := re.search(rf"^\s+{q}%\s+(\S+)$", out, re.M)) else "?" for q in (50, 99))
    return Run(cpu_us=spent / max(requests, 1) * 1e6, requests=requests, bad=bad, p50=p50, p99=p99)


@contextmanager
def program(command: list[str], port: int, env: dict[str, str] | None = None, core: int = 0) -> Iterator[int]:
    process = subprocess.Popen(
        pinned(core, command),
        cwd=ROOT,
        env={**os.environ, **(env or {})},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        wait_for(port)
        yield process.pid
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=20)


def wait_for(port: int) -> None:
    import socket

    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        try:
            with socket.create_connection(("127.0.0.1", port), timeout=1):
                return
        except OSError:
            time.sleep(0.05)
    raise SystemExit(f"nothing listens on port {port}")


def contenders(stack: ExitStack, directory: Path, redis: str | None = None) -> list[Contender]:
    upstream, relay, nginx = free_port(), free_port(), free_port()
    stack.enter_context(program([sys.executable, "-m", "tests.bench.upstream", str(upstream), "50"], upstream, core=1))
    env = {"BENCH_UPSTREAM": f"http://127.0.0.1:{upstream}/v1/chat/completions"}
    command = [sys.executable, "-m", "uvicorn", "tests.bench.relay:app", "--port", str(relay), "--loop", "uvloop"]
    command += ["--http", "httptools", "--lifespan", "off", "--no-access-log", "--log-level", "error"]
    found = [Contender(name="bare relay", pid=stack.enter_context(program(command, relay, env)), port=relay)]
    if shutil.which("nginx"):
        conf = directory / "nginx.conf"
        conf.write_text(NGINX.format(directory=directory, port=nginx, upstream=upstream))
        pid = stack.enter_context(program(["nginx", "-c", str(conf), "-p", str(directory)], nginx))
        found.append(Contender(name="nginx", pid=pid, port=nginx))
    data = directory / "data"
    data.mkdir()
    gateway = GatewayProcess(data, env={"REDIS_URL": redis} if redis else None)
    provider = {"base_url": f"http://127.0.0.1:{upstream}/v1", "max_connections": 1000}
    anthropic = {**provider, "name": "other", "kind": "anthropic", "models": [{**MODEL, "model": "claude-bench"}]}
    gateway.seed({"providers": [{**provider, "name": "bench", "models": [MODEL]}, anthropic]})
    limited = gateway.manage("create_api_key", "limited", *LIMITS).split()[0]
    gateway.start()
    stack.callback(gateway.stop)
    if (os.cpu_count() or 1) > 1:
        subprocess.run(["taskset", "-acp", "0", str(gateway.pid)], check=True, stdout=subprocess.DEVNULL)
    ours = Contender(name="gateway", pid=gateway.pid, port=gateway.port, key=gateway.key)
    return [
        *found,
        ours,
        replace(ours, name="gateway, limited and budgeted key", key=limited),
        replace(ours, name="gateway, translated from Anthropic", model="claude-bench"),
    ]


def ratios(results: dict[tuple[str, str], list[Run]], name: str, kind: str) -> str:
    """Of the relay's CPU in the same round: the median, and the quartiles."""
    pairs = zip(results[name, kind], results["bare relay", kind], strict=True)
    found = [run.cpu_us / relay.cpu_us for run, relay in pairs]
    low, median, high = statistics.quantiles(found, n=4, method="inclusive") if len(found) > 1 else found * 3
    return f"{median:.2f} × ({low:.2f}–{high:.2f})"


def table(results: dict[tuple[str, str], list[Run]], names: list[str]) -> str:
    lines = [
        "| | chat, CPU µs | of the relay | 54-event stream, CPU µs | of the relay | p50 chat | p99 chat | errors |",
        "|---" * 8 + "|",
    ]
    for name in names:
        chat, stream = (statistics.median([run.cpu_us for run in results[name, kind]]) for kind in BODIES)
        last = results[name, "chat"][-1]
        bad = sum(run.bad for kind in BODIES for run in results[name, kind])
        lines.append(
            f"| {name} | {chat:.0f} | {ratios(results, name, 'chat')} | {stream:.0f} "
            f"| {ratios(results, name, 'stream')} | {last.p50} | {last.p99} | {bad} |"
        )
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument(
        "--redis", metavar="URL", help="an empty database of Redis for the gateway; by itself it uses none"
    )
    parser.add_argument("--write", type=Path, help="also write the table to this file")
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("make bench needs wrk (Debian package wrk)")
    results: dict[tuple[str, str], list[Run]] = {}
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        found = contenders(stack, Path(name), options.redis)
        for number in range(options.rounds):
            warm_up = 0 if number else 2
            for kind in BODIES:
                for contender in found:
                    run = measure(contender, kind, options.connections, options.seconds, Path(name), warm_up=warm_up)
                    results.setdefault((contender.name, kind), []).append(run)
            print(f"round {number + 1} of {options.rounds}", flush=True)
    text = table(results, [contender.name for contender in found])
    when = datetime.datetime.now(datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    report = f"{when}, {machine}, {options.connections} connections, median of {options.rounds}:\n\n{text}\n"
    print("\n" + report)
    if options.write:
        options.write.write_text(report)


if __name__ == "__main__":
    main()
