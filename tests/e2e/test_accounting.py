"""Every way a call can end, and what the ledger then says: the table of docs/accounting.md, row by row, against the
upstream's own count. And a server that is killed at any moment loses nothing and books nothing twice."""

import asyncio
import itertools
import json
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import ledger
from tests.e2e.calling import Caller, Got, report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy, on_postgres
from tests.e2e.postgres_copies import postgres_copy
from tests.upstreams.behaviours import Behaviour, expected_text, stream_events
from tests.upstreams.counting import CountingUpstream
from tests.upstreams.faults import FaultUpstream
from tests.upstreams.servers import run_asgi

KILLS = int(os.environ.get("KILLS", "200"))
"""Of the long round, which may be run in pieces."""
PER_INPUT, PER_OUTPUT = 1_000, 2_000
"""Nano-USD per token."""
PRICES = {"input_nano_usd_per_mtok": PER_INPUT * 10**6, "output_nano_usd_per_mtok": PER_OUTPUT * 10**6}
PROMPT = (len("hi") // 4) + 8
"""What the gateway counts for the test's prompt: a quarter of its bytes and eight for the message."""
EVENTS = stream_events(Behaviour(), "m", include_usage=True)


def counted(tokens: int) -> int:
    return -(-len(expected_text(tokens)) // 4)


def upto(events: int, model: str) -> int:
    """Bytes of a stream's first events under that model's name."""
    return sum(map(len, stream_events(Behaviour(), model, include_usage=True)[:events]))


MODELS = {
    "whole": "fault:none",
    "breaks": "fault:error_event?after_tokens=3",
    "silent": "fault:hang_before_headers",
    "stalls": "fault:hang_mid_stream?after_tokens=3",
    "fails": "fault:status?status=500",
    "silent, left": "fault:hang_before_headers?tokens=7",
    "stalls, left": "fault:hang_mid_stream?after_tokens=3&tokens=7",
}


def seeded(gateway: GatewayProcess, upstream: FaultUpstream, **more: Any) -> GatewayProcess:
    models = [{"model": name, "upstream_model": fault, **PRICES} for name, fault in MODELS.items()]
    never_out = {"circuit_breaker_threshold": 1_000_000, "circuit_breaker_timeout_s": 0.001}
    second = [{"model": "second chance", "upstream_model": "fault:none", **PRICES}]
    first = [*models, {"model": "second chance", "upstream_model": "fault:status?status=500", **PRICES}]
    unpriced = [{"model": "unpriced", "upstream_model": "fault:none"}]
    unpriced += [{"model": "unpriced, fails", "upstream_model": "fault:status?status=500"}]
    url = f"{upstream.url}/v1"
    providers = [
        {"name": "first", "base_url": url, "priority": 1, "models": [*first, *unpriced], **never_out},
        {"name": "second", "base_url": url, "priority": 2, "models": second, **never_out},
    ]
    return gateway.seed({"providers": providers, **more})


@pytest.fixture
def server(gateway: GatewayProcess, upstream: FaultUpstream) -> GatewayProcess:
    return seeded(gateway, upstream).start()


async def leave(caller: Caller, model: str, mark: str, *, after_text: bool, sent: asyncio.Event) -> None:
    """Asks for a stream and hangs up: once the upstream works on it, or after the third token."""

    async def read() -> None:
        async with caller.post(model, headers={"x-request-id": mark}) as response:
            async for line in response.content:
                if b"t2" in line:
                    break

    reading = asyncio.create_task(read())
    await asyncio.wait(
        [reading] if after_text else [reading, asyncio.create_task(sent.wait())], return_when="FIRST_COMPLETED"
    )
    reading.cancel()
    await asyncio.gather(reading, return_exceptions=True)


async def end(caller: Caller, way: str, mark: str, upstream: FaultUpstream) -> Got | None:
    """Makes one call that ends in this way."""
    named = {"x-request-id": mark}
    hurried = {**named, "x-llm-proxy-timeout": "1.5"}
    calls = {
        "complete": lambda: caller.ask("whole", stream=False, headers=named),
        "stream complete": lambda: caller.ask("whole", headers=named),
        "no usage reported": lambda: caller.ask("untold", headers=named),
        "breaks mid-stream": lambda: caller.ask("breaks", headers=named),
        "deadline before a token": lambda: caller.ask("silent", headers=hurried),
        "deadline mid-stream": lambda: caller.ask("stalls", headers=hurried),
        "all attempts failed": lambda: caller.ask("fails", stream=False, headers=named),
        "second chance": lambda: caller.ask("second chance", stream=False, headers=named),
        "unknown price": lambda: caller.ask("unpriced", stream=False, headers=named),
    }
    if way in calls:
        return await calls[way]()
    sent = asyncio.Event()
    task = asyncio.create_task(leave(caller, LEFT[way], mark, after_text=way == "leaves after", sent=sent))
    await upstream.until(lambda seen: any(hit.model == MODELS[LEFT[way]] for hit in seen.hits), timeout_s=20)
    sent.set()
    await task
    return None


# Calls of models that nobody else asks for in the same test.
LEFT = {"leaves before": "silent, left", "leaves after": "stalls, left"}
# How the call ends → status, error, usage source, input and output tokens of the row that is charged.
CHARGES: dict[str, tuple[int, str, str, int, int]] = {
    "complete": (200, "", "provider", 5, 8),
    "stream complete": (200, "", "provider", 5, 8),
    "breaks mid-stream": (502, "upstream_error", "counted", PROMPT, counted(3)),
    "leaves before": (499, "client_closed_request", "estimated", PROMPT, 0),
    "leaves after": (499, "client_closed_request", "counted", PROMPT, counted(3)),
    "deadline before a token": (504, "upstream_timeout", "estimated", 0, 0),
    "deadline mid-stream": (504, "upstream_timeout", "counted", PROMPT, counted(3)),
    "all attempts failed": (502, "upstream_error", "estimated", 0, 0),
    "second chance": (200, "", "provider", 5, 8),
}


async def test_each_end_of_a_call_is_charged_by_its_rule(server: GatewayProcess, upstream: FaultUpstream) -> None:
    wrong: list[str] = []
    async with Caller(server) as caller:
        await asyncio.gather(*(end(caller, way, way.replace(" ", "."), upstream) for way in CHARGES))
    for way, (status, error, source, tokens_in, tokens_out) in CHARGES.items():
        rows = await asyncio.to_thread(ledger.rows_of, server, way.replace(" ", "."))
        (final,) = [row for row in rows if row["final"]]
        expected = {
            "status": status, "error_code": error, "usage_source": source, "input_tokens": tokens_in,
            "output_tokens": tokens_out, "cost_nano_usd": tokens_in * PER_INPUT + tokens_out * PER_OUTPUT,
        }  # fmt: skip
        found = {name: final[name] for name in expected}
        if found != expected:
            wrong.append(f"{way}: {found} instead of {expected}")
        if any(row["cost_nano_usd"] for row in rows if row is not final):
            wrong.append(f"{way}: an attempt that did not answer was charged")
    assert not wrong, "\n".join(wrong)
    assert len(upstream.hits) == len([row for row in ledger.rows(server) if row["attempt"] > 0])
    ledger.totals(server)


async def test_an_unknown_price_stays_unknown(server: GatewayProcess, upstream: FaultUpstream) -> None:
    async with Caller(server) as caller:
        await end(caller, "unknown price", "unpriced", upstream)
    (row,) = await asyncio.to_thread(ledger.rows_of, server, "unpriced")
    assert (row["cost_nano_usd"], row["output_tokens"]) == (None, 8)


async def test_searches_are_charged_to_the_ledger_and_to_the_budget(gateway: GatewayProcess) -> None:
    fee = {**PRICES, "search_nano_usd_per_thousand": 10 * 10**9}
    told = {"searching": "searches=2", "quiet": "m", "always": "gpt-4o-search-preview"}
    models = [{"model": name, "upstream_model": target, **fee} for name, target in told.items()]
    with run_asgi(CountingUpstream()) as url:
        gateway.seed({"providers": [{"name": "only", "base_url": f"{url}/v1", "models": models}]}).start()
        order = await asyncio.to_thread(gateway.manage, "create_api_key", "k", "--budget-usd", "1")
        bearer = {"authorization": f"Bearer {order.split()[0]}"}
        async with Caller(gateway) as caller:
            for name, stream in itertools.product(told, (False, True)):
                headers = {**bearer, "x-request-id": f"{name}.{stream}"}
                got = await caller.ask(name, stream=stream, headers=headers, max_tokens=16)
                assert got.status == 200, got
    rows = await asyncio.to_thread(ledger.rows_when, gateway, lambda found: len(found) == 2 * len(told))
    searches = {"searching": 2, "quiet": 0, "always": 1}
    assert {(row["model"], row["searches"]) for row in rows} == set(searches.items())
    for row in rows:
        tokens = row["input_tokens"] * PER_INPUT + row["output_tokens"] * PER_OUTPUT
        assert row["cost_nano_usd"] == row["provider_cost_nano_usd"] == tokens + searches[row["model"]] * 10**7
    (period,) = ledger.query(gateway, "SELECT * FROM accounts_budgetperiod")
    sums = ledger.totals(gateway)
    assert sums["searches"] == 6
    assert period["spent_nano_usd"] == sums["cost"] > 6 * 10**7


async def test_a_call_that_failed_costs_nothing_also_where_nobody_knows_the_price(server: GatewayProcess) -> None:
    async with Caller(server) as caller:
        await caller.ask("unpriced, fails", stream=False, headers={"x-request-id": "unpriced.fails"})
    rows = await asyncio.to_thread(ledger.rows_of, server, "unpriced.fails")
    assert {row["cost_nano_usd"] for row in rows} == {0}
    assert ledger.query(server, "SELECT requests, unpriced FROM accounts_usagehourly") == [
        {"requests": 1, "unpriced": 0}
    ]


async def test_a_refused_call_is_told_of_under_its_model(server: GatewayProcess) -> None:
    asked = {"poor": ("--budget-usd", "0.000001"), "slow": ("--tpm", "1")}
    keys = {name: server.manage("create_api_key", name, *limits).split()[0] for name, limits in asked.items()}
    async with Caller(server) as caller:
        for key in keys.values():
            for model in ("whole", "none of these"):
                await caller.ask(model, stream=False, headers={"authorization": f"Bearer {key}"})
    expected = [(name, *told) for name in asked for told in ((429, "whole"), (404, "other"))]
    deadline = time.monotonic() + 10
    while (told := lines_told(server)) != expected:
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.1)


def lines_told(server: GatewayProcess) -> list[tuple[str, int, str]]:
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if '"status_code"' in line]
    return [(line["key_name"], line["status_code"], line["model"]) for line in lines]


