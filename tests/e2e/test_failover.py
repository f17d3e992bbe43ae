"""With one healthy candidate of two, clients get clean answers whatever the other one does; with none, upstreams are
spared."""

import asyncio
import re
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.calling import Caller, at_once, percentile, report
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.ledger import query
from tests.upstreams.behaviours import expected_text
from tests.upstreams.faults import FaultUpstream, fault_upstream_in_thread

TIMEOUT_S = 0.4
FAULTS = {
    "rst before headers": "rst_before_headers",
    "eof before headers": "eof_before_headers",
    "hang before headers": "hang_before_headers",
    "stale keep-alive": "stale",
    "rst after headers": "rst_after_headers",
    "eof after headers": "eof_after_headers",
    "hang after headers": "hang_after_headers",
    "half-close": "half_close?after_tokens=0",
    "trickle": "trickle?interval_s=0.05",
    "trickled headers": "trickle_headers?interval_s=0.05",
    "500": "status?status=500",
    "502": "status?status=502",
    "503": "status?status=503",
    "504": "status?status=504",
    "529": "status?status=529",
    "401": "status?status=401",
    "403": "status?status=403",
    "402": "status?status=402",
    "429 seconds": "status?status=429&retry_after=2&retry_after_form=seconds",
    "429 float": "status?status=429&retry_after=1.5&retry_after_form=float",
    "429 date": "status?status=429&retry_after=2&retry_after_form=date",
    "429 ms": "status?status=429&retry_after=1.5&retry_after_form=ms",
    "429 without": "status?status=429&retry_after_form=none",
    "429 garbage": "status?status=429&retry_after_form=garbage",
    "429 negative": "status?status=429&retry_after_form=negative",
    "429 past date": "status?status=429&retry_after_form=past_date",
    "429 reset header": "status?status=429&retry_after=2&retry_after_form=reset_header",
    "html with 200": "html_200",
    "no json with 200": "not_json_200",
    "nothing with 200": "empty_200",
    "error body with 200": "error_body_200",
    "gigantic header": "gigantic_header",
    "gigantic body": "gigantic_body",
    "not http": "not_http",
    "short body": "short_body",
    "error event": "error_event?after_tokens=0",
    "no finish": "no_finish?after_tokens=0",
    "broken event": "broken_event?after_tokens=0",
}
RECORDED_WITHIN_S = 3.0
REFUSED_URL = "http://127.0.0.1:9/v1"
GARBAGE = (
    "rst after headers", "eof after headers", "half-close", "trickle", "trickled headers", "html with 200",
    "no json with 200", "nothing with 200", "error body with 200", "gigantic header", "gigantic body", "not http",
    "short body", "error event", "no finish", "broken event",
)  # fmt: skip
"""What comes back is something, but no answer."""


def providers(url: str) -> list[dict[str, Any]]:
    """For each fault a bad provider that is always preferred, with a breaker that soon tries again, and a good one."""
    found: list[dict[str, Any]] = []
    for number, (name, fault) in enumerate({**FAULTS, "refused": ""}.items()):
        base_url = f"{url}/v1" if fault else REFUSED_URL
        bad = {"name": f"bad-{number}", "base_url": base_url, "priority": 1, "timeout_s": TIMEOUT_S}
        model = {"model": name, "upstream_model": f"fault:{fault}"}
        found.append({**bad, "circuit_breaker_timeout_s": 0.5, "models": [model]})
    good = [{"model": name, "upstream_model": f"good-{name}"} for name in [*FAULTS, "refused"]]
    found.append({"name": "good", "base_url": f"{url}/v1", "priority": 2, "max_connections": 1000, "models": good})
    lone = [{"model": f"lone {name}", "upstream_model": f"fault:{FAULTS[name]}"} for name in GARBAGE]
    alone = {"name": "alone", "base_url": f"{url}/v1", "timeout_s": TIMEOUT_S, "max_retries": 1, "models": lone}
    found.append({**alone, "circuit_breaker_threshold": 1_000_000})
    refused = [{"model": "refused key", "upstream_model": "fault:status?status=401"}]
    found.append({"name": "refusing", "base_url": f"{url}/v1", "models": refused})
    dead = {"base_url": f"{url}/v1", "circuit_breaker_timeout_s": 1.0}
    for number in (1, 2):
        model = {"model": "outage", "upstream_model": "fault:status?status=500"}
        found.append({**dead, "name": f"dead-{number}", "models": [model]})
    return found


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: FaultUpstream, module_gateway: GatewayProcess) -> GatewayProcess:
    return module_gateway.seed({"providers": providers(upstream.url)}).start()


