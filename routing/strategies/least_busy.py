"""The fewest running calls for its weight first."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, by_score


def score(candidate: Candidate) -> float:
    """Calls running once this one has joined them, per unit of weight; weight 0 only when nothing else is left."""
    weight = candidate.deployment.traffic_weight
    return (candidate.outstanding + 1) / weight if weight > 0 else float("inf")


class LeastBusy(Strategy):
    name: ClassVar[str] = "least_busy"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        return by_score(candidates, [score(each) for each in candidates], draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        return [
            {"score": score(each), "outstanding": each.outstanding, "weight": each.deployment.traffic_weight}
            for each in candidates
        ]
