"""Where a deployment's price comes from, and when a table's prices have to be read again."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from accounts import price_book
from accounts.models import Price
from accounts.price_book import PriceBook, catalogue_size
from accounts.records import PriceCard, Rates
from providers.specs import Prices
from providers.transport import Endpoint
from routing.deployment_prices import outdated, priced, until
from routing.table import build_table
from tests.unit.routing.pools import deployment, provider

NOW = datetime(2026, 3, 1, tzinfo=UTC)


def row(price: int, *, days: int = -1, **fields) -> Price:
    defaults = {"model": "u1", "effective_from": NOW + timedelta(days=days)}
    return Price(**{**defaults, "input_nano_usd": price, "output_nano_usd": price, **fields})


def input_price(book: PriceBook, now: datetime = NOW, **fields) -> int | None:
    fields.setdefault("of", provider(1, demo=True))
    (found,) = priced([deployment(1, **fields)], book, now)
    return found.prices.input


def test_a_deployments_own_price_holds_before_price_rows():
    book = PriceBook([row(7)])
    assert input_price(book, prices=Prices(input=3, output=4)) == 3
    assert input_price(book) == 7


def test_half_a_price_is_none():
    assert input_price(PriceBook([row(7)]), prices=Prices(input=3)) == 7


def test_an_unknown_price_stays_unknown():
    assert input_price(PriceBook()) is None


def test_a_row_comes_into_force_at_its_date():
    book = PriceBook([row(7), row(9, days=2)])
    later = NOW + timedelta(days=2)
    assert (input_price(book), input_price(book, later)) == (7, 9)

    table = build_table(revision=1, deployments=(), prices_until=until(book, NOW), catalogue_size=catalogue_size())
    assert not outdated(table, NOW.timestamp())
    assert outdated(table, later.timestamp())
    assert until(book, later) == float("inf")


def test_an_answer_of_the_catalogue_makes_a_table_outdated():
    table = build_table(revision=1, deployments=(), catalogue_size=catalogue_size() - 1)
    assert outdated(table, NOW.timestamp())


def test_a_catalogues_price_is_for_the_vendors_own_address(monkeypatch: pytest.MonkeyPatch):
    pair, card = ("openai", "u1"), PriceCard(tiers=((0, Rates(input=5, output=6)),))
    monkeypatch.setitem(price_book._known, pair, card)
    vendor = Endpoint(scheme="https", host="api.openai.com", port=443)
    ours = Endpoint(scheme="http", host="10.0.0.5", port=8000)

    def at(endpoint: Endpoint, **options: bool) -> int | None:
        return input_price(PriceBook(), of=replace(provider(1), endpoint=endpoint, options=options))

    assert at(vendor) == 5
    assert at(ours) is None
    assert at(ours, list_prices=True) == 5
    assert at(vendor, list_prices=False) is None


def test_long_prompts_cost_the_price_of_their_tier():
    prices = Prices(input=1, output=1, tiers=((200, Prices(input=2, output=2)), (400, Prices(input=3, output=3))))
    assert [prices.at(tokens).input for tokens in (0, 200, 201, 400, 401)] == [1, 1, 2, 2, 3]
