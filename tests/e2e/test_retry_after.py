"""Whoever is asked to wait is left alone that long, in every form of asking; a client is told when all are waiting."""

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

import pytest

from tests.e2e.calling import Caller, at_once, report
from tests.e2e.gateway_process import GatewayProcess
from tests.upstreams.behaviours import Behaviour, expected_text
from tests.upstreams.faults import FaultUpstream, Hit, fault_upstream_in_thread

WAIT_S = 2.0
FORMS = ("seconds", "float", "date", "ms", "duration", "text")
STATUSES = (429, 503)
WITHOUT_KEY = "without key"
SLOWER = "fault:status?status=429&retry_after=30&retry_after_form=seconds"
RESTING = [
    (90, "lone", "fault:status?status=429&retry_after=2&retry_after_form=seconds"),
    (91, "pair", "fault:status?status=503&retry_after=2&retry_after_form=ms"),
    (92, "pair", SLOWER),
]


def models() -> list[str]:
    return [f"{status} {form}" for status in STATUSES for form in FORMS] + [WITHOUT_KEY]


def provider(name: str, url: str, *, number: int, **more: Any) -> dict[str, Any]:
    status, _, form = (name if name != WITHOUT_KEY else "429 float").partition(" ")
    fault = f"fault:status?status={status}&retry_after={WAIT_S}&retry_after_form={form}&message={number}"
    waits = {"name": f"p{number}", "base_url": f"{url}/v1", "priority": 1, "circuit_breaker_timeout_s": 0.2}
    secret = "" if name == WITHOUT_KEY else "sk-secret"
    return {**waits, "secret": secret, "models": [{"model": name, "upstream_model": fault}], **more}


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: FaultUpstream, module_gateway: GatewayProcess) -> GatewayProcess:
    waiting = [provider(name, upstream.url, number=number) for number, name in enumerate(models())]
    good = {"name": "good", "base_url": f"{upstream.url}/v1", "priority": 2, "models": models()}
    resting = [
        {**provider("429 seconds", upstream.url, number=number), "models": [{"model": name, "upstream_model": fault}]}
        for number, name, fault in RESTING
    ]
    return module_gateway.seed({"providers": [*waiting, good, *resting]}).start()


def allowed_at(hit: Hit) -> float:
    """The earliest time of the next call: whole seconds and dates are what was written, not what was meant."""
    behaviour: Behaviour = hit.behaviour
    assert hit.headers_at is not None
    if behaviour.retry_after_form == "date":
        # The date was written when the answer was made, with the fraction of its second cut off.
        wall = time.time() - (time.monotonic() - hit.headers_at)
        return hit.headers_at + int(wall + behaviour.retry_after) - wall - 0.005
    return hit.headers_at + behaviour.retry_after - 0.005


def too_early(hits: list[Hit]) -> list[str]:
    found = []
    earliest: dict[str, float] = {}
    for hit in hits:
        if not hit.model.startswith("fault:"):
            continue
        if hit.received_at < earliest.get(hit.model, 0.0):
            found.append(f"{hit.model}: {earliest[hit.model] - hit.received_at:.3f} s too early")
        earliest[hit.model] = max(earliest.get(hit.model, 0.0), allowed_at(hit))
    return found


async def besiege(
    server: GatewayProcess, upstream: FaultUpstream, seconds: float, *, at_most_s: float = 0.0
) -> tuple[int, int]:
    """One call after another for each model, for this long, and on until each was sent twice to the provider that wants
    to be waited for; (calls, calls that met such a provider)"""
    upstream.forget()
    calls = 0
    async with Caller(server) as caller:
        began = time.monotonic()
        while (passed := time.monotonic() - began) < seconds or (passed < at_most_s and not all_met_twice(upstream)):
            found = [await caller.ask(model, stream=calls % 2 == 0) for model in models()]
            assert all(got.is_clean(expected_text(8)) for got in found), found
            calls += len(found)
            await asyncio.sleep(0.1)
    return calls, sum(hit.model.startswith("fault:") for hit in upstream.hits)


def all_met_twice(upstream: FaultUpstream) -> bool:
    met = Counter(hit.model for hit in upstream.hits if hit.model.startswith("fault:"))
    return sum(times >= 2 for times in met.values()) == len(models())


async def test_nothing_is_sent_earlier_than_asked(server: GatewayProcess, upstream: FaultUpstream) -> None:
    await besiege(server, upstream, WAIT_S * 2.4, at_most_s=WAIT_S * 15)
    assert not too_early(upstream.hits)
    assert all_met_twice(upstream), "each is called again when its time is over"


@pytest.mark.slow
async def test_nothing_is_sent_earlier_than_asked_for_a_minute(server: GatewayProcess, upstream: FaultUpstream) -> None:
    calls, met = await besiege(server, upstream, 60)
    early = too_early(upstream.hits)
    report(f"retry-after: {met} waits asked for in {len(FORMS)} forms, {calls} calls, {len(early)} earlier than asked")
    assert not early


@pytest.mark.parametrize(("model", "status", "candidates"), [("lone", 429, 1), ("pair", 503, 2)])
async def test_a_client_hears_how_long_everybody_wants_to_wait(
    server: GatewayProcess, upstream: FaultUpstream, model: str, status: int, candidates: int
) -> None:
    upstream.forget()
    async with Caller(server) as caller:
        headers = {"x-llm-proxy-timeout": "1"}
        first, *others = await at_once(1, [lambda: caller.ask(model, headers=headers)] * 4)
    assert (first.status, first.headers.get("x-should-retry")) == (status, None), "clients may come back by themselves"
    assert first.headers["retry-after"] == "2"
    for got in others:
        assert (got.status, got.headers.get("x-should-retry")) == (503, None)
        assert got.errors[0]["message"].count("credential cooling") == candidates
        assert got.headers["retry-after"] in ("1", "2"), "the earliest of those who rest"
    assert len(upstream.hits) == candidates
