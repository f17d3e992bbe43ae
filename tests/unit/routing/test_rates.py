"""What a call cost, from what the provider says about it."""

from dataclasses import replace

import pytest

from accounts.records import CEILING
from providers.specs import Prices
from providers.types import Usage
from routing.rates import RateBook

PRICES = Prices(input=1_000_000, output=10_000_000, cached_input=100_000)
USAGE = Usage(input_tokens=71, output_tokens=2, cached_tokens=64)


@pytest.mark.parametrize(
    ("usage", "cost"),
    [
        (USAGE, 7 + 6.4 + 20),
        (USAGE._replace(billed=(5, 2)), 5 + 20),
        (USAGE._replace(billed=(0, 0)), 0),
        (USAGE._replace(billed=(5, 2), cost_nano_usd=3), 3),
    ],
)
def test_what_the_provider_bills_is_what_is_charged(usage: Usage, cost: float) -> None:
    assert RateBook().cost(usage, PRICES) == -(-cost // 1)


def test_a_price_for_long_prompts_goes_by_what_is_billed() -> None:
    prices = Prices(input=1_000_000, output=0, tiers=((50, Prices(input=2_000_000, output=0)),))
    assert RateBook().cost(USAGE, prices) == 142
    assert RateBook().cost(USAGE._replace(billed=(5, 2)), prices) == 5


def test_no_call_costs_more_than_can_be_added_up() -> None:
    assert RateBook().cost(Usage(CEILING, CEILING), PRICES) == CEILING


def test_without_a_price_the_cost_is_unknown() -> None:
    assert RateBook().cost(USAGE, Prices()) is None


def test_audio_and_what_is_kept_for_an_hour_cost_their_own_prices() -> None:
    usage = Usage(
        100, 50, cache_write_tokens=20, cache_write_1h_tokens=10, audio_input_tokens=30, audio_output_tokens=40
    )
    prices = replace(PRICES, cache_write_1h=5_000_000, audio_input=7_000_000, audio_output=11_000_000)
    assert RateBook().cost(usage, PRICES) == 100 + 500
    assert RateBook().cost(usage, prices) == (100 - 20 - 30) + 10 + 10 * 5 + 30 * 7 + 10 * 10 + 40 * 11


def test_searches_cost_their_price_unless_the_provider_says_what_the_call_cost() -> None:
    prices = replace(PRICES, search=10_000_000_000)
    assert RateBook().cost(USAGE._replace(searches=2), prices) == 34 + 20_000_000
    assert RateBook().cost(USAGE._replace(searches=2, billed=(5, 2)), prices) == 25 + 20_000_000
    assert RateBook().cost(USAGE._replace(searches=2, cost_nano_usd=3), prices) == 3
    assert RateBook().cost(USAGE._replace(searches=2), PRICES) == RateBook().cost(USAGE, PRICES)
