"""A weighted sum of price, time to first token, error rate and load, each as a share of the pool's worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from monitoring.upstream_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, by_score
from routing.strategies.cost import expected_prices

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
    worst = max([value for value in values if value is not None], default=0.0) or 1.0
    return [UNKNOWN if value is None else value / worst for value in values]


class Balanced(Strategy):
    name: ClassVar[str] = "balanced"

    def __init__(self, balance: Balance | None = None) -> None:
        self.balance = balance or Balance()

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        balance = self.balance
        scores = [
            balance.price * price + balance.latency * latency + balance.errors * errors + balance.load * load
            for price, latency, errors, load in zip(*self._shares(query, candidates), strict=True)
        ]
        return by_score(candidates, scores, draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        balance = self.balance
        result: list[Terms] = []
        for price, latency, errors, load in zip(*self._shares(query, candidates), strict=True):
            terms = {
                "price": balance.price * price,
                "latency": balance.latency * latency,
                "errors": balance.errors * errors,
                "load": balance.load * load,
            }
            result.append({"score": sum(terms.values()), **terms})
        return result

    @staticmethod
    def _shares(query: RouteQuery, candidates: Sequence[Candidate]) -> tuple[list[float], ...]:
        """Price, time to first token, errors and load; the error rate is a share already."""
        return (
            shares(expected_prices(query, candidates)),
            shares([each.ttft_s for each in candidates]),
            [each.error_rate for each in candidates],
            shares([each.outstanding for each in candidates]),
        )
