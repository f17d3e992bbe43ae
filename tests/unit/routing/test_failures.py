"""What a client is told when nobody answered."""

import pytest

from providers.errors import ModelNotFound, Overloaded, RateLimited, ServerFailed
from routing.errors import NoProviderAvailable
from routing.failures import NO_RETRY, Failures, failure_headers

UNAVAILABLE = NoProviderAvailable("All providers are currently unavailable.")


@pytest.mark.parametrize(
    ("error", "errors", "rest_s", "told"),
    [
        (RateLimited("x"), [RateLimited("x", retry_after_s=7.2), RateLimited("y", retry_after_s=3.0)], None, b"3"),
        (RateLimited("x"), [RateLimited("x", retry_after_s=7.2)], 2.0, b"8"),
        (RateLimited("x"), [RateLimited("x")], 0.4, b"1"),
        (RateLimited("x"), [RateLimited("x")], None, None),
        (UNAVAILABLE, [], 4.01, b"5"),
        (UNAVAILABLE, [], -0.001, b"1"),
        (UNAVAILABLE, [Overloaded("x", retry_after_s=9.0), ServerFailed("y")], None, None),
        (Overloaded("x"), [Overloaded("x", retry_after_s=9.0)], 8.9, b"9"),
        (ServerFailed("x"), [ServerFailed("x", retry_after_s=9.0)], 8.9, None),
        (RateLimited("x"), [RateLimited("x", retry_after_s=60.0)], None, b"60"),
    ],
)
def test_when_to_come_back_is_told_as_far_as_it_is_known(error, errors, rest_s, told):
    """Clients that obey would not come back if they were told to give up, too."""
    expected = NO_RETRY if told is None else b"retry-after: %b\r\n" % told
    assert failure_headers(error, errors, rest_s) == expected


def test_nobody_is_let_wait_for_longer_than_a_minute():
    headers = failure_headers(RateLimited("x"), [RateLimited("x", retry_after_s=60.1)])
    assert headers == NO_RETRY + b"retry-after: 61\r\n"


def test_one_failure_speaks_for_itself_and_many_are_listed():
    failures = Failures()
    assert failures.verdict().message.endswith("unavailable (this name leads to no model that is served).")
    failures.failed("a", ServerFailed("broken"))
    assert failures.verdict() is failures.errors[0]
    failures.skipped("b", "breaker_open")
    failures.skipped("a", "breaker_open")
    assert failures.verdict().message == "All providers are currently unavailable (a: broken; b: breaker open)."


def test_reasons_read_as_a_sentence():
    failures = Failures()
    failures.failed("a", ServerFailed("The provider is broken."))
    failures.skipped("b", "tags")
    failures.skipped("c", "missing_capability:tools")
    assert failures.verdict().message == (
        "All providers are currently unavailable "
        "(a: The provider is broken; b: lacks a tag that was asked for; c: missing capability: tools)."
    )


def test_rate_limits_alone_are_a_rate_limit():
    failures = Failures()
    failures.failed("a", RateLimited("first"))
    failures.failed("b", RateLimited("second"))
    assert failures.verdict() is failures.errors[1]
    failures.failed("c", ServerFailed("broken"))
    assert failures.verdict().status == 503
    failures.final = failures.errors[0]
    assert failures.verdict() is failures.errors[0]


def test_a_model_that_nobody_has_is_not_found():
    failures = Failures()
    failures.failed("a", ModelNotFound("first"))
    failures.failed("b", ModelNotFound("second"))
    assert failures.verdict() is failures.errors[1]
    failures.skipped("c", "breaker_open")
    assert failures.verdict().status == 503


def test_an_error_that_is_kept_forgets_its_frames_also_when_causes_come_back_to_themselves():
    first, second = ServerFailed("first"), Overloaded("second")
    for error, cause in ((first, None), (second, first)):
        with pytest.raises(type(error)):
            raise error from cause
    first.__cause__ = second
    assert first.__traceback__ is not None
    Failures().failed("one", second)
    assert (first.__traceback__, second.__traceback__) == (None, None)
