"""What people type in the admin, and what is stored: words and money."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from rows.form_fields import UsdField, WordsField, usd_text


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("", []),
        (" \n ,, ", []),
        ("gpt-4o, gpt-4o-mini", ["gpt-4o", "gpt-4o-mini"]),
        ("gpt-4o\r\nclaude\n", ["gpt-4o", "claude"]),
        ("a, b, a", ["a", "b"]),
    ],
)
def test_words_are_typed_with_commas_or_lines(typed: str, stored: list[str]) -> None:
    assert WordsField().clean(typed) == stored


def test_words_that_are_shown_and_sent_back_did_not_change() -> None:
    field, words = WordsField(), ["gpt-4o", "openai/gpt-4o"]
    assert not field.has_changed(words, field.prepare_value(words))
    assert field.has_changed(words, "gpt-4o")


@pytest.mark.parametrize(
    ("typed", "nano"),
    [
        ("2.5", 2_500_000_000),
        ("2,5", 2_500_000_000),
        ("0", 0),
        ("0.000000001", 1),
        ("", None),
        (" 15 ", 15_000_000_000),
        ("1,000.50", 1_000_500_000_000),
        ("1.000,50", 1_000_500_000_000),
        ("1,000,000", 1_000_000_000_000_000),
        ("1000,5", 1_000_500_000_000),
        ("1234,567", 1_234_567_000_000),
        ("0,075", 75_000_000),
        ("0.050", 50_000_000),
        ("1.125", 1_125_000_000),
    ],
)
def test_dollars_become_nano_dollars_exactly(typed: str, nano: int | None) -> None:
    assert UsdField().clean(typed) == nano


@pytest.mark.parametrize("typed", ["-1", "abc", "0.0000000001", "1000000.01", "1e30", "NaN", "Infinity"])
def test_what_is_no_price_is_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        UsdField().clean(typed)


@pytest.mark.parametrize(
    ("typed", "large", "small"),
    [("1,000", "1000", "1"), ("+1,000", "1000", "1"), ("1.000", "1000", "1"), ("12,345", "12345", "12.345")],
)
def test_what_could_be_a_dollar_or_a_thousand_is_refused(typed: str, large: str, small: str) -> None:
    with pytest.raises(ValidationError, match=rf"write {large} or {small}\."):
        UsdField().clean(typed)


@pytest.mark.parametrize("typed", ["1,00,000", "1.00,000.5", "1,000.000,5", "1,2.5"])
def test_separators_that_no_one_writes_so_are_refused(typed: str) -> None:
    with pytest.raises(ValidationError):
        UsdField().clean(typed)


@given(st.integers(min_value=0, max_value=10**15))
def test_a_price_that_is_shown_and_sent_back_did_not_change(nano: int) -> None:
    field = UsdField()
    assert field.clean(field.prepare_value(nano)) == nano
    assert not field.has_changed(nano, field.prepare_value(nano))


@pytest.mark.parametrize(
    ("nano", "text"), [(0, "0"), (10_000_000_000, "10"), (75_000_000, "0.075"), (1, "0.000000001")]
)
def test_prices_are_written_without_exponents(nano: int, text: str) -> None:
    assert usd_text(nano) == text
