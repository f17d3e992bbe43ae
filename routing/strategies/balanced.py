"""A weighted sum of price, time to first token, error rate and load, each as a share of the pool's worst."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from monitoring.deployment_state import Candidate
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


def worst(prices: Sequence[int | None], candidates: Sequence[Candidate]) -> tuple[float, float, float]:
    """The largest known price, time to first token and load; 1.0 instead of nothing, to divide by. One plain loop, because
    three calls of `max` over filtered lists cost twice as much."""
    price_max: float = 0
    ttft_max: float = 0
    load_max: float = 0
    for price, (_, _, _, outstanding, ttft_s, _, _) in zip(prices, candidates, strict=True):
        if price is not None and price > price_max:
            price_max = price
        if ttft_s is not None and ttft_s > ttft_max:
            ttft_max = ttft_s
        if outstanding > load_max:
            load_max = outstanding
    return price_max or 1.0, ttft_max or 1.0, load_max or 1.0


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
        price_max, ttft_max, load_max = worst(prices, candidates)
        price_unit, latency_unit, load_unit = (
            balance.price / price_max,
            balance.latency / ttft_max,
            balance.load / load_max,
        )
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
