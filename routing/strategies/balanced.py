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


def per_worst(weight: float, values: Sequence[float | None]) -> float:
    """What one unit of a term adds to the score, so that the largest known value adds `weight`."""
    return weight / (max([value for value in values if value is not None], default=0.0) or 1.0)


class Balanced(Strategy):
    name: ClassVar[str] = "balanced"

    def __init__(self, balance: Balance | None = None) -> None:
        self.balance = balance or Balance()

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        scores = [price + latency + errors + load for price, latency, errors, load in self._parts(query, candidates)]
        return by_score(candidates, scores, draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        return [
            {
                "score": price + latency + errors + load,
                "price": price,
                "latency": latency,
                "errors": errors,
                "load": load,
            }
            for price, latency, errors, load in self._parts(query, candidates)
        ]

    def _parts(self, query: RouteQuery, candidates: Sequence[Candidate]) -> list[tuple[float, float, float, float]]:
        """What price, time to first token, errors and load add to each score; the error rate is a share already."""
        balance = self.balance
        prices = expected_prices(query, candidates)
        price_unit = per_worst(balance.price, prices)
        latency_unit = per_worst(balance.latency, [each[4] for each in candidates])
        load_unit = per_worst(balance.load, [each[3] for each in candidates])
        price_unknown, latency_unknown, errors_unit = balance.price * UNKNOWN, balance.latency * UNKNOWN, balance.errors
        return [
            (
                price_unknown if price is None else price * price_unit,
                latency_unknown if ttft_s is None else ttft_s * latency_unit,
                error_rate * errors_unit,
                outstanding * load_unit,
            )
            for price, (_, _, _, outstanding, ttft_s, error_rate, _) in zip(prices, candidates, strict=True)
        ]
