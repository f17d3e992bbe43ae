"""Who may serve a request, and in which order: pure, and a function of its arguments alone.

First what the request asks for (capabilities, context window, tags), then the live state of the
candidates, then the strategy. At most half of a pool is ejected for reasons of health (`Candidate.yields`): beyond that
all of it is admitted, the ejected ones behind the others, so that the only candidate is never blocked, and a mistaken
verdict about everybody is survived. What is not known about a deployment (None, an empty set) excludes nothing.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from monitoring.deployment_state import Candidate
from providers.specs import DeploymentSpec
from providers.values import quick_tuple
from routing.route_query import Draws, RouteQuery
from routing.sticky import sticky_order
from routing.strategies.base import Strategy


class RoutePlan(NamedTuple):
    """The order of attempts together with everything it was made from, so a plan is its own record.

    `reasons` runs parallel to `candidates`: why each was excluded, or None. The last `panicked` of `order` have a bar
    that gave way: an attempt at one of them is made against better knowledge and is charged to the retry budget.
    """

    query: RouteQuery
    candidates: tuple[Candidate, ...]
    strategy: Strategy
    draws: Draws
    reasons: tuple[str | None, ...]
    order: tuple[DeploymentSpec, ...]
    panicked: int = 0

    def is_sound(self, position: int) -> bool:
        """Whether nothing spoke against the deployment at this position of `order` when the plan was made."""
        return position < len(self.order) - self.panicked

    def skips(self, position: int, bar: str | None, *, yields: bool) -> bool:
        """Whether to pass over this position because of a bar that came up since the plan was made, such as another
        request's running trial. A bar that yields does not stand in the way of the last candidate."""
        return bar is not None and self.is_sound(position) and (not yields or position + 1 < len(self.order))


def make_plan(query: RouteQuery, candidates: Sequence[Candidate], strategy: Strategy, draws: Draws) -> RoutePlan:
    """`candidates` in their configured order, which breaks ties. An empty order means that nobody may serve this."""
    candidates = tuple(candidates)
    tokens = query.input_tokens + (query.max_output_tokens or 0)
    if query.needs or query.tags or not _all_may_serve(candidates, tokens, draws.ramp):
        return _careful_plan(query, candidates, strategy, draws)
    order = candidates if len(candidates) < 2 else _arranged(query, candidates, strategy, draws)
    found = tuple([candidate[0] for candidate in order])
    return quick_tuple(RoutePlan, (query, candidates, strategy, draws, (None,) * len(candidates), found, 0))


def _all_may_serve(candidates: Sequence[Candidate], tokens: int, ramp: float) -> bool:
    """Whether nothing speaks against anybody, as on nearly every request: then most of what a plan costs is saved."""
    for deployment, bar, _, _, _, _, share in candidates:
        if bar is not None or share <= ramp:
            return False
        window = deployment.context_window
        if window is not None and tokens > window:
            return False
    return True


def _careful_plan(query: RouteQuery, candidates: tuple[Candidate, ...], strategy: Strategy, draws: Draws) -> RoutePlan:
    sound: list[Candidate] = []
    ramping: list[Candidate] = []
    yielding: list[Candidate] = []
    reasons: list[str | None] = []
    for candidate in candidates:
        if reason := unfit(query, candidate.deployment):
            reasons.append(reason)
            continue
        reasons.append(candidate.bar)
        if candidate.bar is None:
            (sound if candidate.ramp > draws.ramp else ramping).append(candidate)
        elif candidate.yields:
            yielding.append(candidate)
    if len(sound) > 1:
        sound = _arranged(query, sound, strategy, draws)
    panicked = 0
    if ramping or yielding:
        panicked = _add_the_others(query, strategy, draws, sound, ramping, yielding)
        if panicked:
            reasons = [None if each in yielding else reason for each, reason in zip(candidates, reasons, strict=True)]
    order = tuple([candidate.deployment for candidate in sound])
    return RoutePlan(query, candidates, strategy, draws, tuple(reasons), order, panicked)


def could_have_served(plans: Iterable[RoutePlan]) -> list[DeploymentSpec]:
    """Everybody in these plans whom the request suited, whatever kept them out."""
    return [
        candidate.deployment
        for plan in plans
        for candidate in plan.candidates
        if unfit(plan.query, candidate.deployment) is None
    ]


def unfit(query: RouteQuery, deployment: DeploymentSpec) -> str | None:
    """Why a deployment cannot serve this request whatever its state."""
    if query.tags and not query.tags <= deployment.tags | deployment.provider.tags:
        return "tags"
    if query.needs and deployment.capabilities and not query.needs <= deployment.capabilities:
        return f"missing_capability:{min(query.needs - deployment.capabilities)}"
    if deployment.context_window is not None and _tokens(query, deployment) > deployment.context_window:
        return "context_window"
    return None


def _tokens(query: RouteQuery, deployment: DeploymentSpec) -> int:
    """Input and room for the answer; more room than the model can fill is not counted against it."""
    output = query.max_output_tokens or 0
    if deployment.max_output_tokens is not None:
        output = min(output, deployment.max_output_tokens)
    return query.input_tokens + output


def _add_the_others(
    query: RouteQuery,
    strategy: Strategy,
    draws: Draws,
    order: list[Candidate],
    ramping: list[Candidate],
    yielding: list[Candidate],
) -> int:
    """Lengthens `order` by the recovering ones, and by the ejected when they are more than half; returns how many."""
    ejected = len(yielding)
    if ramping:
        order += _arranged(query, ramping, strategy, draws)
    if 2 * ejected <= len(order) + ejected:
        return 0
    order += _arranged(query, yielding, strategy, draws)
    return ejected


def _arranged(query: RouteQuery, group: Sequence[Candidate], strategy: Strategy, draws: Draws) -> list[Candidate]:
    if len(group) == 1:
        return list(group)
    if query.sticky is not None:
        return sticky_order(query.sticky, group, tiered=strategy.tiered)
    return strategy.order(query, group, draws)
