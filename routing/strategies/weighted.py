"""Traffic in proportion to weight: a deployment's own times its provider's."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.upstream_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, weight_of, weighted_order


class Weighted(Strategy):
    name: ClassVar[str] = "weighted"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        return weighted_order(candidates, draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        total = sum(map(weight_of, candidates)) or 1
        return [{"weight": weight_of(each), "share": weight_of(each) / total} for each in candidates]
