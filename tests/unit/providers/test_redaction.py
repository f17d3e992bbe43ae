"""What a provider was sent of our own is in nothing that it says, whatever its shape."""

from providers.dialects.redaction import conceal
from providers.errors import ClientFault, CredentialRejected
from routing.errors import error_body

SECRET, HEADER = "plain0credential0without0a0shape", "an own header's value"


def test_all_that_must_not_be_read_is_taken_out_of_all_that_an_error_says() -> None:
    said = f"no: {SECRET} with {HEADER}"
    error = CredentialRejected(said, code=SECRET, param=SECRET, detail={"upstream_message": f"<{said}>"})
    conceal(error, [SECRET, HEADER])
    told = f"{error_body(error)}{error.detail}{error!r}{error}"
    assert SECRET not in told
    assert HEADER not in told
    assert error.code == CredentialRejected.code
    assert error.message == "no: [redacted] with [redacted]"


def test_a_short_secret_would_match_words_and_is_left() -> None:
    error = ClientFault("a word")
    conceal(error, ["a", ""])
    assert error.message == "a word"
