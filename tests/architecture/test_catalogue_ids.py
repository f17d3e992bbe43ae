"""Which kinds have list prices is said in two apps that may not import each other, so the two are held together."""

from accounts import price_book
from providers import catalog


def test_the_kinds_whose_list_prices_are_known_are_the_same_in_both_apps() -> None:
    assert price_book.CATALOGUE_IDS == catalog.CATALOGUE_IDS
