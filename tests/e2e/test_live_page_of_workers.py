"""The live page of three real workers: every page shows all the traffic, whichever worker it is connected to."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.e2e.calling import Caller
from tests.e2e.gateway_process import GatewayProcess, fresh_copy, shared_redis
from tests.integration.websocket.conftest import MAKE_PEOPLE, Door

pytestmark = [pytest.mark.slow, pytest.mark.redis]
WORKERS, PAGES, CALLS = 3, 9, 240


@pytest.fixture(scope="module")
def workers(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, demo_url: str
) -> Iterator[GatewayProcess]:
    directory = fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("live") / "data")
    process = GatewayProcess(directory, env=shared_redis())
    price = {"input_nano_usd_per_mtok": 10**9, "output_nano_usd_per_mtok": 2 * 10**9}
    models = [{"model": name, **price} for name in ("demo-small", "demo-large")]
    process.seed(
        {
            "providers": [
                {"name": "first", "base_url": f"{demo_url}/v1", "models": models[:1]},
                {"name": "second", "base_url": f"{demo_url}/v1", "models": models[1:]},
            ]
        }
    )
    process.shell(MAKE_PEOPLE)
    process.start("--workers", str(WORKERS))
    yield process
    process.end()


class Page:
    """What a browser would have on its screen, put together from a snapshot and the frames after it."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse) -> None:
        self.socket = socket
        self.head: dict[str, Any] = {}
        self.cards: dict[str, dict[str, Any]] = {}

    async def read(self) -> None:
        message = json.loads((await self.socket.receive(timeout=10)).data)
        self.head = message
        if message["type"] == "snapshot":
            self.cards = {str(card["id"]): card for card in message["providers"]}
        else:
            for number, changed in message.get("providers", {}).items():
                self.cards[number].update(changed)

    def seen(self) -> dict[str, float]:
        """Calls of the last minute, in all and by provider, and the cost of the day."""
        seconds = min(self.head["n"], 60)
        by_provider = {card["name"]: round(card["rps"] * seconds) for card in self.cards.values()}
        return {"calls": round(self.head["figures"][0] * seconds), "cost": self.head["cost"], **by_provider}


async def test_every_page_of_every_worker_shows_all_traffic_once(workers: GatewayProcess) -> None:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session, Caller(workers) as caller:
        door = Door(workers, session)
        await door.log_in("staff")
        own = {"origin": workers.url}
        pages = [Page(await door.socket("/ws/dashboard/", headers=own)) for _ in range(PAGES)]
        await asyncio.gather(*(page.read() for page in pages))
        # Starts differ, so the workers' counters of seconds do: pages of one worker have equal numbers.
        counters = {page.head["n"] for page in pages}
        names = ["demo-small"] * (CALLS * 2 // 3) + ["demo-large"] * (CALLS // 3)
        answers = await asyncio.gather(*(caller.ask(name, stream=bool(n % 2)) for n, name in enumerate(names)))
        assert Counter(answer.status for answer in answers) == {200: CALLS}

        deadline = time.monotonic() + 15
        while True:
            await asyncio.gather(*(page.read() for page in pages))
            seen = [page.seen() for page in pages]
            if all(each["calls"] == CALLS for each in seen) or time.monotonic() > deadline:
                break
        assert [each["calls"] for each in seen] == [CALLS] * PAGES
        # A card's rate is rounded to tenths, which of a young worker's few seconds is still exact to some calls.
        assert all(abs(each["first"] - CALLS * 2 // 3) <= 3 for each in seen), seen
        assert all(abs(each["second"] - CALLS // 3) <= 3 for each in seen), seen
        assert len({each["cost"] for each in seen}) == 1, seen
        assert seen[0]["cost"] > 0
        assert counters
        for page in pages:
            await page.socket.close()
