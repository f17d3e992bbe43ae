"""The sceptical accountant: some hundred calls of every kind, and each figure that anybody is shown is their sum."""

import asyncio
import json
import re
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import aiohttp
import psycopg
import pytest

from providers.demo import create_app
from tests.e2e import ledger
from tests.e2e.gateway_process import GatewayProcess, fresh_copy, on_postgres
from tests.upstreams.faults import FaultUpstream
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.slow
POSTGRES = "postgresql://postgres@127.0.0.1:5432"
PRICES = {"input_nano_usd_per_mtok": 1_234_567_891, "output_nano_usd_per_mtok": 7_654_321_987}
EACH = 12
GROUPS = ("key", "team", "model", "provider", "day")
DEMO = ("demo-small", "demo-embedding", "cached", "hedged")
FAULTS = {
    "breaks": "fault:error_event?after_tokens=3",
    "cut": "fault:cut?after_tokens=3",
    "stalls": "fault:hang_mid_stream?after_tokens=3",
    "silent": "fault:hang_before_headers",
    "fails": "fault:status?status=500",
    "slow": "fault:none?tokens=40&interval_s=0.05",
}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string"}}}
TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": PARAMETERS}}
KINDS = ("input", "output", "cached", "reasoning")
PARTS = [f"text {number:02}" for number in range(96)]
"""As many as the Cohere demo takes at once, two tokens each."""
SAYS = [{"role": "user", "content": "What is the weather in Rome? €"}]


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def server(request: pytest.FixtureRequest, gateway: GatewayProcess, tmp_path: Path) -> Iterator[GatewayProcess]:
    if request.param == "sqlite":
        yield gateway
        return
    name = f"money_{secrets.token_hex(4)}"
    with psycopg.connect(f"{POSTGRES}/postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
        made = GatewayProcess(fresh_copy(gateway.data_dir, tmp_path / "pg"), env=on_postgres(f"{POSTGRES}/{name}"))
        try:
            yield made
        finally:
            made.kill()
            connection.execute(f"DROP DATABASE {name} WITH (FORCE)")


def refuses_the_unlucky(app: Any) -> Any:
    """The same upstream, which fails at a request with that word."""

    async def refusing(scope: Any, receive: Any, send: Any) -> None:
        first = await receive()

        async def again() -> Any:
            nonlocal first
            message, first = first, None
            return message or await receive()

        if b"unlucky" in first.get("body", b""):
            await send({"type": "http.response.start", "status": 500, "headers": []})
            await send({"type": "http.response.body", "body": b'{"message": "unlucky"}'})
        else:
            await app(scope, again, send)

    return refusing


class Client:
    """Counts what each answer says that it used, by request id."""

    def __init__(self, server: GatewayProcess, key: str) -> None:
        self.server = server
        self.headers = {"authorization": f"Bearer {key}"}
        self.said: dict[str, tuple[int, int]] = {}

    async def call(self, path: str, *, leave: bool = False, headers: dict[str, str] | None = None, **body: Any) -> None:
        name = f"acc-{secrets.token_hex(6)}"
        sent = {**self.headers, "x-request-id": name, **(headers or {})}
        try:
            async with self.session.post(f"{self.server.url}{path}", json=body, headers=sent) as response:
                if not body.get("stream"):
                    self.note(name, await response.json() if response.status == 200 else {})
                    return
                async for line in response.content:
                    if leave and b"t2" in line:
                        return
                    if line.startswith(b"data: {"):
                        event = json.loads(line[6:])
                        self.note(name, event.get("response") or event)
        except aiohttp.ClientError:
            pass

    def note(self, name: str, answer: dict[str, Any]) -> None:
        if usage := answer.get("usage"):
            given = usage.get("prompt_tokens", usage.get("input_tokens"))
            self.said[name] = (given, usage.get("completion_tokens", usage.get("output_tokens", 0)))

    async def socket(self) -> None:
        async with self.session.ws_connect(f"{self.server.url}/ws/v1/chat/completions", headers=self.headers) as socket:
            request = {"model": "demo-small", "messages": SAYS, "max_tokens": 20}
            await socket.send_json({"type": "create", "id": "a", "request": request})
            await socket.send_json({"type": "create", "id": "b", "request": {**request, "model": "slow"}})
            async for message in socket:
                found = json.loads(message.data)
                if found["id"] == "a" and found["type"] == "done":
                    await socket.send_json({"type": "cancel", "id": "b"})
                    return

    def kinds(self) -> dict[str, Callable[[], Awaitable[None]]]:
        chat, call = "/v1/chat/completions", self.call
        plain = {"model": "demo-small", "messages": SAYS, "max_tokens": 30}
        asked = {**plain, "stream": True, "stream_options": {"include_usage": True}}
        patient = {"x-llm-proxy-timeout": "1.5"}
        return {
            "whole": lambda: call(chat, **plain),
            "stream": lambda: call(chat, **asked),
            "stream without usage": lambda: call(chat, **{**plain, "stream": True}),
            "several": lambda: call(chat, **plain, n=3),
            "several, streamed": lambda: call(chat, **asked, n=2),
            "tools": lambda: call(chat, **plain, tools=[TOOL], tool_choice="required"),
            "tools, streamed": lambda: call(chat, **asked, tools=[TOOL], tool_choice="required"),
            "texts": lambda: call("/v1/completions", model="demo-small", prompt=["a", "bc"], max_tokens=9),
            "embeddings": lambda: call("/v1/embeddings", model="demo-embedding", input=["one", "two words"]),
            "responses": lambda: call("/v1/responses", model="demo-small", input="Hello", max_output_tokens=30),
            "responses, streamed": lambda: call("/v1/responses", model="demo-small", input="Hello", stream=True),
            "cached": lambda: call(chat, **{**plain, "model": "cached"}, temperature=0),
            "hedged": lambda: call(chat, **{**asked, "model": "hedged"}),
            "second chance": lambda: call(chat, **{**plain, "model": "second chance"}),
            "breaks": lambda: call(chat, **{**asked, "model": "breaks"}),
            "cut": lambda: call(chat, **{**asked, "model": "cut"}),
            "stalls": lambda: call(chat, headers=patient, **{**asked, "model": "stalls"}),
            "silent": lambda: call(chat, headers=patient, **{**plain, "model": "silent"}),
            "fails": lambda: call(chat, **{**plain, "model": "fails"}),
            "leaves": lambda: call(chat, leave=True, **{**asked, "model": "slow"}),
            "in parts": lambda: call("/v1/embeddings", model="in parts", input=[*PARTS, "unlucky"]),
            "too dear": lambda: call(chat, **{**plain, "max_tokens": 10**9}),
            "unknown": lambda: call(chat, **{**plain, "model": "none of these"}),
            "socket": self.socket,
        }


async def test_every_figure_is_the_sum_of_the_calls(server: GatewayProcess, demo_url: str) -> None:
    with run_asgi(refuses_the_unlucky(create_app("cohere"))) as cohere_url:
        await run_all(server, demo_url, cohere_url)


async def run_all(server: GatewayProcess, demo_url: str, cohere_url: str) -> None:
    async with FaultUpstream() as upstream:
        never_out = {"circuit_breaker_threshold": 1_000_000, "circuit_breaker_timeout_s": 0.001}
        demo = [
            {"model": name, "upstream_model": "demo-small" if name in DEMO[2:] else name, **PRICES} for name in DEMO
        ]
        faults = [{"model": name, "upstream_model": fault, **PRICES} for name, fault in FAULTS.items()]
        chances = [{"model": "second chance", "upstream_model": "fault:status?status=500", **PRICES}]
        chances += [{"model": "hedged", "upstream_model": "fault:hang_before_headers", **PRICES}]
        demo += [{"model": "second chance", "upstream_model": "demo-small", **PRICES}]
        parts = [{"model": "in parts", "upstream_model": "demo-embedding", **PRICES}]
        document = {
            "providers": [
                {"name": "cohere", "kind": "cohere", "base_url": cohere_url, "models": parts, **never_out},
                {"name": "demo", "base_url": f"{demo_url}/v1", "priority": 2, "models": demo, **never_out},
                {"name": "faults", "base_url": f"{upstream.url}/v1", "models": [*faults, *chances], **never_out},
            ],
            "aliases": [{"name": "unused", "targets": ["demo-small"]}],
            "policies": [{"name": "hedges", "pattern": "hedged", "options": {"hedge_after": 0.1}}],
            "settings": {"response_cache": {"enabled": True, "ttl": 600}},
        }
        server.seed(document).start()
        allowance = ("--budget-usd", "5", "--budget-tokens", "10000000", "--scope", "completions,read")
        made = server.manage("create_api_key", "accountant", *allowance, "--json")
        client = Client(server, json.loads(made)["key"])
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=60)) as client.session:
            await asyncio.gather(*(make() for make in client.kinds().values() for _ in range(EACH)))
    # Each call has a row but those that are refused: two kinds; each WebSocket made two.
    calls = EACH * (len(client.kinds()) - 1)
    await asyncio.to_thread(ledger.rows_when, server, lambda rows: sum(row["final"] for row in rows) == calls)
    shown = [json.loads(server.get(f"/usage?group_by={group}", client.headers)[2]) for group in ("key", "model", "day")]
    metrics = counted(server.get("/metrics", client.headers)[2].decode())
    server.stop()
    assert check(server, client, shown, metrics) == calls


