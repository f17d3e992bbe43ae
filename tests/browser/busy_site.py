"""An installation with real traffic, to look at: four demo upstreams in three dialects, three teams, mixed calls.

    with busy_site(Path("/tmp/site")) as site: site.traffic(seconds=60, rate=12); site.gateway.url

One upstream is slow now and then, one refuses a share of its calls, and `stop("cohere")` takes one away.
"""

import asyncio
import contextlib
import json
import random
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess
from tests.upstreams.servers import run_asgi

USER, PASSWORD = "operator", "a-password-for-pictures"
USD = 1_000_000_000
CAN = ["tools", "images", "structured_output"]

# name: dialect, latency in ms, share of refusals, tokens a second of a stream
UPSTREAMS = {
    "openai": ("openai", 180, 0.0, 120),
    "anthropic": ("anthropic", 320, 0.0, 90),
    "openrouter": ("openai", 540, 0.12, 60),
    "cohere": ("cohere", 260, 0.0, 80),
}
TEAMS = {"research": ("notebook", "batch-labelling"), "support": ("chat-widget",), "shop": ("search", "descriptions")}
# what is asked for, and how often
MIX = {
    "gpt-4o-mini": 9,
    "gpt-4o": 5,
    "claude-sonnet": 5,
    "smart": 4,
    "command-a": 3,
    "llama-3.3-70b": 2,
    "gpt-5-nano": 0.2,
}
QUESTIONS = (
    "Summarise the last three tickets of this customer in two sentences.",
    "Write a product description for a bicycle bell that glows in the dark.",
    "Which of these two contracts has the shorter notice period, and why?",
    "Label this message: praise, complaint or question?",
    "Translate the delivery note into Portuguese and keep the numbers as they are.",
)

# One process makes all of them: starting one takes longer than anything it does.
PEOPLE = """
import json, sys, django
django.setup()
from django.contrib.auth import get_user_model
from accounts.provisioning import KeyOrder, create_key
given = json.load(sys.stdin)
get_user_model().objects.create_superuser(given["user"], "operator@example.com", given["password"])
keys = []
for team, names in given["teams"].items():
    for name in names:
        usd = 40 if team == "research" else 400
        order = KeyOrder(name=name, team=team, requests_per_minute=600, budget_nano_usd=usd * 10**9, period="month")
        keys.append(create_key(order).token)
print(json.dumps(keys))
"""


@dataclass
class BusySite:
    gateway: GatewayProcess
    keys: list[str] = field(default_factory=list)
    running: dict[str, contextlib.ExitStack] = field(default_factory=dict)
    sent: int = 0

    def stop(self, upstream: str) -> None:
        """Its address refuses connections from now on."""
        self.running.pop(upstream).close()

    def traffic(self, *, seconds: float, rate: float, seed: int = 1) -> None:
        """About `rate` calls a second begin, at irregular moments."""
        asyncio.run(self._traffic(seconds, rate, random.Random(seed)))

    async def _traffic(self, seconds: float, rate: float, dice: random.Random) -> None:
        ends = time.monotonic() + seconds
        async with aiohttp.ClientSession() as session, asyncio.TaskGroup() as calls:
            while time.monotonic() < ends:
                calls.create_task(self._call(session, dice))
                await asyncio.sleep(dice.expovariate(rate))

    async def _call(self, session: aiohttp.ClientSession, dice: random.Random) -> None:
        self.sent += 1
        body = {
            "model": dice.choices(list(MIX), list(MIX.values()))[0],
            "messages": [{"role": "user", "content": dice.choice(QUESTIONS) * dice.randint(1, 6)}],
            "max_tokens": dice.choice((40, 120, 250)),
            "stream": dice.random() < 0.7,
        }
        headers = {"authorization": f"Bearer {dice.choice(self.keys)}"}
        address = f"{self.gateway.url}/v1/chat/completions"
        with contextlib.suppress(aiohttp.ClientError, TimeoutError):
            limit = aiohttp.ClientTimeout(total=0.15 if dice.random() < 0.01 else 60)
            async with session.post(address, json=body, headers=headers, timeout=limit) as answer:
                await answer.read()


@contextlib.contextmanager
def busy_site(
    data_dir: Path, *, environment: dict[str, str] | None = None, options: tuple[str, ...] = ()
) -> Iterator[BusySite]:
    """The gateway is started and has its keys; no traffic yet."""
    with contextlib.ExitStack() as stack:
        running, addresses = {}, {}
        for name, (dialect, latency_ms, fail_rate, pace) in UPSTREAMS.items():
            running[name] = stack.enter_context(contextlib.ExitStack())
            app = create_app(dialect, latency_ms, None, fail_rate, events_per_second=pace)
            addresses[name] = running[name].enter_context(run_asgi(app))
        data_dir.mkdir(parents=True, exist_ok=True)
        gateway = GatewayProcess(data_dir, env=environment)
        gateway.seed(document(addresses))
        people = gateway.run("-c", PEOPLE, stdin=json.dumps({"user": USER, "password": PASSWORD, "teams": TEAMS}))
        site = BusySite(gateway, keys=json.loads(people.splitlines()[-1]), running=running)
        stack.callback(gateway.stop)
        gateway.start(*options)
        yield site


def document(addresses: dict[str, str]) -> dict[str, Any]:
    return {
        "providers": [
            {
                "name": "openai", "kind": "openai", "base_url": f"{addresses['openai']}/v1", "priority": 1,
                "models": [_model("gpt-4o-mini", "demo-small", 0.15, 0.6), _model("gpt-4o", "demo-large", 2.5, 10)],
            },
            {
                "name": "anthropic", "kind": "anthropic", "base_url": addresses["anthropic"], "priority": 2,
                "models": [_model("claude-sonnet", "demo-large", 3, 15), _model("gpt-4o", "demo-large", 3, 15)],
            },
            {
                "name": "openrouter", "kind": "openai", "base_url": f"{addresses['openrouter']}/v1", "priority": 3,
                "models": [_model("llama-3.3-70b", "demo-large", 0.1, 0.4), _model("claude-sonnet", "demo-large", 3.1, 15.5)],
            },
            {
                "name": "cohere", "kind": "cohere", "base_url": addresses["cohere"], "priority": 1,
                "models": [_model("command-a", "demo-large", 2.5, 10)],
            },
        ],
        "aliases": [
            {"name": "smart", "targets": ["gpt-4o", "claude-sonnet"], "strategy": "balanced", "fallbacks": ["gpt-4o-mini"]}
        ],
        "policies": [{"name": "long answers", "pattern": "command-*", "fallbacks": ["gpt-4o-mini"], "position": 10}],
    }  # fmt: skip


def _model(name: str, upstream: str, input_usd: float, output_usd: float) -> dict[str, Any]:
    return {
        "model": name, "upstream_model": upstream, "context_window": 128_000, "capabilities": CAN,
        "input_nano_usd_per_mtok": round(input_usd * USD), "output_nano_usd_per_mtok": round(output_usd * USD),
    }  # fmt: skip
