"""What the live dashboard costs: with 50 providers and 200 requests a second, half of them streams.

    python -m tests.bench.dashboard [--seconds 8] [--rounds 7]

One page in a real Chromium: CPU of its renderer, bytes that the WebSocket delivers (before the compression that was
agreed on, so what travels is less), first paint, and everything the page loads. The gateway: CPU of its process per
request with no and with 20 pages open, in turns. And how long an upstream call outlives the WebSocket that asked for it.
The gateway is pinned to one core, everything else to the other. Needs wrk and Chromium.
"""

import argparse
import asyncio
import os
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import aiohttp
from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.compare import cpu_seconds, pinned, program
from tests.browser.busy_site import PASSWORD, USER
from tests.conftest import CHROMIUM
from tests.e2e.gateway_process import GatewayProcess, free_port
from tests.upstreams.faults import FaultUpstream

PROVIDERS, RATE, DASHBOARDS, CONNECTIONS = 50, 200, 20, 20
CANCELS = 40
WATCHED_S = 20
LOAD = """
wrk.method = "POST"
wrk.headers["Content-Type"] = "application/json"
wrk.headers["Authorization"] = "Bearer {key}"
local number = 0
function request()
  number = number + 1
  local stream = number % 2 == 0 and '"stream":true,' or ''
  local head = '{{"model":"m' .. number % {providers} .. '",' .. stream
  local text = '"max_tokens":100,"messages":[{{"role":"user","content":"Hello there, tell me something nice."}}]}}'
  return wrk.format(nil, nil, nil, head .. text)
end
function delay() return {delay_ms} end
"""
PERSON = f"""
import django
django.setup()
from django.contrib.auth import get_user_model
get_user_model().objects.create_superuser("{USER}", "operator@example.com", "{PASSWORD}")
"""


def seeded(data: Path, upstream: str, slow: str) -> GatewayProcess:
    price = {"input_nano_usd_per_mtok": 2_500_000_000, "output_nano_usd_per_mtok": 10_000_000_000}
    providers: list[dict[str, Any]] = [
        {"name": f"provider-{n}", "base_url": upstream, "priority": n + 1, "models": [{"model": f"m{n}", **price}]}
        for n in range(PROVIDERS - 1)
    ]
    # The last one serves its share of the load, and the calls that are cut off.
    models = [{"model": f"m{PROVIDERS - 1}", **price}]
    providers.append({"name": "last", "base_url": upstream, "priority": PROVIDERS, "models": models})
    model = {"model": "slow", "upstream_model": "fault:none?tokens=2000&interval_s=0.02"}
    data.mkdir()
    gateway = GatewayProcess(data)
    gateway.seed({"providers": [*providers, {"name": "slow", "base_url": f"{slow}/v1", "models": [model]}]})
    gateway.run("-c", PERSON)
    return gateway


@contextmanager
def load(gateway: GatewayProcess, directory: Path, seconds: int) -> Iterator[None]:
    script = directory / "load.lua"
    delay_ms = round(1000 * CONNECTIONS / RATE)
    script.write_text(LOAD.format(key=gateway.key, providers=PROVIDERS, delay_ms=delay_ms))
    url = f"{gateway.url}/v1/chat/completions"
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "-s", str(script), url]
    process = subprocess.Popen(pinned(1, command), stdout=subprocess.PIPE, text=True)
    try:
        yield
    finally:
        process.terminate()
        process.communicate(timeout=10)


def served(gateway: GatewayProcess) -> float:
    """Calls that were finished, as the metrics count them."""
    lines = gateway.get("/metrics")[2].decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("llm_proxy_requests_total{"))


# ---------------------------------------------------------------------------------------------------------------- a page


def log_in(page: Page, gateway: GatewayProcess) -> dict[str, str]:
    page.goto(f"{gateway.url}/admin/login/")
    page.get_by_label("Username").fill(USER)
    page.get_by_label("Password", exact=False).first.fill(PASSWORD)
    page.keyboard.press("Enter")
    page.wait_for_url(lambda url: "login" not in url)
    return {cookie["name"]: cookie["value"] for cookie in page.context.cookies()}


