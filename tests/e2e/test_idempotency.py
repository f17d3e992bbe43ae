"""A call with an Idempotency-Key is made and paid once, however often it is sent."""

import asyncio
from collections.abc import Iterator

import pytest

from tests.e2e import ledger
from tests.e2e.calling import Caller
from tests.e2e.gateway_process import GatewayProcess
from tests.upstreams.behaviours import Behaviour, Fault, expected_text
from tests.upstreams.faults import FaultUpstream, fault_upstream_in_thread


@pytest.fixture(scope="module")
def upstream() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def server(upstream: FaultUpstream, module_gateway: GatewayProcess) -> GatewayProcess:
    models = ["m", {"model": "slow", "upstream_model": "fault:none?delay_s=1.0"}]
    never_out = {"circuit_breaker_threshold": 1_000_000, "circuit_breaker_timeout_s": 0.001}
    provider = {"name": "only", "base_url": f"{upstream.url}/v1", "models": models, **never_out}
    return module_gateway.seed({"providers": [provider]}).start()


@pytest.fixture(autouse=True)
def _from_the_beginning(upstream: FaultUpstream) -> None:
    upstream.hits.clear()


async def test_a_repetition_gets_the_same_answer_and_costs_nothing(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    async with Caller(server) as caller:
        again = {"idempotency-key": "order-1"}
        first = await caller.ask("m", stream=False, headers={**again, "x-request-id": "first"})
        second = await caller.ask("m", stream=False, headers={**again, "x-request-id": "second"})
        other = await caller.ask("m", stream=False, headers={"idempotency-key": "order-2"})
        different = await caller.ask("m", stream=False, headers=again, temperature=0)
        streamed = await caller.ask("m", headers=again)

    assert first.is_clean(expected_text(8))
    assert (second.status, second.text) == (200, first.text)
    assert second.headers["idempotent-replayed"] == "true"
    assert second.headers["x-llm-proxy-provider"] == first.headers["x-llm-proxy-provider"] == "only"
    assert "idempotent-replayed" not in other.headers
    assert (different.status, different.errors[0]["code"]) == (422, "idempotency_mismatch")
    assert streamed.is_clean(expected_text(8)), "streams are not repeated"
    assert len(upstream.hits) == 3
    paid = {got.headers["x-request-id"] for got in (first, other, streamed)}
    rows = await asyncio.to_thread(ledger.rows_when, server, lambda rows: paid <= {row["request_id"] for row in rows})
    assert paid <= {row["request_id"] for row in rows}
    assert "second" not in {row["request_id"] for row in rows}


async def test_while_the_first_call_runs_a_repetition_is_told_to_wait(
    server: GatewayProcess, upstream: FaultUpstream
) -> None:
    async with Caller(server) as caller:
        again = {"idempotency-key": "order-3"}
        running = asyncio.create_task(caller.ask("slow", stream=False, headers=again))
        async with asyncio.timeout(20):
            while not upstream.hits:
                await asyncio.sleep(0.01)
        early = await caller.ask("slow", stream=False, headers=again)
        first = await running
        late = await caller.ask("slow", stream=False, headers=again)

    assert (early.status, early.errors[0]["code"]) == (409, "idempotency_in_flight")
    assert first.text == late.text == expected_text(8)
    assert len(upstream.hits) == 1


async def test_a_failure_that_may_mend_is_not_kept(server: GatewayProcess, upstream: FaultUpstream) -> None:
    async with Caller(server) as caller:
        again = {"idempotency-key": "order-4"}
        upstream.script.default = Behaviour(fault=Fault.STATUS, status=500)
        failed = await caller.ask("m", stream=False, headers=again)
        upstream.script.default = Behaviour()
        mended = await caller.ask("m", stream=False, headers=again)

    assert failed.status >= 500
    assert mended.is_clean(expected_text(8))
