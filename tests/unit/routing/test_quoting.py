"""What a failed provider's words may carry further."""

from typing import Any

import pytest

from providers.dialects.upstream_errors import read_error
from providers.errors import ClientFault, CredentialRejected
from routing.quoting import KEPT_CHARS, NOT_COMPARED, NOT_KEPT, SEARCHED_IN_ALL, STRIDE, WINDOW, conceal, fit_to_keep

SECRET = "plain0credential0without0a0shape"
BODY: Any = {"model": "m", "messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog."}]}


def test_a_credential_is_taken_out_of_all_that_an_error_says() -> None:
    error = CredentialRejected(f"no: {SECRET}", code=SECRET, param=SECRET, detail={"upstream_message": f"<{SECRET}>"})
    conceal(error, SECRET)
    assert SECRET not in f"{error.body()}{error.detail}{error!r}{error}"
    assert error.code == CredentialRejected.code
    assert error.message == "no: [redacted]"


def test_a_short_secret_would_match_words_and_is_left() -> None:
    error = ClientFault("a word")
    conceal(error, "a")
    assert error.message == "a word"


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


def test_a_request_that_takes_long_to_search_is_not_searched_and_the_message_not_kept() -> None:
    """The event loop is held meanwhile: for 8 MiB in many texts and a long message it was for seconds."""
    texts = [{"role": "user", "content": f"{number:0{WINDOW}}"} for number in range(SEARCHED_IN_ALL // WINDOW)]
    long: Any = {"messages": texts}
    assert fit_to_keep("The provider is overloaded at the moment.", long) == NOT_COMPARED
    numbers = list(range(SEARCHED_IN_ALL))
    assert fit_to_keep("The provider is overloaded at the moment.", {"input": numbers}) == NOT_COMPARED
    del texts[SEARCHED_IN_ALL // WINDOW // 4 :]
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
