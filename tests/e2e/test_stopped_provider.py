"""A provider whose process is stopped leaves the rotation at once, and is back soon after it runs again."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from tests.e2e.calling import Caller, Got, report
from tests.e2e.gateway_process import ROOT, GatewayProcess, free_port

OUT_WITHIN_S = 1.0
BACK_WITHIN_S = 15.0
PROBES = 3
PROGRAM = """
import sys, uvicorn
from providers.demo import create_app
uvicorn.run(create_app(), host="127.0.0.1", port=int(sys.argv[1]), log_level="error")
"""


class UpstreamProcess:
    """The demo provider as a process that can be killed and started again on its port."""

    def __init__(self) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/v1"
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        environment = {**os.environ, "PYTHONPATH": str(ROOT)}
        self._process = subprocess.Popen([sys.executable, "-c", PROGRAM, str(self.port)], env=environment, cwd=ROOT)

    async def listening(self) -> None:
        async with asyncio.timeout(30):
            while True:
                with suppress(OSError):
                    _, writer = await asyncio.open_connection("127.0.0.1", self.port)
                    writer.close()
                    return
                await asyncio.sleep(0.01)

    def kill(self) -> None:
        if self._process is not None:
            self._process.send_signal(signal.SIGKILL)
            self._process.wait()


@pytest.fixture(scope="module")
def upstreams() -> Iterator[dict[str, UpstreamProcess]]:
    processes = {name: UpstreamProcess() for name in ("first", "second", "quiet")}

    async def all_listening() -> None:
        await asyncio.gather(*(process.listening() for process in processes.values()))

    for process in processes.values():
        process.start()
    asyncio.run(all_listening())
    yield processes
    for process in processes.values():
        process.kill()


@pytest.fixture(scope="module")
def server(upstreams: dict[str, UpstreamProcess], module_gateway: GatewayProcess) -> GatewayProcess:
    rows = [
        {"name": "first", "priority": 1, "models": ["demo-small"]},
        {"name": "second", "priority": 2, "models": ["demo-small"]},
        {"name": "quiet", "priority": 1, "models": [{"model": "alone", "upstream_model": "demo-small"}]},
    ]
    return module_gateway.seed(
        {"providers": [{**row, "base_url": upstreams[str(row["name"])].url} for row in rows]}
    ).start()


class Load:
    """Some clients that call all the time; `answers` are in the order in which they came."""

    def __init__(self, caller: Caller, clients: int = 6) -> None:
        self._caller = caller
        self._clients = clients
        self.answers: list[tuple[float, Got]] = []

    async def __aenter__(self) -> "Load":
        self._tasks = [asyncio.create_task(self._client()) for _ in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _client(self) -> None:
        while True:
            got = await self._caller.ask("demo-small", stream=False, max_tokens=3)
            self.answers.append((time.monotonic(), got))
            await asyncio.sleep(0.03)

    def failed(self) -> list[Got]:
        return [got for _, got in self.answers if got.status != 200 or got.broken or got.errors]

    def came_from(self, provider: str, *, since: float) -> bool:
        return any(
            at > since and got.headers.get("x-llm-proxy-provider") == provider
            for at, got in reversed(self.answers[-20:])
        )


async def until(condition: Callable[[], Awaitable[bool]], *, within_s: float) -> float:
    """Seconds that it took."""
    began = time.monotonic()
    async with asyncio.timeout(within_s):
        while not await condition():
            await asyncio.sleep(0.02)
    return time.monotonic() - began


async def read(caller: Caller, path: str, *, method: str = "GET") -> Any:
    async with caller.session.request(method, caller.gateway.url + path) as response:
        assert response.status == 200, await response.text()
        return json.loads(await response.read())


@pytest.mark.parametrize("down_s", [2.0, pytest.param(20.0, marks=pytest.mark.slow)])
async def test_calls_take_it_out_within_a_second_and_probes_bring_it_back(
    server: GatewayProcess, upstreams: dict[str, UpstreamProcess], down_s: float
) -> None:
    async with Caller(server) as caller, Load(caller) as load:

        async def is_unhealthy() -> bool:
            return bool((await read(caller, "/status/first"))["status"] == "unhealthy")

        async def answers() -> bool:
            return load.came_from("first", since=began)

        began = time.monotonic()
        await until(answers, within_s=BACK_WITHIN_S)
        # The first page after a start waits for what the start left to be loaded behind it.
        await is_unhealthy()
        upstreams["first"].kill()
        out_s = await until(is_unhealthy, within_s=10)
        await asyncio.sleep(down_s)
        upstreams["first"].start()
        await upstreams["first"].listening()
        began = time.monotonic()
        back_s = await until(answers, within_s=60)
    report(f"provider down {down_s:.0f} s: unhealthy after {out_s:.2f} s by calls, back {back_s:.1f} s after healing")
    assert load.failed() == []
    assert out_s <= OUT_WITHIN_S
    assert back_s <= BACK_WITHIN_S


async def test_probes_alone_take_it_out_after_three_and_bring_it_back(
    server: GatewayProcess, upstreams: dict[str, UpstreamProcess]
) -> None:
    async with Caller(server) as caller:

        async def excluded() -> str | None:
            (candidate,) = (await read(caller, "/routes/explain?model=alone"))["candidates"]
            reason = candidate["excluded"]
            return None if reason is None else str(reason)

        async def is_out() -> bool:
            return await excluded() is not None or (await read(caller, "/status/quiet"))["status"] == "unhealthy"

        async def is_healthy() -> bool:
            return bool((await read(caller, "/status/quiet"))["status"] == "healthy")

        await read(caller, "/check?provider=quiet", method="POST")
        assert await until(is_healthy, within_s=5) is not None
        upstreams["quiet"].kill()
        verdicts = []
        for _ in range(PROBES):
            (found,) = (await read(caller, "/check?provider=quiet", method="POST"))["results"]
            verdicts.append(found["status"])
        read_s = await until(is_out, within_s=5)
        upstreams["quiet"].start()
        await upstreams["quiet"].listening()
        back_s = await until(is_healthy, within_s=60)
        assert (await caller.ask("alone", stream=False)).status == 200
    report(
        f"provider without calls: unhealthy after {PROBES} probes, in rotation {read_s:.2f} s later; back {back_s:.1f} s"
    )
    assert verdicts == ["degraded", "degraded", "unhealthy"]
    assert read_s <= 2.0
    assert back_s <= BACK_WITHIN_S
