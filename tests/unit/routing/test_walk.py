"""How far a call walks: so many attempts as both the gateway and the provider allow, and what is noted of the last."""

import time
from dataclasses import replace
from types import MappingProxyType, SimpleNamespace

import pytest

from monitoring.credential_state import ANONYMOUS
from monitoring.upstream_state import UpstreamStates
from providers.errors import ContextOverflow, ServerFailed, UpstreamError
from providers.types import ClientRequest, Operation
from routing.call import Call, CallOptions
from routing.decisions import Decision
from routing.estimation import Estimate
from routing.strategies import STRATEGIES
from routing.table import AliasSpec, GatewayPolicy, Route, RoutingTable, build_table
from routing.walk import AllFailed, Walk
from tests.unit.routing.pools import deployment, provider


class Broken:
    """Stands for `Attempts`: each one fails."""

    def __init__(self, error: type[UpstreamError] = ServerFailed) -> None:
        self._error = error

    async def make(self, call, wanted):
        call.attempts.append(SimpleNamespace(deployment=wanted, credential=ANONYMOUS, then=None))
        raise self._error("broken")


def call_for(pool, *, wider=None, **policy) -> Call:
    """`wider` is the pool of the route for conversations that are too long for this one."""
    routes = {} if wider is None else {"wide": Route(name="wide", deployments=tuple(wider))}
    table = RoutingTable(
        revision=1, routes=MappingProxyType(routes), providers=MappingProxyType({}), policy=GatewayPolicy(**policy)
    )
    now = time.monotonic()
    return Call(
        request=ClientRequest(operation=Operation.CHAT, model="m", body={"messages": []}),
        request_id="req_1",
        principal=SimpleNamespace(tenant="t", allows_model=lambda name: True),
        admission=None,
        table=table,
        route=Route(name="m", deployments=tuple(pool), context_fallbacks=tuple(routes)),
        options=CallOptions("chat/completions"),
        estimate=Estimate(1, 1, None, 1),
        sink=None,
        started_at=now,
        deadline=now + 60,
        written_at=now,
        decision=Decision("req_1", "m", 1),
    )


async def walked(call: Call, *, tokens: float = 3.0, error: type[UpstreamError] = ServerFailed) -> list[str]:
    """What followed each attempt."""
    states = UpstreamStates(time.monotonic, lambda: 0.5)
    walk = Walk(attempts=Broken(error), states=states)
    walk.retry_budget.tokens = walk.retry_budget.floor = tokens
    with pytest.raises(AllFailed):
        await walk.find(call)
    return [str(attempt.then) for attempt in call.attempts]


@pytest.mark.parametrize("of_the_provider", [0, 1, 5])
@pytest.mark.parametrize("of_the_gateway", [1, 2, 5])
async def test_the_gateways_number_holds_for_all_providers_together(of_the_gateway: int, of_the_provider: int) -> None:
    """That one is not to be tried again does not keep a call from the others."""
    pool = [deployment(id, of=provider(id, max_retries=of_the_provider)) for id in range(1, 7)]
    assert await walked(call_for(pool, max_attempts=of_the_gateway)) == ["next"] * (of_the_gateway - 1) + ["stop"]


@pytest.mark.parametrize(("of_the_provider", "made"), [(0, 1), (1, 1), (2, 2), (9, 4)])
async def test_a_providers_number_holds_for_its_deployments_together(of_the_provider: int, made: int) -> None:
    one, other = provider(1, priority=1, max_retries=of_the_provider), provider(2, priority=2, max_retries=1)
    call = call_for([*(deployment(id, of=one) for id in (1, 2, 3, 4)), deployment(5, of=other)], max_attempts=20)
    call.route = replace(call.route, plan_strategy=STRATEGIES["priority"])
    await walked(call)
    assert sorted(attempt.deployment.provider.id for attempt in call.attempts) == [1] * made + [2]


async def test_a_provider_alone_is_tried_as_often_as_it_may() -> None:
    call = call_for([deployment(1, of=provider(1, max_retries=2, retry_delay_s=0))], max_attempts=20)
    assert await walked(call) == ["same", "stop"]


async def test_a_retry_that_the_budget_refuses_did_not_follow() -> None:
    lonely = [deployment(1, of=provider(1, max_retries=3))]
    assert await walked(call_for(lonely), tokens=0.0) == ["stop"]


async def test_what_follows_an_overflow_is_the_wider_route_and_after_that_whatever_condensing_does() -> None:
    call = call_for([deployment(1)], wider=[deployment(2)])
    assert await walked(call, error=ContextOverflow) == ["next", "condense"]


@pytest.mark.parametrize("name", ["a", "b", "own"])
async def test_aliases_that_lead_to_each_other_end_at_once_and_say_that_they_lead_nowhere(name: str) -> None:
    """No door saves such any more; rows of before, and whose models have gone since, are still there."""
    leads = {"a": "b", "b": "a", "own": "own"}
    aliases = [AliasSpec(name=each, targets=(to,), fallbacks=("a", "b", "own")) for each, to in leads.items()]
    call = call_for([])
    call.table = build_table(revision=1, deployments=(), aliases=aliases)
    call.route = call.table.routes[name]
    with pytest.raises(AllFailed) as caught:
        await Walk(attempts=Broken(), states=UpstreamStates(time.monotonic, lambda: 0.5)).find(call)
    assert "this name leads to no model that is served" in caught.value.verdict.message
    assert len(call.decision.plans) == 3, "each name once"
