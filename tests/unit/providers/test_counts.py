"""Counts and costs as upstreams make them up."""

import pytest

from accounts.records import CEILING
from providers.dialects.anthropic_messages.answer import usage_of
from providers.dialects.cohere_chat.answer import read_usage
from providers.dialects.counts import MOST, count
from providers.dialects.openai_responses.usage import decode_usage
from providers.types import Usage

LIES = [10**30, 10**19, 1e300]


def test_providers_and_accounts_have_the_same_bound() -> None:
    assert MOST == CEILING


@pytest.mark.parametrize("lie", LIES)
def test_what_is_too_large_to_be_added_up_is_cut(lie: float) -> None:
    assert count(lie) == MOST
    details = {"cached_tokens": lie, "cache_write_tokens": lie}
    told = {"input_tokens": lie, "output_tokens": lie, "cost": {"total_cost": lie}}
    assert decode_usage({**told, "input_tokens_details": details}) == Usage(MOST, MOST, MOST, MOST, cost_nano_usd=MOST)
    assert usage_of({"output_tokens": lie, "cache_creation": {"ephemeral_1h_input_tokens": lie}}) == Usage(
        output_tokens=MOST, cache_write_1h_tokens=MOST
    )
    assert read_usage({"tokens": told, "billed_units": {"input_tokens": 1}}) == Usage(MOST, MOST, billed=(1, MOST))


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (7, 7), (7.0, 7), (2.6, 3), (0, 0), (-1, 0), (-1.5, 0), (None, 0), ("7", 0), (True, 0), ([7], 0),
        (float("nan"), 0), (float("inf"), 0),
    ],
)  # fmt: skip
def test_what_is_no_count_is_nothing(written: object, read: int) -> None:
    assert count(written) == read