async def clean_share(caller: Caller, fault: str, requests: int) -> tuple[float, float, list[object]]:
    """(share of clean answers, the slowest but 1 %, the others)"""
    found = await at_once(
        32, [lambda number=number: caller.ask(fault, stream=number % 2 == 0) for number in range(requests)]
    )
    unclean = [got for got in found if not got.is_clean(expected_text(8))]
    return 1 - len(unclean) / requests, percentile([got.duration_s for got in found], 0.99), list(unclean)


async def test_answers_cleanly_while_one_of_two_candidates_fails_in_any_way(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    calls = [(fault, number % 2 == 0) for number in range(8) for fault in [*FAULTS, "refused"]]
    async with Caller(server) as caller:
        found = await at_once(32, [lambda call=call: caller.ask(call[0], stream=call[1]) for call in calls])
    unclean = [(call, got) for call, got in zip(calls, found, strict=True) if not got.is_clean(expected_text(8))]
    assert not unclean


async def test_garbage_of_the_only_candidate_is_an_error_and_never_an_answer(server: GatewayProcess) -> None:
    calls = [(name, stream) for name in GARBAGE for stream in (True, False)]
    calls.remove(("short body", True))  # It breaks off behind [DONE], so nothing is missing.
    async with Caller(server) as caller:
        found = await at_once(4, [lambda call=call: caller.ask(f"lone {call[0]}", stream=call[1]) for call in calls])
    for call, got in zip(calls, found, strict=True):
        assert got.status in (502, 503, 504), (call, got)
        assert set(got.errors[0]) == {"message", "type", "param", "code"}, (call, got)
        assert (got.text, got.done, got.broken) == ("", False, ""), (call, got)


@pytest.mark.slow
@pytest.mark.parametrize("fault", [*FAULTS, "refused"])
async def test_answers_cleanly_2000_times_under_each_fault(
    server: GatewayProcess, upstream: FaultUpstream, fault: str
) -> None:
    async with Caller(server) as caller:
        upstream.forget()
        share, slowest, unclean = await clean_share(caller, fault, 2000)
    bad = sum(hit.model.startswith("fault:") for hit in upstream.hits)
    report(f"failover {fault}: {share:.2%} of 2000 clean, p99 {slowest * 1000:.0f} ms, {bad} hits at the bad one")
    assert share >= 0.999, unclean[:2]


async def test_while_a_refused_credential_rests_calls_are_told_so_and_until_when(server: GatewayProcess) -> None:
    async with Caller(server) as caller:
        await caller.ask("refused key", stream=False)
        got = await caller.ask("refused key", stream=False)
        async with caller.session.get(f"{server.url}/requests/{got.headers['x-request-id']}") as response:
            record = await response.json()
    assert got.status == 503
    assert re.search(r"credential rejected, next try in (29\d|300) s\)", str(got.errors)), got.errors
    assert "'credential_rejected'" in str(record)


async def outage_hits(caller: Caller, upstream: FaultUpstream, requests: int, many: int) -> tuple[int, float]:
    upstream.forget()
    found = await at_once(many, [lambda: caller.ask("outage")] * requests)
    assert {got.status for got in found} <= {502, 503}
    assert all(got.errors and got.headers["x-should-retry"] == "false" for got in found)
    return len(upstream.hits), sum(got.duration_s for got in found)


async def test_a_total_outage_is_not_multiplied(server: GatewayProcess, upstream: FaultUpstream) -> None:
    async with Caller(server) as caller:
        hits, took_s = await outage_hits(caller, upstream, 300, 16)
    assert hits <= 1.1 * 300 + 2 * (took_s + 1)


@pytest.mark.slow
async def test_a_long_total_outage_is_not_multiplied(server: GatewayProcess, upstream: FaultUpstream) -> None:
    async with Caller(server) as caller:
        hits, _ = await outage_hits(caller, upstream, 5000, 64)
    trials = await asyncio.to_thread(failed_trials, server)
    report(f"total outage: {hits} hits for 5000 requests ({hits / 5000:.3f} per request), {trials} trials among them")
    # The budget begins with a floor of 3.
    assert hits <= 1.1 * 5000 + 3 + trials


def failed_trials(server: GatewayProcess) -> int:
    """How often a breaker opened again because its trial failed, once that is written down."""
    time.sleep(RECORDED_WITHIN_S)
    dead = "provider_name LIKE 'dead-%' AND kind = 'breaker' AND cause LIKE 'the trial failed%'"
    return int(query(server, f"SELECT COUNT(*) AS trials FROM monitoring_breakerevent WHERE {dead}")[0]["trials"])
