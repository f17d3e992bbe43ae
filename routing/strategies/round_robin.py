"""One after the other, in the configured order."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms


class RoundRobin(Strategy):
    name: ClassVar[str] = "round_robin"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        first = draws.turn % len(candidates)
        return [*candidates[first:], *candidates[:first]]

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        count = len(candidates)
        return [{"score": (index - draws.turn) % count, "turn": draws.turn} for index in range(count)]
