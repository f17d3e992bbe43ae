"""The onboarding test against upstreams that do everything, lack something, or fail in every way."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from urllib.parse import urlsplit

import pytest

from providers.conformance import CapReached, Conformance, Report, Spending
from providers.conformance_probes import NAMES
from providers.demo import DIALECTS, create_app
from providers.errors import CredentialRejected
from providers.http1 import Http1Transport
from providers.specs import CredentialSpec, DeploymentSpec, Prices, ProviderSpec
from providers.transport import Endpoint
from providers.types import Usage
from tests.upstreams.faults import Behaviour, Fault, FaultUpstream, Script
from tests.upstreams.servers import run_asgi

KINDS = {
    "openai": "openai",
    "anthropic": "anthropic",
    "cohere": "cohere",
    "openai_responses": "openai_responses",
    "responses": "perplexity",
}
SECRET = "sk-canary-0123456789"


def provider_at(url: str, kind: str = "openai") -> ProviderSpec:
    parts = urlsplit(url)
    assert parts.hostname is not None
    assert parts.port is not None
    return ProviderSpec(
        id=1,
        name="tested",
        kind=kind,
        endpoint=Endpoint(scheme="http", host=parts.hostname, port=parts.port),
        base_path=parts.path,
        credentials=(CredentialSpec(id=1, name="default", secret=SECRET),),
    )


def deployment(provider: ProviderSpec, **fields: object) -> DeploymentSpec:
    common: dict[str, object] = {"id": 1, "provider": provider, "model": "m", "upstream_model": "m"}
    return DeploymentSpec(**{**common, **fields})  # type: ignore[arg-type]


async def run_against(provider: ProviderSpec, *deployments: DeploymentSpec, **options: object) -> Report:
    transport = Http1Transport()
    try:
        return await Conformance(transport, provider, deployments, **options).run()  # type: ignore[arg-type]
    finally:
        await transport.aclose()


def outcomes(report: Report) -> dict[str, str]:
    return {result.name: result.outcome for result in report.results}


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    async with FaultUpstream() as running:
        yield running


def test_every_dialect_of_the_demo_is_tested() -> None:
    assert KINDS.keys() == DIALECTS.keys()


@pytest.mark.parametrize("dialect", KINDS)
async def test_every_dialect_passes_what_its_provider_does(dialect: str) -> None:
    with run_asgi(create_app(dialect, require_key=SECRET, events_per_second=200)) as url:
        report = await run_against(provider_at(url, KINDS[dialect]))
    found = outcomes(report)
    assert tuple(found) == NAMES
    assert report.passed
    assert set(found.values()) <= {"passed", "unsupported"}
    assert found["cancel"] == found["tools"] == found["structured_output"] == found["usage_in_stream"] == "passed"


async def test_an_upstream_that_is_not_there_fails_once_and_skips_the_rest() -> None:
    report = await run_against(provider_at("http://127.0.0.1:9"))
    found = outcomes(report)
    assert found.pop("reachability") == "failed"
    assert set(found.values()) == {"skipped"}
    assert report.tokens == 0


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
async def test_a_refused_chat_says_what_to_do_and_spends_nothing_more(status: int, upstream: FaultUpstream) -> None:
    upstream.script = Script(default=Behaviour(fault=Fault.STATUS, status=status))
    provider = provider_at(f"{upstream.url}/v1")
    report = await run_against(provider, deployment(provider))
    found = outcomes(report)
    assert found["chat"] == "failed"
    assert found["stream"] == found["tools"] == found["cancel"] == "skipped"
    assert found.get("authentication") == ("failed" if status in (401, 403) else "skipped")
    assert SECRET not in repr(report)


async def test_a_provider_without_a_list_of_models_is_no_worse_for_it(upstream: FaultUpstream) -> None:
    assert outcomes(await run_against(provider_at(f"{upstream.url}/v1", "blackbox")))["model_list"] == "unsupported"


async def test_who_sent_no_key_is_not_told_that_it_was_refused() -> None:
    with run_asgi(create_app("openai", require_key=SECRET)) as url:
        report = await run_against(replace(provider_at(url), credentials=()))
    details = {result.name: result.detail for result in report.results}
    assert CredentialRejected.none_was_sent in details["model_list"]


async def test_a_stream_that_is_cut_fails_the_stream_and_not_the_chat(upstream: FaultUpstream) -> None:
    upstream.script = Script(Behaviour(), Behaviour(fault=Fault.CUT, cut_at=200), default=Behaviour())
    provider = provider_at(f"{upstream.url}/v1")
    found = outcomes(await run_against(provider, deployment(provider)))
    assert (found["chat"], found["stream"], found["usage_in_stream"]) == ("passed", "failed", "skipped")


async def test_cancelling_closes_the_upstream(upstream: FaultUpstream) -> None:
    # Chat, stream, tools and structured output come first, and are not waited for.
    upstream.script = Script(*[Behaviour()] * 4, default=Behaviour(tokens=500, interval_s=0.02))
    provider = provider_at(f"{upstream.url}/v1")
    report = await run_against(provider, deployment(provider))
    assert outcomes(report)["cancel"] == "passed"
    await asyncio.sleep(0.05)
    assert any(hit.aborted for hit in upstream.hits if hit.method == "POST")


async def test_stops_at_the_cap_and_names_what_was_not_tried() -> None:
    dear = Prices(input=10**10, output=10**11)
    with run_asgi(create_app()) as url:
        provider = provider_at(url)
        free = await run_against(provider, deployment(provider, model="demo-small", upstream_model="demo-small", prices=dear),
                            cap_nano_usd=0)  # fmt: skip
        some = await run_against(provider, deployment(provider, model="demo-small", upstream_model="demo-small", prices=dear),
                            cap_nano_usd=25_000_000)  # fmt: skip
    assert outcomes(free)["chat"] == "skipped"
    assert "cap" in free.results[3].detail
    assert (free.tokens, free.cost_nano_usd) == (0, 0)
    assert outcomes(some)["chat"] == "passed"
    assert "skipped" in outcomes(some).values()
    assert some.cost_nano_usd is not None
    assert 0 < some.cost_nano_usd <= 25_000_000


async def test_chooses_a_model_that_chats() -> None:
    with run_asgi(create_app()) as url:
        provider = provider_at(url)
        embedding = deployment(provider, model="demo-embedding", upstream_model="demo-embedding")
        large = deployment(provider, id=2, model="big", upstream_model="demo-large")
        assert (await run_against(provider, embedding, large)).model == "big"
        assert (await run_against(provider, embedding)).model == "demo-small"
        assert (await run_against(provider, embedding, large, model="demo-small")).model == "demo-small"


def test_money_is_capped_by_the_worst_case_and_booked_by_what_was_used() -> None:
    provider = provider_at("http://127.0.0.1:9")
    priced = deployment(provider, prices=Prices(input=10**9, output=2 * 10**9))
    spending = Spending(cap_nano_usd=1_000_000)
    spending.admit(priced, 400)
    with pytest.raises(CapReached):
        spending.admit(priced, 401)
    spending.book(priced, Usage(input_tokens=10, output_tokens=20), 400)
    assert (spending.nano_usd, spending.tokens, spending.known) == (50_000, 30, True)
    spending.book(priced, None, 400)
    assert (spending.nano_usd, spending.tokens) == (1_050_000, 630)


def test_tokens_are_capped_where_prices_are_unknown() -> None:
    unpriced = deployment(replace(provider_at("http://127.0.0.1:9")))
    spending = Spending(cap_nano_usd=0, token_cap=1000)
    spending.admit(unpriced, 800)
    with pytest.raises(CapReached):
        spending.admit(unpriced, 801)
    spending.book(unpriced, Usage(input_tokens=1, output_tokens=1), 800)
    assert not spending.known