async def test_a_stream_without_usage_is_counted_by_us(gateway: GatewayProcess, upstream: FaultUpstream) -> None:
    told = upto(len(EVENTS) - 2, "fault:cut?cut_with=clean&cut_at=0000")
    untold = {"model": "untold", "upstream_model": f"fault:cut?cut_with=clean&cut_at={told:04d}", **PRICES}
    gateway.seed({"providers": [{"name": "first", "base_url": f"{upstream.url}/v1", "models": [untold]}]}).start()
    async with Caller(gateway) as caller:
        got = await end(caller, "no usage reported", "untold", upstream)
    assert got is not None
    assert got.is_clean(expected_text(8))
    (row,) = await asyncio.to_thread(ledger.rows_of, gateway, "untold")
    assert (row["usage_source"], row["input_tokens"], row["output_tokens"]) == ("counted", PROMPT, counted(8))


async def test_a_whole_answer_without_usage_tells_what_we_count(gateway: GatewayProcess) -> None:
    """As a stream does at its end."""
    with run_asgi(CountingUpstream()) as url:
        untold = {"model": "untold", "upstream_model": "nousage", **PRICES}
        gateway.seed({"providers": [{"name": "only", "base_url": f"{url}/v1", "models": [untold]}]}).start()
        async with Caller(gateway) as caller, caller.post("untold", stream=False) as response:
            answer = await response.json()
    (row,) = await asyncio.to_thread(ledger.rows_of, gateway, response.headers["x-request-id"])
    told = answer["usage"]
    assert (told["prompt_tokens"], told["completion_tokens"]) == (row["input_tokens"], row["output_tokens"])
    assert told["prompt_tokens"] > 0
    assert (answer["choices"][0]["message"]["content"], row["usage_source"]) == ("answer to hi", "counted")