def cpu_by_kind(browser: Browser) -> dict[str, float]:
    found: dict[str, float] = {}
    for process in browser.new_browser_cdp_session().send("SystemInfo.getProcessInfo")["processInfo"]:
        found[process["type"]] = found.get(process["type"], 0.0) + process["cpuTime"]
    return found


def first_paint(page: Page, gateway: GatewayProcess) -> tuple[float, int]:
    """Milliseconds to the first content, and bytes of everything that was loaded, from a cold cache."""
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    session.send("Network.setCacheDisabled", {"cacheDisabled": True})
    sizes: list[float] = []
    session.on("Network.loadingFinished", lambda event: sizes.append(event["encodedDataLength"]))
    page.goto(f"{gateway.url}/dashboard/", wait_until="load")
    page.wait_for_timeout(300)
    painted = page.evaluate("performance.getEntriesByName('first-contentful-paint')[0].startTime")
    session.detach()
    return float(painted), int(sum(sizes))


def watch_page(browser: Browser, page: Page, gateway: GatewayProcess) -> None:
    session = page.context.new_cdp_session(page)
    session.send("Network.enable")
    frames: list[int] = []
    session.on(
        "Network.webSocketFrameReceived", lambda event: frames.append(len(event["response"]["payloadData"].encode()))
    )
    page.goto(f"{gateway.url}/dashboard/")
    page.wait_for_timeout(3000)
    frames.clear()
    before, began, requests = cpu_by_kind(browser), time.monotonic(), served(gateway)
    page.wait_for_timeout(WATCHED_S * 1000)
    spent = {kind: cpu - before.get(kind, 0.0) for kind, cpu in cpu_by_kind(browser).items()}
    took = time.monotonic() - began
    rate = (served(gateway) - requests) / took
    print(f"page with {PROVIDERS} providers at {rate:.0f} requests/s, over {took:.0f} s:")
    print(f"  renderer CPU            {100 * spent.get('renderer', 0) / took:5.1f} % of a core")
    print(f"  GPU process (software)  {100 * spent.get('GPU', 0) / took:5.1f} % of a core")
    print(f"  WebSocket               {sum(frames) / took / 1024:5.1f} KB/s in {len(frames)} frames", flush=True)
    page.goto("about:blank")


# ------------------------------------------------------------------------------------------------------------ many pages


