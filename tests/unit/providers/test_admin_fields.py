"""What people type in the admin, and what is stored: lists, headers, money and secrets."""

import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from accounts.admin import form_fields as account_fields
from providers.admin.form_fields import HeadersField, SecretField, UsdField, WordsField, usd_text

BOTH_USD_FIELDS = pytest.mark.parametrize(
    "field", [UsdField(), account_fields.UsdField()], ids=["providers", "accounts"]
)
BOTH_WORDS_FIELDS = pytest.mark.parametrize(
    "field", [WordsField(), account_fields.WordsField()], ids=["providers", "accounts"]
)


@BOTH_WORDS_FIELDS
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
def test_words_are_typed_with_commas_or_lines(field: WordsField, typed: str, stored: list[str]) -> None:
    assert field.clean(typed) == stored


@BOTH_WORDS_FIELDS
def test_words_that_are_shown_and_sent_back_did_not_change(field: WordsField) -> None:
    words = ["gpt-4o", "openai/gpt-4o"]
    assert not field.has_changed(words, field.prepare_value(words))
    assert field.has_changed(words, "gpt-4o")


@BOTH_USD_FIELDS
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
def test_dollars_become_nano_dollars_exactly(field: UsdField, typed: str, nano: int | None) -> None:
    assert field.clean(typed) == nano


@BOTH_USD_FIELDS
@pytest.mark.parametrize("typed", ["-1", "abc", "0.0000000001", "1e30", "NaN", "Infinity"])
def test_what_is_no_price_is_refused(field: UsdField, typed: str) -> None:
    with pytest.raises(ValidationError):
        field.clean(typed)


@BOTH_USD_FIELDS
@pytest.mark.parametrize(
    ("typed", "large", "small"),
    [("1,000", "1000", "1"), ("+1,000", "1000", "1"), ("1.000", "1000", "1"), ("12,345", "12345", "12.345")],
)
def test_what_could_be_a_dollar_or_a_thousand_is_refused(field: UsdField, typed: str, large: str, small: str) -> None:
    with pytest.raises(ValidationError, match=rf"write {large} or {small}\."):
        field.clean(typed)


@BOTH_USD_FIELDS
@pytest.mark.parametrize("typed", ["1,00,000", "1.00,000.5", "1,000.000,5", "1,2.5"])
def test_separators_that_no_one_writes_so_are_refused(field: UsdField, typed: str) -> None:
    with pytest.raises(ValidationError):
        field.clean(typed)


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
    assert account_fields.usd_text(nano) == text


@pytest.mark.parametrize(
    ("nano", "text"), [(None, "–"), (0, "$0.00"), (1_234_560_000_000, "$1,234.56"), (2_000_000, "$0.002000")]
)
def test_small_sums_are_shown_with_enough_decimals_to_be_seen(nano: int | None, text: str) -> None:
    assert account_fields.usd(nano) == text


def test_headers_are_typed_one_a_line() -> None:
    field = HeadersField()
    assert field.clean("X-Team: blue\n\n X-Region : eu:west \n") == {"X-Team": "blue", "X-Region": "eu:west"}
    assert not field.has_changed({"a": "b"}, field.prepare_value({"a": "b"}))
    with pytest.raises(ValidationError, match="no colon here"):
        field.clean("no colon here")


@pytest.mark.parametrize("pasted", ["sk-abc def", "sk-abc\nsk-def", "sk-\x00abc"])
def test_a_secret_with_something_else_pasted_is_refused(pasted: str) -> None:
    with pytest.raises(ValidationError):
        SecretField().clean(pasted)


def test_a_secret_is_never_rendered() -> None:
    assert "sk-very-secret" not in SecretField().widget.render("secret", "sk-very-secret")
