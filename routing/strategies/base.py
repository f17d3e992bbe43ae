"""What a strategy is, and the ways of ordering that several share. Pure: chance comes in as `Draws`."""

from collections.abc import Sequence
from typing import ClassVar, Protocol, TypeAlias

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery

Score: TypeAlias = float | int
DRAWN_PLACES = 4
Terms: TypeAlias = dict[str, float | int | None]


class Strategy(Protocol):
    """Orders candidates that are all eligible, two or more, best first. Any order of any input is a permutation of it.

    `tiered` strategies put all of one priority before the next; a sticky call then stays inside its tier.
    """

    name: ClassVar[str]
    tiered: ClassVar[bool] = False

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]: ...

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        """What the order was made from, a mapping per candidate; `score` is what was compared, lower is better, where
        there is one. Called when a record is read, never while a request waits."""


def weighted_order(candidates: Sequence[Candidate], uniform: float) -> list[Candidate]:
    """Drawn without replacement, each pick in proportion to its weight among those left; weight 0 comes last.

    One draw is enough: what is left of it after a pick is again uniform. Only the first places are drawn, because more
    attempts are hardly ever made; behind them the configured order stands.
    """
    left = list(candidates)
    weights = [each[0].traffic_weight for each in left]
    if weights[0] and weights.count(weights[0]) == len(weights):
        return _evenly(left, uniform)
    total = sum(weights)
    ordered: list[Candidate] = []
    while len(ordered) < DRAWN_PLACES and len(left) > 1 and total > 0:
        point = uniform * total
        index = 0
        while point >= weights[index]:
            point -= weights[index]
            index += 1
        weight = weights.pop(index)
        uniform = point / weight
        total -= weight
        ordered.append(left.pop(index))
    if 0 in weights:
        left.sort(key=_weightless)
    return ordered + left


def _evenly(left: list[Candidate], uniform: float) -> list[Candidate]:
    """The same where all weigh the same."""
    ordered: list[Candidate] = []
    for count in range(len(left), max(len(left) - DRAWN_PLACES, 1), -1):
        point = uniform * count
        index = int(point)
        uniform = point - index
        ordered.append(left.pop(index))
    return ordered + left


def _weightless(candidate: Candidate) -> bool:
    return candidate.deployment.traffic_weight == 0


def by_score(candidates: Sequence[Candidate], scores: Sequence[Score], uniform: float) -> list[Candidate]:
    """Lowest score first. Equal best ones take turns by the draw; behind them, ties keep the configured order."""
    ranked = sorted(range(len(scores)), key=scores.__getitem__)
    best = scores[ranked[0]]
    if scores[ranked[1]] == best:
        tied = 2
        while tied < len(ranked) and scores[ranked[tied]] == best:
            tied += 1
        first = int(uniform * tied)
        ranked = ranked[first:tied] + ranked[:first] + ranked[tied:]
    return [candidates[index] for index in ranked]
