import json

import pytest

from providers import errors
from providers.dialects.anthropic_messages import error_of_object, read_error


def body(kind, message="Something", **fields):
    error = {"type": kind, "message": message, **fields}
    return json.dumps({"type": "error", "error": error, "request_id": "req_1"}).encode()


def read(status, kind, message="Something", headers=None, **fields):
    return read_error(status, headers or {}, body(kind, message, **fields))


@pytest.mark.parametrize(
    ("status", "kind", "expected"),
    [
        (400, "invalid_request_error", errors.ClientFault),
        (401, "authentication_error", errors.CredentialRejected),
        (402, "billing_error", errors.QuotaExhausted),
        (403, "permission_error", errors.CredentialRejected),
        (404, "not_found_error", errors.ClientFault),
        (409, "conflict_error", errors.ServerFailed),
        (413, "request_too_large", errors.ContextOverflow),
        (422, "invalid_request_error", errors.ClientFault),
        (429, "rate_limit_error", errors.RateLimited),
        (500, "api_error", errors.ServerFailed),
        (502, "api_error", errors.ServerFailed),
        (503, "api_error", errors.Overloaded),
        (504, "timeout_error", errors.ServerFailed),
        (529, "overloaded_error", errors.Overloaded),
    ],
)
def test_every_status_has_its_consequence(status, kind, expected):
    error = read(status, kind)
    assert type(error) is expected
    assert error.upstream_status == status


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("invalid_request_error", errors.ClientFault),
        ("authentication_error", errors.CredentialRejected),
        ("billing_error", errors.QuotaExhausted),
        ("permission_error", errors.CredentialRejected),
        ("not_found_error", errors.ClientFault),
        ("request_too_large", errors.ContextOverflow),
        ("rate_limit_error", errors.RateLimited),
        ("timeout_error", errors.ServerFailed),
        ("overloaded_error", errors.Overloaded),
        ("api_error", errors.ServerFailed),
        ("something_new", errors.ServerFailed),
    ],
)
def test_inside_a_stream_the_type_says_what_the_status_cannot(kind, expected):
    assert type(error_of_object(json.loads(body(kind)))) is expected


def test_an_unknown_model_is_told_as_such():
    error = read(404, "not_found_error", "model: claude-nope")
    assert type(error) is errors.ModelNotFound
    assert error.status == 404


@pytest.mark.parametrize(
    ("message", "requested", "limit"),
    [
        ("prompt is too long: 208310 tokens > 200000 maximum", 208310, 200000),
        (
            "input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or "
            "`max_tokens` and try again",
            210000,
            200000,
        ),
    ],
)
def test_a_conversation_that_does_not_fit_gives_its_numbers(message, requested, limit):
    error = read(400, "invalid_request_error", message)
    assert type(error) is errors.ContextOverflow
    assert (error.requested_tokens, error.limit_tokens) == (requested, limit)


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (402, "linked_organization_spend_limit_reached"),
        (429, "enforced_spend_limit_reached"),
        (429, "contract_spend_limit_reached"),
        (429, "ramp_limit_exceeded"),
    ],
)
def test_spending_limits_are_not_worth_a_retry(status, code):
    assert type(read(status, "rate_limit_error", details={"error_code": code})) is errors.QuotaExhausted


@pytest.mark.parametrize(
    "message",
    [
        "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC.",
        "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.",
        "Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.",
    ],
)
def test_spending_limits_that_come_as_400_are_no_fault_of_the_client(message):
    assert type(read(400, "invalid_request_error", message)) is errors.QuotaExhausted


@pytest.mark.parametrize(
    "message",
    [
        "tools.0.custom.name: 'You have reached your specified API usage limits' is no name",
        "metadata: usage limits, to regain access",
        "You have reached your specified API usage limits: Extra inputs are not permitted",
    ],
)
@pytest.mark.parametrize("status", [400, 422])
def test_a_client_that_is_quoted_spends_nothing(message, status):
    assert isinstance(read(status, "invalid_request_error", message), errors.ClientFault)


def test_a_words_about_our_key_do_not_reach_the_client():
    error = read(401, "authentication_error", "invalid x-api-key")
    assert "x-api-key" not in error.message
    assert error.detail["upstream_message"] == "invalid x-api-key"


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ("temperature: Extra inputs are not permitted", "temperature"),
        ("`temperature` is deprecated for this model", "temperature"),
        ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", "temperature"),
        (
            "This model does not support assistant message prefill. The conversation must end with a user message.",
            "messages",
        ),
    ],
)
def test_what_only_this_model_refuses_may_go_to_another(message, field):
    error = read(400, "invalid_request_error", message)
    assert type(error) is errors.Unsupported
    assert error.param == field
    assert error.fails_over
    assert message.rstrip(".") in error.message


@pytest.mark.parametrize(
    "message",
    [
        "messages: text content blocks must be non-empty",
        "messages.1: `tool_use` ids were found without `tool_result` blocks immediately after: toolu_1",
        "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens",
        "messages: roles must alternate",
    ],
)
def test_the_clients_own_faults_are_passed_on_with_their_words(message):
    error = read(400, "invalid_request_error", message)
    assert type(error) is errors.ClientFault
    assert (error.message, error.status) == (message, 400)


def test_a_content_filter_is_told_as_such():
    assert (
        type(read(400, "invalid_request_error", "Output blocked by content filtering policy")) is errors.ContentFiltered
    )


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after-ms": "1500"}, 1.5),
        ({"retry-after": "Mon, 23 Nov 2026 10:00:30 GMT", "date": "Mon, 23 Nov 2026 10:00:00 GMT"}, 30),
        (
            {
                "date": "Mon, 23 Nov 2026 10:00:00 GMT",
                "anthropic-ratelimit-requests-remaining": "0",
                "anthropic-ratelimit-requests-reset": "2026-11-23T10:00:20Z",
                "anthropic-ratelimit-input-tokens-remaining": "0",
                "anthropic-ratelimit-input-tokens-reset": "2026-11-23T10:00:45Z",
                "anthropic-ratelimit-output-tokens-remaining": "900",
                "anthropic-ratelimit-output-tokens-reset": "2026-11-23T11:00:00Z",
            },
            45,
        ),
        ({"date": "Mon, 23 Nov 2026 10:00:00 GMT"}, None),
        ({"anthropic-ratelimit-requests-remaining": "0", "anthropic-ratelimit-requests-reset": "soon"}, None),
    ],
)
def test_a_rate_limit_says_how_long_to_wait(headers, seconds):
    error = read(429, "rate_limit_error", headers=headers)
    assert type(error) is errors.RateLimited
    assert error.retry_after_s == seconds


@pytest.mark.parametrize(
    "raw", [b"", b"<html>502</html>", b"upstream connect error", b"[]", b"null", b'{"error":null}', b"\xff"]
)
@pytest.mark.parametrize(("status", "expected"), [(502, errors.ServerFailed), (404, errors.UpstreamError)])
def test_bodies_that_are_no_error_object_never_crash(raw, status, expected):
    error = read_error(status, {}, raw)
    assert isinstance(error, expected)
    assert "<" not in error.message


def test_a_redirect_is_never_followed_nor_blamed_on_the_client():
    assert type(read_error(302, {"location": "http://elsewhere"}, b"")) is errors.ServerFailed