@contextmanager
def dashboards(gateway: GatewayProcess, cookies: dict[str, str], count: int) -> Iterator[list[int]]:
    """`count` open pages, as the gateway sees them: each socket reads its frames, whose sizes are noted."""
    sizes: list[int] = []
    loop = asyncio.new_event_loop()

    async def read(session: aiohttp.ClientSession) -> None:
        origin = {"origin": gateway.url}
        async with session.ws_connect(f"{gateway.url}/ws/dashboard/", headers=origin, compress=15) as socket:
            async for message in socket:
                sizes.append(len(message.data))

    async def read_all() -> None:
        async with aiohttp.ClientSession(cookies=cookies, cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
            await asyncio.gather(*(read(session) for _ in range(count)))

    task = loop.create_task(read_all())

    def run() -> None:
        try:
            loop.run_until_complete(task)
        except asyncio.CancelledError:
            return

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield sizes
    finally:
        loop.call_soon_threadsafe(task.cancel)
        thread.join()


def cpu_per_request_us(gateway: GatewayProcess, seconds: int) -> float:
    cpu, requests = cpu_seconds(gateway.pid), served(gateway)
    time.sleep(seconds)
    spent = cpu_seconds(gateway.pid) - cpu
    return 1e6 * spent / (served(gateway) - requests)


def compare_pages(gateway: GatewayProcess, cookies: dict[str, str], seconds: int, rounds: int) -> None:
    without, with_pages = [], []
    for _ in range(rounds):
        without.append(cpu_per_request_us(gateway, seconds))
        with dashboards(gateway, cookies, DASHBOARDS) as sizes:
            time.sleep(2)
            with_pages.append(cpu_per_request_us(gateway, seconds))
            assert len(sizes) >= DASHBOARDS * seconds / 2, "the pages get no frames"
    one, other = statistics.median(without), statistics.median(with_pages)
    change = statistics.median(open_ / closed for closed, open_ in zip(without, with_pages, strict=True)) - 1
    print(f"gateway CPU per request, {rounds} turns of {seconds} s:")
    print(f"  no page open            {one:5.0f} µs   {[round(each) for each in without]}")
    print(f"  {DASHBOARDS} pages open           {other:5.0f} µs   {[round(each) for each in with_pages]}")
    print(f"  change                  {100 * change:+5.1f} %, the median of the turns", flush=True)


# --------------------------------------------------------------------------------------------------------------- leaving


async def cancels(gateway: GatewayProcess, upstream: FaultUpstream) -> list[float]:
    """Milliseconds from cutting a WebSocket to the end of its upstream call."""
    late = []
    headers = {"authorization": f"Bearer {gateway.key}"}
    chat = {"model": "slow", "messages": [{"role": "user", "content": "hi"}], "stream": True}
    async with aiohttp.ClientSession(headers=headers) as session:
        for number in range(CANCELS):
            socket = await session.ws_connect(f"{gateway.url}/ws/v1/chat/completions")
            await socket.send_json({"type": "create", "id": str(number), "request": chat})
            await socket.receive(timeout=10)
            hit = upstream.hits[-1]
            left_at = time.monotonic()
            assert socket._response.connection is not None
            socket._response.connection.transport.abort()
            while hit.client_closed_at is None:
                assert time.monotonic() < left_at + 5, "the upstream call was not ended"
                await asyncio.sleep(0.001)
            late.append(1000 * (hit.client_closed_at - left_at))
    return sorted(late)


async def measure_cancels(data: Path, upstream: str, running: ExitStack) -> tuple[GatewayProcess, list[float]]:
    async with FaultUpstream() as slow:
        gateway = await asyncio.to_thread(seeded, data, upstream, slow.url)
        running.callback(gateway.stop)
        await asyncio.to_thread(gateway.start)
        await asyncio.to_thread(subprocess.run, ["taskset", "-acp", "0", str(gateway.pid)], stdout=subprocess.DEVNULL)
        return gateway, await cancels(gateway, slow)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=int, default=8)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    if (os.cpu_count() or 1) > 1:
        # The readers' thread and Chromium too: the gateway, which is pinned later, has its core for itself.
        os.sched_setaffinity(0, {1})
    with tempfile.TemporaryDirectory() as name, ExitStack() as running:
        port = free_port()
        running.enter_context(program([sys.executable, "-m", "tests.bench.upstream", str(port), "10"], port, core=1))
        url = f"http://127.0.0.1:{port}/v1"
        gateway, late = asyncio.run(measure_cancels(Path(name) / "data", url, running))
        playwright = running.enter_context(sync_playwright())
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        running.callback(browser.close)
        page = browser.new_page(viewport={"width": 1360, "height": 900})
        cookies = log_in(page, gateway)
        whole = WATCHED_S + options.rounds * 2 * (options.seconds + 3) + 40
        with load(gateway, Path(name), whole):
            time.sleep(3)
            paints = [first_paint(page, gateway) for _ in range(5)]
            painted = sorted(each for each, _ in paints)
            print(f"first paint (of five)       {painted[2]:5.0f} ms median, {painted[-1]:.0f} ms longest")
            print(f"loaded in all               {max(size for _, size in paints) / 1024:5.0f} KB", flush=True)
            watch_page(browser, page, gateway)
            compare_pages(gateway, cookies, options.seconds, options.rounds)
        print(f"upstream call after its WebSocket was cut, {CANCELS} times:")
        print(f"  {late[len(late) // 2]:.1f} ms median, {late[-1]:.1f} ms longest", flush=True)


if __name__ == "__main__":
    main()
