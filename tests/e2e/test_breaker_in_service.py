"""A bad endpoint leaves the rotation after its threshold and returns soon after healing; full ones pass calls on."""

import asyncio
import time
from collections.abc import Iterator

import pytest

from tests.e2e.calling import Caller, at_once, report
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.ledger import rows_of
from tests.transport.wire import eventually
from tests.upstreams.behaviours import Behaviour, Fault, expected_text
from tests.upstreams.faults import FaultUpstream, Script, fault_upstream_in_thread

THRESHOLD = 3
FINE = expected_text(8)


@pytest.fixture(scope="module")
def first() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def second() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(first: FaultUpstream, second: FaultUpstream, module_gateway: GatewayProcess) -> GatewayProcess:
    breaking = {"circuit_breaker_threshold": THRESHOLD, "circuit_breaker_timeout_s": 1.0}
    full = {"model": "overflowing", "upstream_model": "fault:none?delay_s=1.5"}
    slow = {"model": "slow", "upstream_model": "fault:none?delay_s=0.6"}
    small = {"model": "long", "context_window": 1000}
    large = {"model": "large", "context_window": 100_000, "tags": ["eu"]}
    late = {"model": "hedged", "upstream_model": "fault:hang_after_headers"}
    module_gateway.seed(
        {
            "providers": [
                {
                    "name": "first",
                    "base_url": f"{first.url}/v1",
                    "models": ["m", small, late],
                    "priority": 1,
                    **breaking,
                },
                {"name": "second", "base_url": f"{second.url}/v1", "models": ["m", large, "hedged"], "priority": 2},
                {"name": "narrow", "base_url": f"{first.url}/v1", "max_connections": 1, "models": [full]},
                # Nobody else's: a stream's slot is free only once its body has ended, a moment after the client's answer.
                {
                    "name": "lone",
                    "base_url": f"{first.url}/v1",
                    "max_connections": 1,
                    "models": [{**full, "model": "full"}],
                },
                {"name": "patient", "base_url": f"{second.url}/v1", "models": [slow], **breaking},
                {"name": "wide", "base_url": f"{second.url}/v1", "priority": 2, "models": ["overflowing"]},
            ],
            "policies": [
                {"name": "longer", "pattern": "long", "context_fallbacks": ["large"]},
                {"name": "doubled", "pattern": "hedged", "options": {"hedge_after": 0.2}},
            ],
        }
    ).start()
    return module_gateway


async def test_a_bad_endpoint_is_out_after_its_threshold_and_back_after_healing(
    server: GatewayProcess, first: FaultUpstream
) -> None:
    first.forget()
    first.script = Script(default=Behaviour(fault=Fault.STATUS, status=500))
    async with Caller(server) as caller:
        found = await at_once(1, [lambda: caller.ask("m")] * 20)
        assert all(got.is_clean(FINE) for got in found)
        assert THRESHOLD <= len(first.hits) <= THRESHOLD + 1, "out after the threshold but for a trial"
        first.script = Script()
        first.forget()
        healed_at = time.monotonic()
        while not first.hits:
            assert (await caller.ask("m")).is_clean(FINE)
            assert time.monotonic() - healed_at < 15
            await asyncio.sleep(0.02)
    report(f"breaker: out after {THRESHOLD} failures, back {first.hits[0].received_at - healed_at:.2f} s after healing")


