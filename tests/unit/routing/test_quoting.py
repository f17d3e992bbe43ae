"""What a failed provider's words may carry further."""

import pytest

from providers.dialects.upstream_errors import read_error
from providers.errors import ClientFault, CredentialRejected
from routing.quoting import NOT_KEPT, conceal, fit_to_keep

SECRET = "plain0credential0without0a0shape"
BODY = {"model": "m", "messages": [{"role": "user", "content": "The quick brown fox jumps over the lazy dog."}]}


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