async def test_a_shutdown_charges_what_was_delivered(gateway: GatewayProcess, upstream: FaultUpstream) -> None:
    gateway.env["PROXY_API_DRAIN_TIMEOUT"] = "1"
    server = seeded(gateway, upstream).start()
    async with Caller(server) as caller:
        calls = [
            asyncio.create_task(caller.ask(model, headers={"x-request-id": model})) for model in ("silent", "stalls")
        ]
        await upstream.until(lambda seen: len(seen.hits) == 2)
        await asyncio.sleep(0.3)
        stopping = asyncio.create_task(asyncio.to_thread(server.stop, signal.SIGTERM, 30))
        await asyncio.gather(*calls)
        await stopping
    found = {
        row["request_id"]: (row["status"], row["input_tokens"], row["output_tokens"]) for row in ledger.rows(server)
    }
    assert found == {"silent": (503, 0, 0), "stalls": (503, PROMPT, counted(3))}


# ------------------------------------------------------------------------------------------------------------- kill -9


@pytest.fixture
def postgres_env() -> Iterator[dict[str, str]]:
    with postgres_copy() as url:
        yield on_postgres(url)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.postgres)])
def victim(
    request: pytest.FixtureRequest, migrated_data_dir: Path, tmp_path: Path, upstream: FaultUpstream
) -> Iterator[GatewayProcess]:
    if request.param == "postgres":
        (tmp_path / "data").mkdir()
        gateway = GatewayProcess(tmp_path / "data", env=request.getfixturevalue("postgres_env"))
    else:
        gateway = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    slow = [{"model": "streams", "upstream_model": "fault:none?tokens=8&interval_s=0.01", **PRICES}]
    plain = [{"model": "answers", "upstream_model": "fault:none?delay_s=0.005", **PRICES}]
    gateway.seed({"providers": [{"name": "only", "base_url": f"{upstream.url}/v1", "models": [*slow, *plain]}]})
    # With a budget, so that a kill may also hit a lease that is being taken, spent or renewed.
    gateway.key = gateway.manage("create_api_key", "load", "--budget-usd", "1000").split()[0]
    yield gateway
    gateway.kill()