def counted(text: str) -> Counter[str]:
    """Sums of our counters over all providers: by status, by kind of token, and what it cost."""
    found: Counter[str] = Counter()
    for name, labels, value in re.findall(r"^llm_proxy_(\w+)_total\{(.*)\} (\S+)$", text, re.MULTILINE):
        told = dict(re.findall(r'(\w+)="([^"]*)"', labels))
        found[told.get("status") or told.get("operation") or told.get("kind") or name] += round(float(value) * 10**9)
    return Counter({name: value if name == "cost_usd" else value // 10**9 for name, value in found.items()})


def check(server: GatewayProcess, client: Client, shown: list[Any], metrics: Counter[str]) -> int:
    rows = ledger.rows(server)
    finals = [row for row in rows if row["final"]]
    assert len(client.said) > EACH * 10
    assert len({row["call_id"] for row in rows}) == len(finals)
    for row in finals:
        whole = (
            row["input_tokens"] * PRICES["input_nano_usd_per_mtok"]
            + row["output_tokens"] * PRICES["output_nano_usd_per_mtok"]
        )
        assert row["cost_nano_usd"] == -(-whole // 10**6), row
    assert all(
        row["cost_nano_usd"] == row["input_tokens"] == row["output_tokens"] == 0 for row in rows if not row["final"]
    )
    of = {row["request_id"]: row for row in finals}
    for name, (given, out) in client.said.items():
        if of[name]["cache"] != "hit":
            assert (of[name]["input_tokens"], of[name]["output_tokens"]) == (given, out), of[name]
    cost = sum(row["cost_nano_usd"] for row in finals)
    tokens = sum(row["input_tokens"] + row["output_tokens"] for row in finals)
    sums = ledger.totals(server)
    in_parts = [row["provider_cost_nano_usd"] for row in rows if row["model"] == "in parts"]
    assert len(in_parts) > EACH
    assert set(in_parts) == {-(-2 * len(PARTS) * PRICES["input_nano_usd_per_mtok"] // 10**6)}
    assert sums["provider_cost"] == cost + sum(in_parts)
    statuses = Counter(str(row["status"]) for row in finals) + Counter({"404": EACH, "429": EACH})
    assert {name: metrics[name] for name in statuses} == statuses
    assert metrics["budget"] == EACH
    assert [metrics[name] for name in KINDS] == [sums[f"{name}_tokens"] for name in KINDS]
    assert abs(metrics["cost_usd"] - cost) < EACH
    (period,) = ledger.query(server, "SELECT * FROM accounts_budgetperiod")
    assert (period["spent_nano_usd"], period["spent_tokens"]) == (cost, tokens)
    assert (period["reserved_nano_usd"], period["reserved_tokens"]) == (0, 0)
    reports = [json.loads(server.manage("usage_report", "--by", group, "--format", "json")) for group in GROUPS]
    for told in (*shown, *reports):
        assert Decimal(str(told["total"]["cost_usd"])) == Decimal(cost) / 10**9
        assert sum(Decimal(str(line["cost_usd"])) for line in told["data"]) == Decimal(cost) / 10**9
        assert told["total"]["input_tokens"] + told["total"]["output_tokens"] == tokens
        assert told["total"]["requests"] == len(finals)
    return len(finals)
