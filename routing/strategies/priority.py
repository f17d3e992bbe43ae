"""The lowest priority number first; inside one number, traffic in proportion to weight."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, weighted_order


class Priority(Strategy):
    name: ClassVar[str] = "priority"
    tiered: ClassVar[bool] = True

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        tiers = {candidate[0].tier for candidate in candidates}
        if len(tiers) == 1:
            return weighted_order(candidates, draws.uniform)
        ordered: list[Candidate] = []
        for tier in sorted(tiers):
            members = [candidate for candidate in candidates if candidate[0].tier == tier]
            ordered += weighted_order(members, draws.uniform) if len(members) > 1 else members
        return ordered

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        deployments = [candidate.deployment for candidate in candidates]
        return [{"score": each.tier, "priority": each.tier, "weight": each.traffic_weight} for each in deployments]