async def test_a_stream_that_is_slow_to_begin_is_doubled_and_the_loser_is_cancelled_and_booked(
    server: GatewayProcess, first: FaultUpstream
) -> None:
    first.forget()
    async with Caller(server) as caller:
        got = await caller.ask("hedged")
        assert got.is_clean(FINE)
        assert (got.headers["x-llm-proxy-provider"], got.headers["x-llm-proxy-attempts"]) == ("second", "2")
        assert got.duration_s < 5, "the first token is waited for 20 s"
        assert await eventually(lambda: first.hits[0].client_closed_at is not None)
        (hit,) = first.hits
        assert hit.client_closed_at is not None
        assert hit.client_closed_at - hit.received_at < 5
        request_id = got.headers["x-request-id"]
        async with caller.session.get(f"{server.url}/requests/{request_id}") as response:
            attempts = (await response.json())["attempts"]
    assert [(each["provider"], each["outcome"], each["then"]) for each in attempts] == [
        ("first", "cancelled", "hedge"), ("second", "success", None),
    ]  # fmt: skip
    # Timers may be a moment early.
    assert 0.19 < attempts[1]["started"] - attempts[0]["started"] < 2
    booked = await asyncio.to_thread(rows_of, server, request_id)
    assert [(row["provider"], bool(row["final"]), row["cost_nano_usd"]) for row in booked] == [
        ("first", False, 0), ("second", True, None),
    ]  # fmt: skip


@pytest.mark.parametrize("stream", [True, False])
async def test_clients_in_a_hurry_say_nothing_about_an_upstream(server: GatewayProcess, stream: bool) -> None:
    async with Caller(server) as caller:
        for _ in range(THRESHOLD + 1):
            got = await caller.ask("slow", stream=stream, headers={"x-llm-proxy-timeout": "0.1"})
            assert (got.status, "0.1 s of its x-llm-proxy-timeout" in got.errors[0]["message"]) == (504, True), got
        async with caller.session.get(f"{server.url}/status/patient") as response:
            breaker = (await response.json())["circuit_breaker"]
        assert (breaker["state"], breaker["failure_count"]) == ("closed", 0)
        assert (await caller.ask("slow", stream=stream)).is_clean(FINE)


async def test_a_full_provider_passes_calls_on_and_a_lone_full_one_refuses(server: GatewayProcess) -> None:
    async with Caller(server) as caller:
        found = await at_once(8, [lambda: caller.ask("overflowing")] * 8)
        assert all(got.is_clean(FINE) for got in found)
        assert {got.headers["x-llm-proxy-provider"] for got in found} == {"narrow", "wide"}
        found = await at_once(3, [lambda: caller.ask("full")] * 3)
    answered = [got for got in found if got.is_clean(FINE)]
    refused = [got for got in found if got.status == 503]
    assert (len(answered), len(refused)) == (1, 2)
    assert "saturated" in refused[0].errors[0]["message"]
    sent_away, waited = sorted(got.duration_s for got in refused)
    assert sent_away < 0.5, "the line is as long as the provider is wide"
    assert 0.9 < waited < 1.45, "a wait is bounded"


async def test_a_conversation_that_is_too_long_goes_to_the_larger_model(server: GatewayProcess) -> None:
    long = [{"role": "user", "content": "word " * 2000}]
    async with Caller(server) as caller:
        assert (await caller.ask("long")).headers["x-llm-proxy-model"] == "long"
        got = await caller.ask("long", messages=long)
    assert got.is_clean(FINE)
    assert got.headers["x-llm-proxy-model"] == "large"


async def test_an_overflow_that_only_the_provider_noticed_goes_to_the_larger_model(
    server: GatewayProcess, first: FaultUpstream
) -> None:
    overflow = {"code": "context_length_exceeded", "message": "maximum context length is 900 tokens"}
    first.script = Script(by_model={"long": Behaviour(fault=Fault.STATUS, status=400, **overflow)})
    async with Caller(server) as caller:
        got = await caller.ask("long")
    first.script = Script()
    assert got.is_clean(FINE)
    assert got.headers["x-llm-proxy-model"] == "large"


async def test_a_request_with_tags_goes_only_where_they_are(server: GatewayProcess) -> None:
    async with Caller(server) as caller:
        assert (await caller.ask("large", headers={"x-llm-proxy-tags": "eu"})).is_clean(FINE)
        refused = await caller.ask("m", headers={"x-llm-proxy-tags": "eu"})
    assert refused.status == 503
    assert "lacks a tag that was asked for" in refused.errors[0]["message"]
