"""A weighted sum of price, time to first token, error rate and load, each as a share of the pool's worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from monitoring.upstream_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, by_score
from routing.strategies.cost import expected_price

UNKNOWN = 0.5
"""The share of what is not known: neither praised nor blamed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Balance:
    """How much each term counts. Only their proportions matter."""

    price: float = 0.3
    latency: float = 0.3
    errors: float = 0.3
    load: float = 0.1


def shares(values: Sequence[float | None]) -> list[float]:
    """Each value as a share of the largest known one; all 0.0 when that is 0."""
    worst = max((value for value in values if value is not None), default=0.0)
    if worst <= 0:
        return [UNKNOWN if value is None else 0.0 for value in values]
    return [UNKNOWN if value is None else value / worst for value in values]


class Balanced(Strategy):
    name: ClassVar[str] = "balanced"

    def __init__(self, balance: Balance | None = None) -> None:
        self.balance = balance or Balance()

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        balance = self.balance
        scores = [
            balance.price * price + balance.latency * latency + balance.errors * each.error_rate + balance.load * load
            for each, price, latency, load in zip(candidates, *self._shares(query, candidates), strict=True)
        ]
        return by_score(candidates, scores, draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        balance = self.balance
        result: list[Terms] = []
        for each, price, latency, load in zip(candidates, *self._shares(query, candidates), strict=True):
            terms = {
                "price": balance.price * price,
                "latency": balance.latency * latency,
                "errors": balance.errors * each.error_rate,
                "load": balance.load * load,
            }
            result.append({"score": sum(terms.values()), **terms})
        return result

    @staticmethod
    def _shares(query: RouteQuery, candidates: Sequence[Candidate]) -> tuple[list[float], list[float], list[float]]:
        """Price, time to first token and load; the error rate is a share already."""
        return (
            shares([expected_price(query, each.deployment) for each in candidates]),
            shares([each.ttft_s for each in candidates]),
            shares([each.outstanding for each in candidates]),
        )
