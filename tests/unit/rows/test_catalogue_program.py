from decimal import Decimal
from types import SimpleNamespace

from rows.catalogue_program import nano_usd, tiers_of


def test_prices_are_whole_nano_dollars_rounded_up() -> None:
    assert nano_usd(None, 0) is None
    assert nano_usd(Decimal("2.5"), 0) == 2_500_000_000
    assert nano_usd(Decimal("0.00000000001"), 0) == 1


def test_each_tier_has_every_price_that_holds_above_its_start() -> None:
    steps = (SimpleNamespace(start=100, price=Decimal(4)), SimpleNamespace(start=200, price=Decimal(5)))
    tiers = tiers_of(SimpleNamespace(input_mtok=SimpleNamespace(base=Decimal(3), tiers=steps), output_mtok=Decimal(9)))
    assert [(tier["above"], tier["input"], tier["output"]) for tier in tiers] == [
        (0, 3_000_000_000, 9_000_000_000),
        (100, 4_000_000_000, 9_000_000_000),
        (200, 5_000_000_000, 9_000_000_000),
    ]
