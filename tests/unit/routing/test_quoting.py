"""What a failed provider's words may carry further."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.upstream_errors import read_error
from providers.errors import ClientFault
from routing.quoting import (
    KEPT_CHARS,
    NOT_COMPARED,
    NOT_KEPT,
    SEARCHED_IN_ALL,
    STRIDE,
    VISIT_CHARS,
    WINDOW,
    fit_to_keep,
)

BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog."}]}


@pytest.mark.parametrize(
    "quoted",
    [
        "The quick brown fox jumps over the lazy dog.",
        "brown fox jumps over the",
        "x" * 7 + "quick brown fox jumps over",
    ],
)
def test_a_message_that_quotes_the_request_is_not_kept(quoted: str) -> None:
    assert fit_to_keep(f"Invalid content: {quoted}", BODY) == NOT_KEPT


@pytest.mark.parametrize(
    "message", ["", "short", "max_tokens is too large: 5000 > 4096, in the model 'm'.", "the lazy dog"]
)
def test_other_messages_are_kept_whole(message: str) -> None:
    assert fit_to_keep(message, BODY) == message


def test_a_quotation_is_recognised_wherever_it_begins_in_what_is_kept() -> None:
    quoted = BODY["messages"][0]["content"][:24]
    for before in range(KEPT_CHARS):
        assert fit_to_keep("#" * before + quoted, BODY) == NOT_KEPT
    longer = "#" * (KEPT_CHARS + WINDOW + STRIDE)
    assert fit_to_keep(longer + quoted, BODY) == "#" * KEPT_CHARS


@given(st.data())
def test_every_quotation_that_is_long_enough_is_recognised(data: st.DataObject) -> None:
    """Of all that could be quoted, and anything before and behind it, in whatever script."""
    text = data.draw(st.text(min_size=WINDOW + STRIDE, max_size=200))
    start = data.draw(st.integers(0, len(text) - WINDOW - STRIDE))
    before, behind = data.draw(st.text(max_size=KEPT_CHARS - 1)), data.draw(st.text(max_size=20))
    message = before + text[start : start + WINDOW + STRIDE] + behind
    body = {
        "messages": [{"content": other} for other in data.draw(st.lists(st.text(max_size=40)))] + [{"content": text}]
    }
    assert fit_to_keep(message, body) == NOT_KEPT


@pytest.mark.parametrize("size", [100_000, SEARCHED_IN_ALL - 1000])
def test_a_long_text_is_compared_to_its_end(size: int) -> None:
    text = " and ".join(map(hex, range(size // 8)))[:size]
    body = {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": text}]}
    for at in (0, size // 2 + 3, size - WINDOW - STRIDE):
        assert fit_to_keep(f"Invalid: {text[at : at + WINDOW + STRIDE]}", body) == NOT_KEPT
    assert fit_to_keep("The provider is overloaded at the moment.", body) == "The provider is overloaded at the moment."


def test_images_do_not_make_a_request_too_long_to_be_compared() -> None:
    image = f"data:image/png;base64,{'iVBORw0KGgo+/_-1' * (SEARCHED_IN_ALL // 16)}="
    part = {"type": "image_url", "image_url": {"url": image}}
    body = {
        "messages": [
            {"role": "user", "content": [part, part, {"type": "text", "text": f"{'#' * 99_000} the end of it all"}]}
        ]
    }
    assert fit_to_keep("The provider is overloaded at the moment.", body) == "The provider is overloaded at the moment."
    assert fit_to_keep("Invalid: ##### the end of it all", body) == NOT_KEPT
    assert fit_to_keep(f"Invalid: {image[:40]}", body) == NOT_KEPT
    part["image_url"] = {"url": "words/without/blanks," * (SEARCHED_IN_ALL // 20)}
    assert fit_to_keep("The provider is overloaded at the moment.", body) == NOT_COMPARED


def test_a_text_of_any_script_is_compared_and_a_broken_one_too() -> None:
    body = {"messages": [{"role": "user", "content": "não é possível 🌍 \ud800 dizer isto a ninguém"}]}
    assert fit_to_keep("Mensagem inválida: possível 🌍 \ud800 dizer isto", body) == NOT_KEPT
    assert fit_to_keep("Mensagem inválida \ud800.", body) == "Mensagem inválida \ud800."


def test_a_request_that_takes_long_to_search_is_not_searched_and_the_message_not_kept() -> None:
    """The event loop is held meanwhile: for 8 MiB in many texts and a long message it was for seconds."""
    texts = [{"role": "user", "content": f"{number:0{WINDOW}}"} for number in range(SEARCHED_IN_ALL // WINDOW)]
    long: Any = {"messages": texts}
    assert fit_to_keep("The provider is overloaded at the moment.", long) == NOT_COMPARED
    assert (
        fit_to_keep("The provider is overloaded at the moment.", {"input": "ж" * (SEARCHED_IN_ALL // 2 + 8)})
        == NOT_COMPARED
    )
    numbers = list(range(SEARCHED_IN_ALL // VISIT_CHARS + 1))
    assert fit_to_keep("The provider is overloaded at the moment.", {"input": numbers}) == NOT_COMPARED
    del texts[SEARCHED_IN_ALL // WINDOW // 8 :]
    assert fit_to_keep("The provider is overloaded at the moment.", long) == "The provider is overloaded at the moment."
    assert fit_to_keep(f"Who is {0:0{WINDOW}}{0:0{WINDOW}}?", long) == NOT_KEPT


@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ("unknown_voice", "unknown_voice"),
        ("Client specified an invalid argument", "Client specified an invalid argument"),
        ("Bearer abcdef", "Bearer [redacted]"),
        ("{curly}", None),
        ("sk-abcdefghijklmnop", "[redacted]"),
        ("x" * 65, None),
        ("400", None),
    ],
)
def test_an_upstreams_code_is_a_word_or_nothing(given: str, kept: str | None) -> None:
    body = b'{"error": {"message": "no", "code": "%b", "param": "a b"}}' % given.encode()
    error = read_error(422, {}, body)
    assert error.code == (kept or ClientFault.code)
    assert error.param is None
