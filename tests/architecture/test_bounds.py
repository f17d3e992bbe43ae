"""What words and JSON objects may be is said in two apps that may not import each other, so the two are held together."""

import inspect

import pytest

from accounts import bounds as of_accounts
from accounts import price_book
from providers import bounds as of_providers
from providers import catalog

RULES = ("is_line", "are_words", "is_json_object", "_is_json", "_is_scalar")
VALUES = ("UNPRINTABLE", "UNSTORABLE", "LEAST_INT64", "MOST_INT64", "MOST_WHOLE", "LONGEST_WORD", "DEEPEST")


@pytest.mark.parametrize("name", RULES)
def test_a_rule_reads_the_same_in_both_apps(name: str) -> None:
    assert inspect.getsource(getattr(of_accounts, name)) == inspect.getsource(getattr(of_providers, name))


@pytest.mark.parametrize("name", VALUES)
def test_a_bound_is_the_same_in_both_apps(name: str) -> None:
    assert getattr(of_accounts, name) == getattr(of_providers, name)


def test_the_kinds_whose_list_prices_are_known_are_the_same_in_both_apps() -> None:
    assert price_book.CATALOGUE_IDS == catalog.CATALOGUE_IDS
