"""The lowest expected price of this very request first."""

from collections.abc import Sequence
from typing import ClassVar

from monitoring.upstream_state import Candidate
from providers.specs import DeploymentSpec
from routing.route_query import Draws, RouteQuery
from routing.strategies.base import Strategy, Terms, by_score

TYPICAL_OUTPUT_TOKENS = 1000
"""`max_tokens` is a ceiling that answers seldom reach, so more than this is not expected."""


def expected_price(query: RouteQuery, deployment: DeploymentSpec) -> int | None:
    """Nano-USD × 10⁶ (prices are per million tokens), None when a price is unknown."""
    prices = deployment.prices
    if prices.input is None or prices.output is None:
        return None
    asked = query.max_output_tokens
    output = TYPICAL_OUTPUT_TOKENS if asked is None or asked > TYPICAL_OUTPUT_TOKENS else asked
    return query.input_tokens * prices.input + output * prices.output


def score(query: RouteQuery, candidate: Candidate) -> float:
    """An unknown price is dearer than any known one."""
    price = expected_price(query, candidate.deployment)
    return float("inf") if price is None else price


class Cost(Strategy):
    name: ClassVar[str] = "cost"

    def order(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Candidate]:
        return by_score(candidates, [score(query, each) for each in candidates], draws.uniform)

    def terms(self, query: RouteQuery, candidates: Sequence[Candidate], draws: Draws) -> list[Terms]:
        result: list[Terms] = []
        for each in candidates:
            price, prices = expected_price(query, each.deployment), each.deployment.prices
            result.append(
                {
                    "score": score(query, each),
                    "expected_cost_usd": None if price is None else price / 10**15,
                    "input_usd_per_mtok": None if prices.input is None else prices.input / 10**9,
                    "output_usd_per_mtok": None if prices.output is None else prices.output / 10**9,
                }
            )
        return result
