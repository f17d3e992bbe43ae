from decimal import Decimal
from types import SimpleNamespace

from providers.catalog import UNKNOWN, is_listed, model_facts
from providers.catalog_program import nano_usd


def test_knows_prices_and_windows_of_public_models_and_admits_ignorance() -> None:
    facts = model_facts("openai", ["gpt-4o", "no-such-model-anywhere"])
    known = facts["gpt-4o"]
    assert known.context_window == 128_000
    assert known.input is not None
    assert known.output is not None
    assert 0 < known.input < known.output < 1_000 * 10**9
    assert facts["no-such-model-anywhere"] == UNKNOWN


def test_asks_nobody_for_kinds_without_list_prices() -> None:
    assert model_facts("blackbox", ["gpt-4o"]) == {"gpt-4o": UNKNOWN}
    assert model_facts("openai", []) == {}


def test_list_prices_hold_at_the_vendors_own_address_only() -> None:
    own = "https://api.openai.com"
    assert is_listed("openai", "https://api.openai.com/v1", own)
    assert not is_listed("openai", "http://10.0.0.5:8000/v1", own)
    assert not is_listed("openai", "https://api.openai.com.example/v1", own)
    assert is_listed("azure", "https://mine.openai.azure.com", None)
    assert not is_listed("blackbox", "https://api.blackbox.ai", "https://api.blackbox.ai")


def test_prices_are_whole_nano_dollars_rounded_up() -> None:
    assert nano_usd(None) is None
    assert nano_usd(Decimal("2.5")) == 2_500_000_000
    assert nano_usd(Decimal("0.00000000001")) == 1
    assert nano_usd(SimpleNamespace(base=Decimal(3), tiers=())) == 3_000_000_000