async def load(caller: Caller, counter: "itertools.count[int]", answered: set[str]) -> None:
    """Calls until it is cancelled; an answer that arrived whole is remembered."""
    while True:
        mark = f"call-{next(counter)}"
        stream = random.random() < 0.5
        model = "streams" if stream else "answers"
        got = await caller.ask(model, stream=stream, headers={"x-request-id": mark}, user=mark)
        if got.is_clean(expected_text(8)):
            answered.add(mark)
        elif got.broken:
            await asyncio.sleep(0.05)


async def kill_under_load(victim: GatewayProcess, upstream: FaultUpstream, kills: int) -> None:
    counter, answered = itertools.count(), set[str]()
    for number in range(1, kills + 1):
        await asyncio.to_thread(victim.start)
        async with Caller(victim) as caller:
            callers = [asyncio.create_task(load(caller, counter, answered)) for _ in range(8)]
            seen = len(upstream.hits)
            await upstream.until(lambda now, seen=seen: len(now.hits) > seen, timeout_s=20)
            await asyncio.sleep(random.uniform(0.0, 1.0))
            victim.kill()
            for task in callers:
                task.cancel()
            await asyncio.gather(*callers, return_exceptions=True)
        if number % 20 == 0 or number == kills:
            await asyncio.to_thread(victim.start)
            await asyncio.to_thread(compare, victim, upstream, answered, number)
            victim.kill()


def compare(victim: GatewayProcess, upstream: FaultUpstream, answered: set[str], kills: int) -> None:
    sent = Counter(json.loads(hit.body)["user"] for hit in upstream.hits)

    def booked(rows: list[ledger.Row]) -> "Counter[str]":
        return Counter(row["request_id"] for row in rows)

    ledger.rows_when(victim, lambda rows: not sent - booked(rows))
    spent = conserved(victim)
    rows = ledger.rows(victim)
    count = booked(rows)
    assert not sent - count, f"lost: {sent - count}"
    # The process may die between the journal's line and the first byte on the wire: booked as estimated, never twice.
    unsent = count - sent
    assert max(count.values()) == max(sent.values()) == 1
    assert len(unsent) <= 8 * kills
    assert all(row["usage_source"] == "estimated" for row in rows if row["request_id"] in unsent)
    by_mark = {row["request_id"]: row for row in rows}
    for mark in answered:
        row = by_mark[mark]
        assert (row["usage_source"], row["input_tokens"], row["output_tokens"]) == ("provider", 5, 8), row
    sums = ledger.totals(victim)
    assert spent == sums["cost"]
    report(
        f"kill -9 of the server under load, {kills} times: {len(sent)} calls at the upstream, {sums['requests']} in the "
        f"ledger, lost 0, double 0, {len(unsent)} noted but not sent, {len(answered)} answered; budget spent {spent} nano-USD"
    )


BUDGET = """SELECT spent_nano_usd AS spent, reserved_nano_usd AS reserved,
    (SELECT COALESCE(SUM(amount_nano_usd - settled_nano_usd), 0) FROM accounts_budgetlease) AS held,
    (SELECT COUNT(*) FROM accounts_budgetlease) AS leases FROM accounts_budgetperiod"""


def conserved(victim: GatewayProcess) -> int:
    """What the budget spent. In every instant reserved is exactly what leases hold, also while those of the dead are
    taken back, which follows the booking of what they spent."""
    deadline = time.monotonic() + 10
    while True:
        # One statement sees one instant.
        (budget,) = ledger.query(victim, BUDGET)
        assert budget["reserved"] == budget["held"]
        if budget["leases"] <= 1:
            return int(budget["spent"])
        assert time.monotonic() < deadline, "a dead worker still holds a lease"
        time.sleep(0.05)


async def test_a_killed_server_loses_and_doubles_nothing(victim: GatewayProcess, upstream: FaultUpstream) -> None:
    await kill_under_load(victim, upstream, kills=2)


@pytest.mark.slow
async def test_two_hundred_kills_lose_and_double_nothing(victim: GatewayProcess, upstream: FaultUpstream) -> None:
    await kill_under_load(victim, upstream, kills=KILLS)
