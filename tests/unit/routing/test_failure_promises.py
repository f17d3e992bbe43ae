"""Plan, retry policy, budget and breakers together, under simulated time: the numbers an outage is judged by."""

import heapq
from collections import Counter
from collections.abc import Generator
from random import Random

import pytest

from monitoring.upstream_state import UpstreamStates
from providers.errors import ConnectFailed, Overloaded, RateLimited, ServerFailed, UpstreamError, UpstreamTimeout
from providers.specs import DeploymentSpec
from routing.plan import make_plan
from routing.retry import Failure, RetryBudget, Then, what_follows
from routing.route_query import DrawSource, RouteQuery
from routing.strategies import STRATEGIES
from tests.unit.routing.pools import deployment

REQUESTS = 2000
CONCURRENCY = 50

FAULTS: dict[str, tuple[UpstreamError, float]] = {
    "reset": (ConnectFailed("reset"), 0.001),
    "hang": (UpstreamTimeout("hang", phase="first_token"), 2.0),
    "5xx": (ServerFailed("500"), 0.02),
    "503": (Overloaded("503"), 0.02),
    "429": (RateLimited("429"), 0.02),
    "429 with a time": (RateLimited("429", retry_after_s=20), 0.02),
}


class World:
    """Clients that each send their next request as soon as the last is answered. A request yields the seconds it waits."""

    def __init__(self, pool: list[DeploymentSpec], sick: dict[int, tuple[UpstreamError, float]], strategy: str) -> None:
        self.now = 0.0
        self.random = Random(42)
        self.states = UpstreamStates(lambda: self.now, self.random.random)
        self.budget = RetryBudget()
        self.pool, self.sick, self.strategy = pool, sick, STRATEGIES[strategy]
        self.draws = DrawSource(self.random.random)
        self.hits: Counter[int] = Counter()
        self.asked_until: dict[int, float] = {}
        self.early = self.trials = self.good = self.bad = 0

    def run(self) -> None:
        queue: list[tuple[float, int, Generator[float, None, bool]]] = []
        for number in range(CONCURRENCY):
            heapq.heappush(queue, (0.0, number, self.request()))
        begun = CONCURRENCY
        while queue:
            self.now, number, request = heapq.heappop(queue)
            try:
                heapq.heappush(queue, (self.now + next(request), number, request))
            except StopIteration as answer:
                self.good += bool(answer.value)
                self.bad += not answer.value
                if begun < REQUESTS:
                    begun += 1
                    heapq.heappush(queue, (self.now + 0.001, begun, self.request()))

    def request(self) -> Generator[float, None, bool]:
        self.budget.request_started()
        try:
            return (yield from self.walk())
        finally:
            self.budget.request_ended()

    def walk(self) -> Generator[float, None, bool]:
        plan = make_plan(RouteQuery(model="m"), self.states.candidates(self.pool), self.strategy, self.draws.next("m"))
        position = attempts = same_again = 0
        while position < len(plan.order):
            target = plan.order[position]
            bar, yields = self.states.bar(target)
            if not same_again and plan.skips(position, bar, yields=yields):
                position += 1
                continue
            error = yield from self.attempt(target)
            if error is None:
                return True
            attempts += 1
            step = what_follows(
                Failure(
                    error=error,
                    attempts=attempts,
                    max_attempts=3,
                    has_next=position + 1 < len(plan.order),
                    next_is_sound=plan.is_sound(position + 1),
                    left_s=60,
                    same_again=same_again,
                ),
                draw=self.random.random(),
            )
            if step.then is Then.STOP or not self.budget.allows(step, self.now):
                return False
            if step.then is Then.NEXT:
                position += 1
                same_again = 0
            else:
                same_again += 1
                yield step.wait_s
        return False

    def attempt(self, target: DeploymentSpec) -> Generator[float, None, UpstreamError | None]:
        self.hits[target.id] += 1
        flight = self.states.on_start(target, self.states.pick_credential(target.provider))
        self.trials += flight.permit < 0
        self.early += self.now < self.asked_until.get(target.id, 0.0)
        if target.id not in self.sick:
            yield 0.2 + 0.2 * self.random.random()
            self.states.on_success(flight)
            return None
        error, seconds = self.sick[target.id]
        yield seconds
        self.states.on_failure(flight, error)
        if error.retry_after_s is not None:
            self.asked_until[target.id] = max(self.asked_until.get(target.id, 0), self.now + error.retry_after_s)
        return error


@pytest.mark.parametrize("strategy", ["priority", "round_robin", "latency", "balanced"])
@pytest.mark.parametrize("fault", FAULTS)
def test_with_one_of_two_healthy_clients_see_clean_answers(fault, strategy):
    world = World([deployment(1), deployment(2)], {1: FAULTS[fault]}, strategy)
    world.run()
    assert world.good + world.bad == REQUESTS
    assert world.bad <= 0.001 * REQUESTS
    assert world.hits[1] < 0.1 * REQUESTS, "the sick one is out of rotation"


@pytest.mark.parametrize("fault", ["reset", "hang", "5xx", "503"])
def test_a_total_outage_is_amplified_by_a_tenth_at_most(fault):
    world = World([deployment(1), deployment(2)], {1: FAULTS[fault], 2: FAULTS[fault]}, "priority")
    world.run()
    assert world.bad == REQUESTS
    assert world.hits.total() <= 1.1 * REQUESTS + world.trials + world.budget.floor


def test_the_only_candidate_is_never_blocked_by_its_breaker():
    world = World([deployment(1)], {1: FAULTS["5xx"]}, "priority")
    world.run()
    assert REQUESTS <= world.hits.total() <= 1.1 * REQUESTS + world.trials + world.budget.floor
    world.sick.clear()
    assert next(iter(world.states.candidates([deployment(1)]))).bar == "breaker_open"
    world.bad = world.good = 0
    world.run()
    assert world.good == REQUESTS


def test_nobody_calls_earlier_than_asked():
    """But for calls that were running when the upstream asked, and they began before."""
    world = World([deployment(1), deployment(2)], {1: FAULTS["429 with a time"]}, "round_robin")
    world.run()
    assert world.early == 0
