"""What lists of the admin show of money."""

import pytest

from accounts.admin.columns import usd


@pytest.mark.parametrize(
    ("nano", "text"),
    [
        (None, "–"),
        (0, "$0.00"),
        (1_234_560_000_000, "$1,234.56"),
        (2_000_000, "$0.002000"),
        (79, "$0.000000079"),
        (19_999_999, "$0.02"),
        (1_980, "$0.000002"),
        (50_999_000_000, "$51.00"),
    ],
)
def test_small_sums_are_shown_with_enough_decimals_to_be_seen(nano: int | None, text: str) -> None:
    assert usd(nano) == text
