"""From a route to an answer: plan, attempt, and what follows from each failure, over the route and its fallbacks."""

import asyncio
import random
import time
from collections.abc import Mapping
from types import MappingProxyType

from accounts.header_lines import HeaderLines
from monitoring.upstream_state import UpstreamStates
from providers.errors import ConnectFailed, ContextOverflow, UpstreamError
from providers.specs import DeploymentSpec, ProviderSpec
from providers.values import quick_tuple
from routing.attempts import Attempts, CandidateUnusable, Won
from routing.call import Call
from routing.errors import ClientFacing
from routing.estimation import CHAT, likely_context, needs
from routing.failures import Failures, failure_headers, forget_frames
from routing.hedging import Hedging, Make
from routing.plan import RoutePlan, could_have_served, make_plan
from routing.retry import Failure, RetryBudget, Step, Then, what_follows
from routing.route_query import Draws, DrawSource, RouteQuery
from routing.table import Route
from routing.unsuited import unsuited

FALLBACK_DEPTH = 8
NO_CHANCE = Draws()
"""For a route with one deployment."""
NO_FAILURES: Mapping[int, int] = MappingProxyType({})
"""Most calls have none."""


class AllFailed(Exception):
    """No candidate answered. `verdict` and `headers` are for the client, `errors` are the upstreams' own."""

    def __init__(self, verdict: ClientFacing, errors: list[UpstreamError], headers: HeaderLines) -> None:
        super().__init__(str(verdict))
        self.verdict = verdict
        self.errors = errors
        self.headers = headers


class Walk:
    def __init__(self, *, attempts: Attempts, states: UpstreamStates) -> None:
        self._attempts = attempts
        self._states = states
        self._draws = DrawSource(random.random)
        self.retry_budget = RetryBudget()
        self.hedging = Hedging(attempts, states, self.retry_budget)

    async def find(self, call: Call) -> Won:
        """The attempt that answers. Raises `AllFailed`."""
        route = call.route
        plan = self._plan(call, route)
        failure: CandidateUnusable | UpstreamError | None = None
        self.retry_budget.request_started()
        try:
            if plan.order and not (route.hedge_after_s and call.request.stream):
                try:
                    # Nearly every call ends here, so that what only others need is made behind it.
                    return await self._attempts.make(call, plan.order[0])
                except (CandidateUnusable, UpstreamError) as raised:
                    failure = raised
            return await self._walk_on(call, plan, failure)
        finally:
            self.retry_budget.request_ended()

    async def _walk_on(self, call: Call, plan: RoutePlan, failure: CandidateUnusable | UpstreamError | None) -> Won:
        """From the first plan of the call's own route on. `failure` is that of its first candidate, where it was tried."""
        failures = Failures()
        route: Route | None = call.route
        others: _Fallbacks | None = None
        while route is not None:
            self._note_skipped(plan, failures)
            leg = _Leg(self, call, plan, failures)
            if route.hedge_after_s and call.request.stream:
                leg.make = self.hedging.maker(plan, route.hedge_after_s, failures)
            won = await leg.run(failure)
            if won is not None:
                return won
            others = others or _Fallbacks(call)
            if _overflowed(plan, failures) and others.prefer(route.context_fallbacks):
                failures.final = None
                if call.attempts and call.attempts[-1].then == Then.CONDENSE:
                    call.attempts[-1].then = Then.NEXT
            if failures.final is not None:
                break
            failure, route = None, others.next()
            if route is not None:
                plan = self._plan(call, route)
        plans = call.decision.plans
        verdict = unsuited(plans) or failures.verdict()
        rest_s = self._states.rest_s(could_have_served(plans))
        raise AllFailed(verdict, failures.errors, failure_headers(verdict, failures.errors, rest_s))

    def _plan(self, call: Call, route: Route) -> RoutePlan:
        """Noted in the record of the call's decision."""
        request = call.request
        likely_input, _, output, _ = call.estimate
        if request.operation is not CHAT:
            likely_input = likely_context(request, likely_input)
        sticky = _sticky_key(call) if route.sticky else None
        deployments = route.deployments
        query = quick_tuple(
            RouteQuery,
            (route.name, request.operation, needs(request), likely_input, output, call.options.tags, sticky),
        )
        plan = make_plan(
            query,
            self._states.candidates(deployments, stream=request.stream),
            route.plan_strategy,
            self._draws.next(route.name) if len(deployments) > 1 else NO_CHANCE,
        )
        call.decision.plans.append(plan)
        return plan

    def _note_skipped(self, plan: RoutePlan, failures: Failures) -> None:
        if None not in plan.reasons or plan.panicked:
            for candidate, reason in zip(plan.candidates, plan.reasons, strict=True):
                if reason is not None:
                    deployment = candidate.deployment
                    failures.skipped(deployment.name, self._states.told(deployment, reason))


