"""Why a request went where it went: kept raw in a bounded ring, rendered only when somebody reads it.

A record holds the plans a request was given (one per alias it fell back to), each of which is a function of its own
recorded inputs, and the attempts made.
"""

from collections import deque
from collections.abc import Iterator
from typing import TYPE_CHECKING

from monitoring.deployment_state import Candidate
from providers.types import JsonObject
from routing.plan import RoutePlan

if TYPE_CHECKING:
    from routing.call import Attempt


class Decision:
    """The record of one request; the gateway appends to it while the request runs."""

    __slots__ = ("attempts", "condensed", "model", "plans", "request_id", "revision", "started_at", "tenant")

    def __init__(self, request_id: str, model: str, revision: int, started_at: float = 0.0, tenant: str = "") -> None:
        self.request_id = request_id
        self.model = model
        self.revision = revision
        self.started_at = started_at
        """Seconds since 1970."""
        self.tenant = tenant
        """Whose request it was: nobody else's key may read it."""
        self.plans: list[RoutePlan] = []
        self.attempts: list[Attempt] = []
        self.condensed: JsonObject | None = None
        """What was done to a conversation that was too long: tokens before and after, and the steps."""

    def render(self) -> JsonObject:
        """The JSON of `GET /requests/{id}` and `GET /routes/explain`: the last plan, earlier ones under `before`. `model` is
        the name that was asked for, `route` the one that a plan was made for: another one after a fallback."""
        rendered = [render_plan(plan) for plan in self.plans]
        last = rendered[-1] if rendered else {"strategy": None, "candidates": [], "order": []}
        return {
            "request_id": self.request_id,
            "revision": self.revision,
            **last,
            "model": self.model,
            "attempts": [render_attempt(attempt) for attempt in self.attempts],
            "condensed": self.condensed,
            "before": rendered[:-1],
        }


def render_plan(plan: RoutePlan) -> JsonObject:
    query, draws = plan.query, plan.draws
    terms = _terms(plan)
    return {
        "model": query.model,
        "route": query.model,
        "strategy": plan.strategy.name,
        "candidates": [
            _render_candidate(candidate, reason, terms.get(candidate.deployment.id, {}))
            for candidate, reason in zip(plan.candidates, plan.reasons, strict=True)
        ],
        "order": [deployment.name for deployment in plan.order],
        "panicked": [deployment.name for deployment in plan.order[len(plan.order) - plan.panicked :]],
        "query": {
            "operation": query.operation.value,
            "needs": sorted(query.needs),
            "input_tokens": query.input_tokens,
            "max_output_tokens": query.max_output_tokens,
            "tags": sorted(query.tags),
            "sticky": query.sticky is not None,
        },
        "draws": draws._asdict(),
    }


def render_attempt(attempt: "Attempt") -> JsonObject:
    first = attempt.first_token_s
    return {
        "provider": attempt.deployment.provider.name,
        "deployment": attempt.deployment.name,
        "outcome": attempt.outcome,
        "status": attempt.status,
        "started": attempt.started_at,
        "duration": attempt.duration_s,
        "time_to_first_token": None if first is None else first - attempt.started_at,
        "credential": attempt.credential.name,
        "then": attempt.then,
        "message": attempt.message or None,
    }


BUSY_S = 10.0
RUSH_S = 0.1


class DecisionRing:
    """The newest decisions: at most `size`, no more than `busy_size` of the last `BUSY_S` seconds, and no more than
    `rush_size` of the last `RUSH_S`. Whoever asks for one looks through all: that is seldom, and a place by request id
    would cost each call more than all else here.

    So it is short at more than 20 calls a second, and very short at more than 200: under load a long ring is no use, as it
    turns over in a second, and it is dear. What is kept for long scatters the memory of all that is made between.
    """

    __slots__ = ("_decisions", "busy_size", "rush_size", "size")

    def __init__(self, size: int = 2000, busy_size: int = 200, rush_size: int = 20) -> None:
        self.size = size
        self.busy_size = min(busy_size, size)
        self.rush_size = min(rush_size, self.busy_size)
        self._decisions: deque[Decision] = deque()

    def add(self, decision: Decision) -> None:
        decisions = self._decisions
        decisions.append(decision)
        if len(decisions) > self.rush_size:
            # Two at most, so that a ring that was filled slowly shrinks when it turns busy, and not all at once.
            self._shrink(decision.started_at)
            self._shrink(decision.started_at)

    def _shrink(self, now: float) -> None:
        decisions = self._decisions
        age_s = now - decisions[0].started_at
        most = self.rush_size if age_s <= RUSH_S else self.busy_size if age_s <= BUSY_S else self.size
        if len(decisions) > most:
            decisions.popleft()

    def get(self, request_id: str, tenant: str | None = None) -> Decision | None:
        """The newest with this id, which clients choose: of this tenant, or of any when none is named."""
        for decision in self:
            if decision.request_id == request_id and tenant in (None, decision.tenant):
                return decision
        return None

    def __len__(self) -> int:
        return len(self._decisions)

    def __iter__(self) -> Iterator[Decision]:
        """Newest first."""
        return iter(tuple(reversed(self._decisions)))


def _terms(plan: RoutePlan) -> dict[int, dict[str, float | int | None]]:
    """By deployment id: the strategy's terms for those it compared."""
    eligible = [each for each, reason in zip(plan.candidates, plan.reasons, strict=True) if reason is None]
    if not eligible:
        return {}
    terms = plan.strategy.terms(plan.query, eligible, plan.draws)
    return {each.deployment.id: term for each, term in zip(eligible, terms, strict=True)}


def _render_candidate(candidate: Candidate, reason: str | None, terms: dict[str, float | int | None]) -> JsonObject:
    shown = {name: _finite(value) for name, value in terms.items()}
    return {
        "deployment": candidate.deployment.name,
        "provider": candidate.deployment.provider.name,
        "excluded": reason,
        "score": shown.pop("score", None),
        "terms": shown,
        "state": {
            "bar": candidate.bar,
            "outstanding": candidate.outstanding,
            "time_to_first_token": candidate.ttft_s,
            "error_rate": candidate.error_rate,
            "ramp": candidate.ramp,
        },
    }


def _finite(value: float | int | None) -> float | int | None:
    """JSON has no infinity: an infinitely bad score is shown as none."""
    return None if value is None or value in (float("inf"), float("-inf")) else value
