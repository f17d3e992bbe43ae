"""The lowest expected price of this very request first."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.deployment_state import Candidate
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, by_score

TYPICAL_OUTPUT_TOKENS = 1000
"""`max_tokens` is a ceiling that answers seldom reach, so more than this is not expected."""


UNKNOWN = float("inf")
"""An unknown price is dearer than any known one."""


def expected_prices(query: RouteQuery, candidates: Sequence[Candidate]) -> list[int | None]:
    """Nano-USD × 10⁶ (prices are per million tokens), None where a price is unknown."""
    asked = query.max_output_tokens
    tokens_in = query.input_tokens
    tokens_out = TYPICAL_OUTPUT_TOKENS if asked is None or asked > TYPICAL_OUTPUT_TOKENS else asked
    return [
        None if prices.input is None or prices.output is None else tokens_in * prices.input + tokens_out * prices.output
        for prices in [candidate[0].prices for candidate in candidates]
    ]


class Cost(Strategy):
    name: ClassVar[str] = "cost"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        scores = [UNKNOWN if price is None else price for price in expected_prices(query, candidates)]
        return by_score(candidates, scores, draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        result: list[Terms] = []
        for each, price in zip(candidates, expected_prices(query, candidates), strict=True):
            prices = each.deployment.prices
            result.append(
                {
                    "score": UNKNOWN if price is None else price,
                    "expected_cost_usd": None if price is None else price / 10**15,
                    "input_usd_per_mtok": None if prices.input is None else prices.input / 10**9,
                    "output_usd_per_mtok": None if prices.output is None else prices.output / 10**9,
                }
            )
        return result
