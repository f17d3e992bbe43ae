"""The lowest priority number first; inside one number, traffic in proportion to weight."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.upstream_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, tier_of, weight_of, weighted_order


class Priority(Strategy):
    name: ClassVar[str] = "priority"
    tiered: ClassVar[bool] = True

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        tiers: dict[int, list[Candidate]] = {}
        for candidate in candidates:
            # `tier_of`, written out: half of this function's time was the call.
            deployment = candidate[0]
            tier = deployment.provider.priority if deployment.priority is None else deployment.priority
            if tier in tiers:
                tiers[tier].append(candidate)
            else:
                tiers[tier] = [candidate]
        if len(tiers) == 1:
            return weighted_order(candidates, draws.uniform)
        ordered: list[Candidate] = []
        for tier in sorted(tiers):
            members = tiers[tier]
            ordered += weighted_order(members, draws.uniform) if len(members) > 1 else members
        return ordered

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        return [{"score": tier_of(each), "priority": tier_of(each), "weight": weight_of(each)} for each in candidates]
