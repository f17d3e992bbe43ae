import pytest

from providers.adapters import REGISTRY
from providers.addresses import parse_base_url
from providers.catalog import UNKNOWN, is_listed, model_facts
from rows.catalogue import CATALOGUE_IDS


def test_knows_prices_and_windows_of_public_models_and_admits_ignorance() -> None:
    facts = model_facts("openai", ["gpt-4o", "no-such-model-anywhere"])
    known = facts["gpt-4o"]
    assert known.context_window == 128_000
    assert known.prices.input is not None
    assert known.prices.output is not None
    assert 0 < known.prices.input < known.prices.output < 1_000 * 10**9
    assert facts["no-such-model-anywhere"] == UNKNOWN


def test_asks_nobody_for_kinds_without_list_prices() -> None:
    assert model_facts("blackbox", ["gpt-4o"]) == {"gpt-4o": UNKNOWN}
    assert model_facts("openai", []) == {}


def test_list_prices_hold_at_the_vendors_own_address_only() -> None:
    assert is_listed("openai", "api.openai.com", {})
    assert is_listed("openai", "eu.api.openai.com", {})
    assert is_listed("azure", "mine.openai.azure.com", {})
    assert not is_listed("openai", "10.0.0.5", {})
    assert not is_listed("openai", "api.openai.com.example", {})
    assert not is_listed("openai", "notapi.openai.com", {})
    assert not is_listed("blackbox", "api.blackbox.ai", {"list_prices": True})


def test_an_operator_knows_whose_prices_hold_behind_an_address() -> None:
    assert is_listed("openai", "egress.internal", {"list_prices": True})
    assert not is_listed("openai", "api.openai.com", {"list_prices": False})
    assert not is_listed("openai", "egress.internal", {"list_prices": "yes"})


@pytest.mark.parametrize("kind", sorted(set(CATALOGUE_IDS) - {"azure"}))
def test_each_vendors_address_that_is_filled_in_is_its_own(kind: str) -> None:
    address = REGISTRY[kind].default_base_url
    assert address is not None
    assert is_listed(kind, parse_base_url(address).host, {})
