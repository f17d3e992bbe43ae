"""Own prices over the catalogue's, against a real table."""

import time
from datetime import timedelta
from pathlib import Path

import pytest
from django.utils import timezone

from accounts import price_book
from accounts.models import Price
from accounts.price_book import PriceBook, catalogue_prices, known_prices
from rows import catalogue

pytestmark = pytest.mark.django_db(transaction=True)

USD = 1_000_000_000


def test_own_prices_override_by_date_provider_and_name():
    now = timezone.now()
    for model, provider, days, price in (
        ("gpt-*", "", 10, 1),
        ("gpt-4o", "", 10, 2),
        ("gpt-4o", "", 5, 3),
        ("gpt-*", "mine", 10, 4),
        ("gpt-4o", "", -5, 9),
    ):
        Price.objects.create(
            model=model, provider=provider, effective_from=now - timedelta(days=days), input_nano_usd=price,
            output_nano_usd=price,
        )  # fmt: skip
    book = PriceBook.load()

    def price(**where) -> int:
        return book.card(kind="own", **where).rates(0).input

    assert price(provider="x", model="gpt-5") == 1
    assert price(provider="x", model="gpt-4o") == 3
    assert price(provider="x", model="gpt-4o", at=now - timedelta(days=7)) == 2
    assert price(provider="mine", model="gpt-4o") == 4
    assert price(provider="x", model="gpt-4o", at=now + timedelta(days=6)) == 9
    assert book.card(provider="x", kind="own", model="other") is None


def test_the_catalogue_knows_cached_and_tiered_prices():
    asked = [
        ("anthropic", "claude-sonnet-4-5"),
        ("openai", "no-such-model-at-all"),
        ("own", "gpt-4o"),
        ("openai", "gpt-4o"),
        ("openai_responses", "gpt-4o"),
    ]
    found = catalogue_prices(asked)
    sonnet = found[asked[0]]

    assert sonnet.rates(1).input == 3 * USD
    assert sonnet.rates(1).cached_input == 3 * USD // 10
    assert sonnet.rates(200_001).input == 6 * USD
    assert sonnet.rates(1).search == sonnet.rates(200_001).search == 10 * USD
    assert found[asked[1]] is None
    assert found[asked[2]] is None, "a server of one's own has no catalogue price"
    assert found[asked[3]] is not None
    assert found[asked[4]] == found[asked[3]], "over its other API a model costs the same"
    assert PriceBook().card(provider="a", kind="anthropic", model="claude-sonnet-4-5") == sonnet


def test_a_catalogue_that_could_not_be_read_is_asked_again(monkeypatch, caplog):
    monkeypatch.setattr(price_book, "_known", {})
    monkeypatch.setattr(price_book, "ASK_AGAIN_S", 0.05)
    program = catalogue.PROGRAM
    monkeypatch.setattr(catalogue, "PROGRAM", Path("/nowhere.py"))
    pair = ("anthropic", "claude-sonnet-4-5")
    assert catalogue_prices([pair]) == {pair: None}
    assert known_prices([pair]) == {pair: None}
    assert "cannot be read" in caplog.text

    monkeypatch.setattr(catalogue, "PROGRAM", program)
    deadline = time.monotonic() + 30
    while known_prices([pair])[pair] is None and time.monotonic() < deadline:
        time.sleep(0.05)
    assert known_prices([pair])[pair] is not None
