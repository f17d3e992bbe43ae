"""Two attempts at once: who answers, who is dropped, and when there is only one after all."""

import asyncio
import time
from types import SimpleNamespace

import pytest

from monitoring.upstream_state import UpstreamStates
from providers.errors import ClientFault, RateLimited, ServerFailed
from routing.attempts import CandidateUnusable
from routing.failures import Failures
from routing.hedging import Hedging
from routing.plan import make_plan
from routing.retry import RetryBudget
from routing.route_query import DrawSource, RouteQuery
from routing.strategies import STRATEGIES
from routing.table import GatewayPolicy
from tests.unit.routing.pools import deployment, provider

AFTER_S = 0.01
SLOW, SPARE, THIRD = (deployment(id, of=provider(id, priority=id)) for id in (1, 2, 3))


class World:
    """Attempts that end when the test says so: `ends[deployment id]` takes a result or an error."""

    def __init__(self, *pool, waits_for_slot: bool = False) -> None:
        self.states = UpstreamStates(time.monotonic, lambda: 0.5)
        self.states.sync(pool)
        self.retries = RetryBudget()
        self.hedging = Hedging(self, self.states, self.retries)
        self.call = SimpleNamespace(attempts=[], table=SimpleNamespace(policy=GatewayPolicy()))
        self.failures = Failures()
        self.ends = {each.id: asyncio.get_running_loop().create_future() for each in pool}
        self.dropped: list[object] = []
        self.cancelled: list[int] = []
        self.waits_for_slot = waits_for_slot
        candidates = self.states.candidates(pool)
        self.plan = make_plan(
            RouteQuery(model="m"), candidates, STRATEGIES["priority"], DrawSource(lambda: 0.5).next("m")
        )

    async def make(self, call, wanted):
        if not self.waits_for_slot:
            call.attempts.append(SimpleNamespace(deployment=wanted, then=None))
        try:
            return await self.ends[wanted.id]
        except asyncio.CancelledError:
            self.cancelled.append(wanted.id)
            raise

    def abandon(self, call, won) -> None:
        self.dropped.append(won)

    def ask(self) -> "asyncio.Task[object]":
        make = self.hedging.maker(self.plan, AFTER_S, self.failures)
        return asyncio.create_task(make(self.call, self.plan.order[0]))

    async def until_tried(self, count: int) -> None:
        async with asyncio.timeout(2):
            while len(self.call.attempts) < count:
                await asyncio.sleep(0.001)

    @property
    def order(self) -> list[int]:
        return [attempt.deployment.id for attempt in self.call.attempts]


async def test_a_quick_one_stays_alone():
    world = World(SLOW, SPARE)
    asked = world.ask()
    world.ends[1].set_result("first")
    assert await asked == "first"
    assert (world.order, world.retries.tokens, world.hedging.budget.in_flight) == ([1], 3.0, 0)


async def test_the_second_answers_when_it_begins_first_and_the_slow_one_is_cancelled():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[2].set_result("second")
    assert await asked == "second"
    assert (world.order, world.cancelled, world.dropped) == ([1, 2], [1], [])
    assert world.call.attempts[0].then == "hedge"
    assert world.retries.tokens == 2.0, "a hedge is a retry"
    assert not world.failures.reasons


async def test_the_first_answers_after_all_and_is_the_last_of_the_record():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[1].set_result("first")
    assert await asked == "first"
    assert (world.order, world.cancelled) == ([2, 1], [2])


async def test_of_two_that_answer_at_once_one_is_given_back():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[1].set_result("first")
    world.ends[2].set_result("second")
    assert await asked == "first"
    assert world.dropped == ["second"]


@pytest.mark.parametrize("failing", [1, 2])
async def test_one_that_fails_leaves_it_to_the_other(failing):
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[failing].set_exception(ServerFailed("broken"))
    await asyncio.sleep(AFTER_S)
    assert not asked.done()
    world.ends[3 - failing].set_result("other")
    assert await asked == "other"
    assert world.order[-1] == 3 - failing