class _Leg:
    """One plan walked to its end."""

    def __init__(self, walk: Walk, call: Call, plan: RoutePlan, failures: Failures) -> None:
        self.make: Make = walk._attempts.make
        self._states = walk._states
        self._budget = walk.retry_budget
        self._call = call
        self._plan = plan
        self._failures = failures
        self._position = self._made = 0
        self._failed_at = NO_FAILURES
        """By provider."""
        self._begin()

    async def run(self, failure: CandidateUnusable | UpstreamError | None) -> Won | None:
        """None when this plan is exhausted; `failures.final` is set when no other may be tried either. The first candidate
        may have been tried already, with that `failure`."""
        order = self._plan.order
        fresh = True
        while self._position < len(order):
            deployment = order[self._position]
            # Nothing can have come up against the first one: the plan was made in this very turn of the event loop.
            if not fresh and not self._same and self._lost(deployment):
                self._advance()
                continue
            fresh = False
            try:
                self._made += 1
                if failure is not None:
                    raised, failure = failure, None
                    raise raised
                return await self.make(self._call, deployment)
            except CandidateUnusable as unusable:
                forget_frames(unusable)
                self._made -= 1
                self._failures.skipped(deployment.name, self._states.told(deployment, unusable.reason))
                self._advance()
            except UpstreamError as error:
                if (last := self._call.attempts[-1].deployment) is not deployment:
                    # A hedge took the next place early, and failed as well.
                    self._count(deployment.provider, 1)
                    deployment, self._made = last, self._made + 1
                    self._position = order.index(last)
                    self._begin()
                self._count(deployment.provider, 1)
                self._failures.failed(deployment.name, error)
                if not await self._go_on(deployment, error):
                    return None
        return None

    async def _go_on(self, deployment: DeploymentSpec, error: UpstreamError) -> bool:
        """Prepares the next attempt; False when this plan is over."""
        step = self._decide(deployment, error)
        allowed = self._budget.allows(step, time.monotonic())
        self._call.attempts[-1].then = step.then if allowed else Then.STOP
        if not allowed:
            return False
        if step.then is Then.NEXT:
            self._advance()
            return True
        if step.then is Then.SAME:
            self._same = True
            if step.wait_s:
                self._same_again += 1
                await asyncio.sleep(step.wait_s)
            elif isinstance(error, ConnectFailed):
                self._stale_retried = True
                self._made -= 1
                self._count(deployment.provider, -1)
            return True
        if step.then is Then.CONDENSE or not error.fails_over:
            self._failures.final = error
        return False

    def _decide(self, deployment: DeploymentSpec, error: UpstreamError) -> Step:
        following = self._following()
        failure = Failure(
            error=error,
            attempts=self._made,
            max_attempts=self._call.table.policy.max_attempts,
            has_next=following < len(self._plan.order),
            left_s=self._call.deadline - time.monotonic(),
            base_s=deployment.provider.retry_delay_s,
            next_is_sound=self._plan.is_sound(following),
            other_credential=self._has_other_credential(deployment),
            same_again=self._same_again,
            provider_spent=self._is_spent(deployment.provider),
            stale_retried=self._stale_retried,
        )
        return what_follows(failure, draw=random.random())

    def _has_other_credential(self, deployment: DeploymentSpec) -> bool:
        credentials = self._states.provider(deployment.provider).credentials
        return credentials.has_other(self._call.attempts[-1].credential.id, time.monotonic())

    def _lost(self, deployment: DeploymentSpec) -> bool:
        """Whether something came up against this candidate since the plan was made, such as another call's trial."""
        bar, yields = self._states.bar(deployment)
        if bar is None or not self._plan.skips(self._position, bar, yields=yields):
            return False
        self._failures.skipped(deployment.name, self._states.told(deployment, bar))
        return True

    def _count(self, provider: ProviderSpec, failed: int) -> None:
        self._failed_at = {**self._failed_at, provider.id: self._failed_at.get(provider.id, 0) + failed}

    def _is_spent(self, provider: ProviderSpec) -> bool:
        return self._failed_at.get(provider.id, 0) >= provider.most_attempts

    def _following(self) -> int:
        """The next place in the plan whose provider may be tried again."""
        position = self._position + 1
        while position < len(self._plan.order) and self._is_spent(self._plan.order[position].provider):
            position += 1
        return position

    def _advance(self) -> None:
        self._position = self._following()
        self._begin()

    def _begin(self) -> None:
        self._same = False
        self._same_again = 0
        self._stale_retried = False


class _Fallbacks:
    """The fallbacks of the call's route in order, then theirs, each once, as far as the key may use them."""

    def __init__(self, call: Call) -> None:
        self._call = call
        self._seen = {call.route.name}
        self._waiting = list(call.route.fallbacks)

    def next(self) -> Route | None:
        while self._waiting and len(self._seen) < FALLBACK_DEPTH:
            route = self._usable(self._waiting.pop(0))
            if route is not None:
                self._seen.add(route.name)
                self._waiting.extend(route.fallbacks)
                return route
        return None

    def prefer(self, names: tuple[str, ...]) -> bool:
        """These come next; False when none of them can be used."""
        usable = [name for name in names if self._usable(name) is not None]
        self._waiting = [*usable, *self._waiting]
        return bool(usable)

    def _usable(self, name: str) -> Route | None:
        if name in self._seen or not self._call.principal.allows_model(name):
            return None
        return self._call.table.route(name)


def _overflowed(plan: RoutePlan, failures: Failures) -> bool:
    """Whether the conversation is too long for this route: by our estimate, or by the upstream's own word."""
    return isinstance(failures.final, ContextOverflow) or (not plan.order and "context_window" in plan.reasons)


def _sticky_key(call: Call) -> str:
    body = call.request.body
    user = body.get("safety_identifier") or body.get("user")
    return f"{call.principal.tenant}/{user}" if user else call.principal.public_id
