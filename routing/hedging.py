"""A second attempt beside one that is slow to begin; whoever begins first answers. Off unless a policy says `hedge_after`.

Only streams are hedged, and only before their first event: an answer in one piece says nothing until it is complete, so
its silence means nothing. The second attempt is the next candidate's, taken early: the walk goes on behind it when both
fail. It is made when nothing speaks against that candidate, a slot is free there, and two budgets have a token left: that
of retries, and one of its own that lets one stream in fifty be doubled. The loser is cancelled at once, judged by nobody,
and booked like every attempt that did not answer.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import TypeAlias

from monitoring.upstream_state import UpstreamStates
from providers.errors import UpstreamError
from providers.specs import DeploymentSpec
from routing.attempts import Attempts, CandidateUnusable, Won
from routing.call import Call
from routing.failures import Failures
from routing.plan import RoutePlan
from routing.retry import RetryBudget

SHARE = 0.02
"""Of the streams that may be hedged, so many are at most, in the long run."""
HEDGED = "hedge"
"""The word in the record for what followed an attempt."""

Task: TypeAlias = "asyncio.Task[Won]"
Make: TypeAlias = Callable[[Call, DeploymentSpec], Awaitable[Won]]


class Hedging:
    """One per worker. `retries` is the walk's own budget."""

    def __init__(self, attempts: Attempts, states: UpstreamStates, retries: RetryBudget) -> None:
        self._attempts = attempts
        self._states = states
        self._retries = retries
        self.budget = RetryBudget(ratio=SHARE, floor=1.0)

    def maker(self, plan: RoutePlan, after_s: float, failures: Failures) -> Make:
        """In place of `Attempts.make`. What it raises is always about the last of `call.attempts`, which is at the next
        candidate when both failed; the other's failure is in `failures` then."""
        return partial(self._make, plan, after_s, failures)

    async def _make(
        self, plan: RoutePlan, after_s: float, failures: Failures, call: Call, deployment: DeploymentSpec
    ) -> Won:
        begun = len(call.attempts)
        tasks = [asyncio.create_task(self._attempts.make(call, deployment))]
        self.budget.request_started()
        try:
            await asyncio.wait(tasks, timeout=after_s)
            # Who still waits for a slot has not been slow yet.
            if not tasks[0].done() and len(call.attempts) > begun:
                spare = self._spare(call, plan, deployment)
                if spare is not None:
                    call.attempts[begun].then = HEDGED
                    tasks.append(asyncio.create_task(self._attempts.make(call, spare)))
            winner = await _winner(tasks)
            if len(tasks) > 1:
                self._settle_order(call, begun, tasks[0], winner, failures)
                await self._drop(call, [task for task in tasks if task is not winner])
            return winner.result()
        except BaseException:
            await self._drop(call, tasks)
            raise
        finally:
            self.budget.request_ended()

    @staticmethod
    def _settle_order(call: Call, begun: int, first: Task, winner: Task, failures: Failures) -> None:
        """The decisive attempt is the last of the call's, as it is without hedging."""
        if winner is first:
            call.attempts.append(call.attempts.pop(begun))
        elif first.done() and isinstance(error := first.exception(), UpstreamError):
            failures.failed(call.attempts[begun].deployment.name, error)

    def _spare(self, call: Call, plan: RoutePlan, slow: DeploymentSpec) -> DeploymentSpec | None:
        position = plan.order.index(slow) + 1
        if not plan.is_sound(position) or len(call.attempts) >= call.table.policy.max_attempts:
            return None
        spare = plan.order[position]
        tried = [attempt.deployment.provider.id for attempt in call.attempts].count(spare.provider.id)
        if tried >= spare.provider.most_attempts:
            return None
        slots, now = self._states.slots(spare.provider), time.monotonic()
        if self._states.bar(spare)[0] is not None or slots.in_use >= slots.limit:
            return None
        return spare if self.budget.spend(now) and self._retries.spend(now) else None

    async def _drop(self, call: Call, tasks: list[Task]) -> None:
        """Ends them; what they hold is given back even if this is interrupted."""
        for task in tasks:
            task.cancel()
            task.add_done_callback(partial(self._give_back, call))
        if tasks:
            await asyncio.wait(tasks)

    def _give_back(self, call: Call, task: Task) -> None:
        if not task.cancelled() and task.exception() is None:
            self._attempts.abandon(call, task.result())


async def _winner(tasks: list[Task]) -> Task:
    """The one that decides: whose answer begins first, or else whose error the walk goes on with."""
    first, *others = tasks
    running = set(tasks)
    while running:
        _, running = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        if first.done() and not _leaves_it_to_others(first):
            return first
        for task in others:
            if task.done() and not isinstance(task.exception(), UpstreamError | CandidateUnusable):
                return task
    return next((task for task in others if isinstance(task.exception(), UpstreamError)), first)


def _leaves_it_to_others(task: Task) -> bool:
    error = task.exception()
    return isinstance(error, UpstreamError) and error.fails_over
