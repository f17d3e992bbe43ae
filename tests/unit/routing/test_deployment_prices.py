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


def test_one_price_of_its_own_holds_and_the_others_are_looked_up():
    of = provider(1, demo=True)
    (own_input, own_output) = priced(
        [deployment(1, of=of, prices=Prices(input=3)), deployment(2, of=of, prices=Prices(output=4, cache_write=8))],
        PriceBook([row(7, model="u*", cached_input_nano_usd=5, audio_output_nano_usd=6)]), NOW,
    )  # fmt: skip
    # Cached input costs the deployment's own input price, not another's.
    assert own_input.prices == Prices(input=3, output=7, audio_output=6)
    assert own_output.prices == Prices(input=7, output=4, cached_input=5, cache_write=8)
    assert input_price(PriceBook([row(7)]), prices=Prices(input=0)) == 0


def test_one_price_of_its_own_holds_in_each_tier_of_the_catalogue(monkeypatch: pytest.MonkeyPatch):
    tiers = ((0, Rates(input=5, output=6)), (200, Rates(input=9, output=8)))
    monkeypatch.setitem(price_book._known, ("openai", "u1"), PriceCard(tiers=tiers))
    of = replace(provider(1), endpoint=Endpoint(scheme="https", host="api.openai.com", port=443))
    (found,) = priced([deployment(1, of=of, prices=Prices(input=3))], PriceBook(), NOW)
    assert found.prices == Prices(input=3, output=6, tiers=((200, Prices(input=3, output=8)),))


def test_embeddings_need_no_output_price():
    of, prices = provider(1, demo=True), Prices(input=3)
    embeds, chats = (deployment(1, of=of, prices=prices, capabilities=frozenset(can)) for can in (["embeddings"], []))
    found = priced([embeds, chats], PriceBook(), NOW)
    assert [each.prices for each in found] == [Prices(input=3, output=0), prices]


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


def test_a_price_of_searches_is_looked_up_although_the_tokens_have_theirs(monkeypatch: pytest.MonkeyPatch):
    tiers = ((0, Rates(input=5, output=6, search=10)), (200, Rates(input=9, output=8, search=10)))
    monkeypatch.setitem(price_book._known, ("openai", "u1"), PriceCard(tiers=tiers))
    of = replace(provider(1), endpoint=Endpoint(scheme="https", host="api.openai.com", port=443))
    own = Prices(input=3, output=4)

    def found(prices: Prices, *rows: Price) -> Prices:
        return priced([deployment(1, of=of, prices=prices)], PriceBook(rows), NOW)[0].prices

    # Its own tokens' prices hold for prompts of every length, as before.
    assert found(own) == replace(own, search=10)
    assert found(replace(own, search=0)) == replace(own, search=0)
    assert found(own, row(7, search_nano_usd=8)) == replace(own, search=8)
    assert found(own, row(7)) == replace(own, search=10)
    assert found(Prices(), row(7)) == Prices(input=7, output=7, search=10)
    assert found(Prices(search=1)).at(201) == Prices(input=9, output=8, search=1)


def test_embeddings_search_nothing():
    prices, can = Prices(input=3, output=0), frozenset({"embeddings"})
    asked = deployment(1, of=provider(1, demo=True), prices=prices, capabilities=can)
    assert priced([asked], PriceBook([row(7, model="u*", search_nano_usd=8)]), NOW) == [asked]
