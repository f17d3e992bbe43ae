"""Traffic in proportion to weight: a deployment's own times its provider's."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, weighted_order


class Weighted(Strategy):
    name: ClassVar[str] = "weighted"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        return weighted_order(candidates, draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        weights = [candidate.deployment.traffic_weight for candidate in candidates]
        total = sum(weights) or 1
        return [{"weight": weight, "share": weight / total} for weight in weights]
