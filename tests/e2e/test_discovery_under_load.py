"""Instances that a registry adds and takes away while clients call: no call fails, and each change takes effect."""

import asyncio
import json
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from providers.demo import create_app
from tests.e2e.calling import Caller, Got, report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.unit.providers.test_discovery_sources import Source
from tests.upstreams.servers import run_asgi

KEY = "a-key-of-the-file"
NAMES = ("always", "comes-and-goes")
TURNS = 6
EFFECT_WITHIN_S = 2.0


class Registry:
    """`show` decides which instances it lists from now on."""

    def __init__(self, source: Source, url: str, instances: dict[str, str]) -> None:
        self.url = url
        self._source = source
        self._instances = instances
        self.show(*NAMES[:1])

    def show(self, *names: str) -> None:
        self._source.answers["/"] = [
            {
                "name": name,
                "base_url": f"{self._instances[name]}/v1",
                "models": ["demo-small"],
                "api_key_env": "UPSTREAM_KEY",
            }
            for name in names
        ]


@pytest.fixture(scope="module")
def registry() -> Iterator[Registry]:
    with ExitStack() as stack:
        instances = {name: stack.enter_context(run_asgi(create_app(latency_ms=30))) for name in NAMES}
        source = Source()
        yield Registry(source, stack.enter_context(run_asgi(source)), instances)


@pytest.fixture(scope="module")
def server(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, registry: Registry
) -> Iterator[GatewayProcess]:
    place = tmp_path_factory.mktemp("discovered")
    discovery = {
        "registry": {"url": registry.url},
        "allow_cidrs": ["127.0.0.0/8"],
        "allow_env": ["UPSTREAM_KEY"],
        "auto_approve": True,
        "vanish_after": 1,
        "drain_seconds": 1,
    }
    document: dict[str, Any] = {"api_keys": [KEY], "discovery": discovery, "default_strategy": "round_robin"}
    (place / "config.json").write_text(json.dumps(document))
    process = GatewayProcess(
        fresh_copy(migrated_data_dir, place / "data"),
        env={"PROXY_API_CONFIG": str(place / "config.json"), "UPSTREAM_KEY": "sk-up"},
    )
    process.key = KEY
    # Only the test looks: a scheduled look may come before it and find what it expects to find.
    process.start("--no-beat")
    yield process
    process.end()


class Load:
    """Clients that call all the time, every second one streaming."""

    def __init__(self, caller: Caller, clients: int = 8) -> None:
        self._caller = caller
        self._clients = clients
        self.answers: list[tuple[float, Got]] = []

    async def __aenter__(self) -> "Load":
        self._stopping = asyncio.Event()
        self._tasks = [asyncio.create_task(self._client(stream=bool(n % 2))) for n in range(self._clients)]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._stopping.set()
        await asyncio.gather(*self._tasks)

    async def _client(self, *, stream: bool) -> None:
        while not self._stopping.is_set():
            began = time.monotonic()
            self.answers.append((began, await self._caller.ask("demo-small", stream=stream, max_tokens=4)))

    async def until(self, provider: str, *, answers: bool) -> float:
        """Seconds until calls that begin now are answered by `provider`, or 30 in a row are not."""
        began = time.monotonic()
        async with asyncio.timeout(10):
            while True:
                seen = [got.headers.get("x-llm-proxy-provider") for at, got in self.answers if at > began]
                if answers and provider in seen:
                    return time.monotonic() - began
                if not answers and len(seen) >= 30 and provider not in seen[-30:]:
                    last = [at for at, got in self.answers if got.headers.get("x-llm-proxy-provider") == provider]
                    return max(last[-1] - began, 0.0)
                await asyncio.sleep(0.02)


async def look(caller: Caller) -> dict[str, Any]:
    async with caller.session.post(caller.gateway.url + "/discover") as response:
        assert response.status == 200, await response.text()
        return dict(await response.json())


async def test_an_instance_comes_and_goes_under_load_and_no_call_fails(
    server: GatewayProcess, registry: Registry
) -> None:
    name = NAMES[1]
    effects: dict[str, list[float]] = {"added": [], "removed": []}
    async with Caller(server) as caller:
        assert (await look(caller))["created"] == [NAMES[0]]
        async with asyncio.timeout(5):
            while (await caller.ask("demo-small")).status != 200:
                await asyncio.sleep(0.05)
        async with Load(caller) as load:
            for _ in range(TURNS):
                registry.show(*NAMES)
                assert (await look(caller))["created"] == [name]
                effects["added"].append(await load.until(name, answers=True))
                registry.show(NAMES[0])
                assert (await look(caller))["removed"] == [name]
                effects["removed"].append(await load.until(name, answers=False))
    failed = [got for _, got in load.answers if got.status != 200 or got.errors or got.broken or not got.done]
    report(
        f"discovery: {TURNS} times added and removed under load, {len(load.answers)} calls, {len(failed)} failed;"
        f" in effect after {max(effects['added']):.2f} s and {max(effects['removed']):.2f} s at most"
    )
    assert failed == []
    assert max(effects["added"] + effects["removed"]) <= EFFECT_WITHIN_S