@pytest.mark.parametrize("sooner", [1, 2])
async def test_when_both_fail_the_walk_goes_on_behind_the_second(sooner):
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    errors = {1: ServerFailed("first"), 2: RateLimited("second")}
    world.ends[sooner].set_exception(errors[sooner])
    await asyncio.sleep(0)
    world.ends[3 - sooner].set_exception(errors[3 - sooner])
    with pytest.raises(RateLimited):
        await asked
    assert (world.order, world.failures.errors) == ([1, 2], [errors[1]])


async def test_the_clients_own_fault_is_not_waited_with():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[1].set_exception(ClientFault("bad request", status=400))
    with pytest.raises(ClientFault):
        await asked
    assert (world.order, world.cancelled, world.failures.errors) == ([2, 1], [2], [])


async def test_a_mistake_of_ours_is_not_hidden():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[2].set_exception(ZeroDivisionError())
    with pytest.raises(ZeroDivisionError):
        await asked
    assert world.cancelled == [1]


async def test_a_spare_that_turns_out_unusable_changes_nothing():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.call.attempts.pop()
    world.ends[2].set_exception(CandidateUnusable("saturated"))
    await asyncio.sleep(AFTER_S)
    error = ServerFailed("first")
    world.ends[1].set_exception(error)
    with pytest.raises(ServerFailed):
        await asked
    assert (world.order, world.failures.errors) == ([1], []), "the walk itself writes this failure down"


async def test_a_client_that_leaves_ends_both():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert sorted(world.cancelled) == [1, 2]
    assert world.hedging.budget.in_flight == 0


async def test_an_answer_that_comes_while_the_client_leaves_is_given_back():
    world = World(SLOW, SPARE)
    asked = world.ask()
    await world.until_tried(2)
    world.ends[2].set_result("second")
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    assert world.dropped == ["second"]
    assert world.cancelled == [1]


async def alone(world: World) -> bool:
    asked = world.ask()
    await asyncio.sleep(AFTER_S * 4)
    tried = len(world.call.attempts)
    world.ends[1].set_result("first")
    assert await asked == "first"
    return tried < 2


async def test_nobody_is_hedged_with_whom_something_speaks_against():
    world = World(SLOW, SPARE)
    world.states.hold_open(SPARE.id)
    assert await alone(world)
    assert await alone(World(SLOW))


async def test_a_full_spare_is_not_waited_for():
    full = deployment(2, of=provider(2, priority=2, max_concurrency=1))
    world = World(SLOW, full)
    assert world.states.slots(full.provider).try_acquire()
    assert await alone(world)


async def test_who_waits_for_a_slot_has_not_been_slow():
    world = World(SLOW, SPARE, waits_for_slot=True)
    assert await alone(world)


async def test_attempts_are_counted():
    world = World(SLOW, SPARE)
    world.call.table.policy = GatewayPolicy(max_attempts=1)
    assert await alone(world)


async def test_a_provider_that_may_be_tried_once_is_not_its_own_spare():
    once = provider(1, priority=1, max_retries=1)
    world = World(first := deployment(1, of=once), second := deployment(2, of=once))
    world.plan = world.plan._replace(order=(first, second))
    assert await alone(world)


async def test_a_panicked_candidate_is_no_spare():
    world = World(SLOW, SPARE)
    world.plan = world.plan._replace(panicked=1)
    assert await alone(world)


async def test_the_retry_budget_may_refuse():
    world = World(SLOW, SPARE)
    world.retries.tokens = 0.5
    assert await alone(world)


async def test_one_stream_in_fifty_is_doubled_at_most():
    worlds = [World(SLOW, SPARE) for _ in range(200)]
    for world in worlds[1:]:
        world.hedging.budget = worlds[0].hedging.budget
    doubled = 0
    for some in (worlds[:50], worlds[50:100], worlds[100:150], worlds[150:]):
        doubled += (await asyncio.gather(*map(alone, some))).count(False)
    assert 1 <= doubled <= 1 + 200 * 0.02
