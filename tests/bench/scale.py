"""Whether cost grows with configuration, and whether applying a change stalls running streams.

    python -m tests.bench.scale [--seconds 4]

CPU per chat with 2 and 1,000 providers, 10 and 100,000 keys, 10 and 5,000 deployments; start to first answer; resident
memory; and, with 100,000 keys, the longest gap between events of a running stream while a provider is changed.
"""

import argparse
import asyncio
import shutil
import subprocess
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

import httpx

from tests.bench.compare import Contender, measure, program
from tests.e2e.gateway_process import GatewayProcess, free_port

SIZES = {
    "2 providers, 10 keys, 10 deployments": {"idle_providers": 1, "idle_keys": 9, "idle_deployments": 8},
    "1,000 providers": {"idle_providers": 999, "idle_keys": 9},
    "100,000 keys": {"idle_providers": 1, "idle_keys": 100_000},
    "5,000 deployments": {"idle_providers": 1, "idle_keys": 9, "idle_deployments": 5_000},
}
CHAT = {"model": "gpt-4o", "stream": True, "messages": [{"role": "user", "content": "hi"}]}
CHANGE = """
import django, os
django.setup()
from providers.models import Provider
p = Provider.objects.get(name="bench"); p.max_retries = 4; p.save()
"""


def resident_mb(pid: int) -> float:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def first_answer_s(gateway: GatewayProcess) -> float:
    """From starting the process to the first answered request."""
    began = time.monotonic()
    gateway.start()
    body = {key: value for key, value in CHAT.items() if key != "stream"}
    while gateway.post("/v1/chat/completions", body)[0] != 200:
        if time.monotonic() - began > 60:
            raise SystemExit("no answer within 60 s")
        time.sleep(0.02)
    return time.monotonic() - began


async def longest_gap_ms(gateway: GatewayProcess) -> tuple[float, float]:
    """The longest gap between events of a stream of 20 ms steps: left alone, and while a change is applied."""
    async with httpx.AsyncClient(base_url=gateway.url, headers={"authorization": f"Bearer {gateway.key}"}) as client:

        async def stream() -> float:
            worst, last = 0.0, 0.0
            async with client.stream("POST", "/v1/chat/completions", json=CHAT, timeout=30) as answer:
                async for _ in answer.aiter_raw():
                    now = time.monotonic()
                    worst, last = max(worst, now - last if last else 0.0), now
            return worst * 1000

        alone = await stream()
        running = asyncio.create_task(stream())
        await asyncio.sleep(0.5)
        await asyncio.to_thread(gateway.run, "-c", CHANGE)
        return alone, await running


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=4)
    options = parser.parse_args()
    if not shutil.which("wrk"):
        raise SystemExit("this benchmark needs wrk")
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        import sys

        fast, slow = free_port(), free_port()
        stack.enter_context(program([sys.executable, "-m", "tests.bench.upstream", str(fast), "50"], fast, core=1))
        steps = [sys.executable, "-m", "tests.bench.upstream", str(slow), "300", "0.02"]
        stack.enter_context(program(steps, slow, core=1))
        for number, (label, sizes) in enumerate(SIZES.items()):
            data = Path(name) / str(number)
            data.mkdir()
            gateway = GatewayProcess(data)
            url = f"http://127.0.0.1:{fast}/v1"
            gateway.seed({"providers": [{"name": "bench", "base_url": url, "max_connections": 1000}], **sizes})
            started_s = first_answer_s(gateway)
            subprocess.run(["taskset", "-acp", "0", str(gateway.pid)], check=True, stdout=subprocess.DEVNULL)
            contender = Contender(name=label, pid=gateway.pid, port=gateway.port, key=gateway.key)
            runs = sorted(measure(contender, "chat", 32, options.seconds, Path(name)).cpu_us for _ in range(3))
            memory = resident_mb(gateway.pid)
            gateway.stop()
            print(f"{label:40} chat {runs[1]:6.0f} µs   first answer {started_s:.2f} s   {memory:.0f} MB", flush=True)
        data = Path(name) / "stall"
        data.mkdir()
        gateway = GatewayProcess(data)
        url = f"http://127.0.0.1:{slow}/v1"
        gateway.seed(
            {"providers": [{"name": "bench", "base_url": url}], "idle_keys": 100_000, "idle_providers": 100}
        ).start()
        alone, changed = asyncio.run(longest_gap_ms(gateway))
        gateway.stop()
        print(
            f"longest gap of a stream of 20 ms steps: {alone:.0f} ms alone, {changed:.0f} ms while a change is applied"
        )


if __name__ == "__main__":
    main()
