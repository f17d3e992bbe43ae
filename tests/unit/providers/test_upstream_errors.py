"""Every status and body shape → the error class that carries its consequence."""

import json
from typing import Any

import pytest

from providers.dialects.redaction import MAX_MESSAGE_CHARS, redact
from providers.dialects.retry_after import duration_s, retry_after_s
from providers.dialects.upstream_errors import error_of_object, read_error
from providers.errors import (
    ClientFault,
    ContentFiltered,
    ContextOverflow,
    CredentialRejected,
    ModelNotFound,
    Overloaded,
    QuotaExhausted,
    RateLimited,
    ServerFailed,
    TooLargeForRate,
    UpstreamError,
    knowing_the_secret,
)
from routing.errors import error_body


def read(status: int, body: Any, **headers: str) -> UpstreamError:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return read_error(status, {name.replace("_", "-"): value for name, value in headers.items()}, raw)


def openai(message: str = "no", **fields: Any) -> dict[str, Any]:
    return {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": None, **fields}}


@pytest.mark.parametrize(
    ("status", "body", "kind", "client_status"),
    [
        (
            400,
            openai("Unsupported parameter: 'max_tokens'", code="unsupported_parameter", param="max_tokens"),
            ClientFault,
            400,
        ),
        (413, openai("too big"), ClientFault, 413),
        (422, {"detail": "field required"}, ClientFault, 422),
        (401, openai("Incorrect API key provided", code="invalid_api_key"), CredentialRejected, 502),
        (403, openai("country not supported", code="unsupported_country_region_territory"), CredentialRejected, 502),
        (402, {"error": {"code": 402, "message": "Insufficient credits"}}, QuotaExhausted, 503),
        (429, openai("slow down", type="requests", code="rate_limit_exceeded"), RateLimited, 429),
        (
            429,
            openai("You exceeded your current quota, please check your plan", code="insufficient_quota"),
            QuotaExhausted,
            503,
        ),
        (
            429,
            {
                "type": "error",
                "error": {"type": "rate_limit_error", "message": "x", "details": {"error_code": "ramp_limit_exceeded"}},
            },
            QuotaExhausted,
            503,
        ),
        (
            429,
            {"message": "You are using a Trial key, which is limited to 1000 API calls / month."},
            QuotaExhausted,
            503,
        ),
        (429, {"message": "You are using a Trial key, which is limited to 10 API calls / minute."}, RateLimited, 429),
        (
            400,
            {"type": "error", "error": {"type": "invalid_request_error", "message": "Your credit balance is too low"}},
            QuotaExhausted,
            503,
        ),
        (404, openai("The model 'x' does not exist", code="model_not_found"), ModelNotFound, 404),
        (
            404,
            {
                "error": {
                    "code": "DeploymentNotFound",
                    "message": "The API deployment for this resource does not exist.",
                }
            },
            ModelNotFound,
            404,
        ),
        (404, {"error": {"code": "404", "message": "Resource not found"}}, ClientFault, 404),
        (404, b"<html>nothing here</html>", ServerFailed, 502),
        (404, b"", ServerFailed, 502),
        (
            400,
            {"code": "Client specified an invalid argument", "error": "Incorrect API key provided: ab***yz."},
            CredentialRejected,
            502,
        ),
        (
            400,
            {
                "code": "Client specified an invalid argument",
                "error": "This model's maximum prompt length is 131072 but the request contains 136973 tokens.",
            },
            ContextOverflow,
            400,
        ),
        (400, openai("x", code="context_length_exceeded"), ContextOverflow, 400),
        (
            413,
            {"type": "error", "error": {"type": "request_too_large", "message": "prompt is too long"}},
            ContextOverflow,
            400,
        ),
        (
            400,
            openai("filtered", code="content_filter", innererror={"code": "ResponsibleAIPolicyViolation"}),
            ContentFiltered,
            400,
        ),
        (400, openai("no", code="content_policy_violation"), ContentFiltered, 400),
        (
            403,
            {"error": {"code": 403, "message": "flagged", "metadata": {"reasons": ["x"], "flagged_input": "y"}}},
            ContentFiltered,
            400,
        ),
        (498, {"message": "blocked"}, ContentFiltered, 400),
        (498, openai("Flex tier capacity exceeded", type="flex", code="capacity_exceeded"), Overloaded, 503),
        (
            413,
            openai(
                "Request too large for model `m` in organization `o` service tier `on_demand` on tokens per minute (TPM): "
                "Limit 12000, Requested 14137, please reduce your message size and try again.",
                type="tokens",
                code="rate_limit_exceeded",
            ),
            TooLargeForRate,
            413,
        ),
        (
            429,
            openai(
                "Request too large for gpt-4o on tokens per min (TPM): Limit 30000, Requested 342389. The input or output "
                "tokens must be reduced in order to run successfully.",
                type="tokens",
                code="rate_limit_exceeded",
            ),
            TooLargeForRate,
            413,
        ),
        (408, {"error": {"message": "late"}}, ServerFailed, 504),
        (504, b"", ServerFailed, 504),
        (524, b"<html>", ServerFailed, 504),
        (500, openai("oops", type="server_error"), ServerFailed, 502),
        (502, b"Bad Gateway", ServerFailed, 502),
        (503, {"message": "x"}, Overloaded, 503),
        (529, {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}, Overloaded, 503),
        (302, b"", ServerFailed, 502),
        (405, b"", ServerFailed, 502),
        (407, b"<html>Access denied to robot</html>", ServerFailed, 502),
        (410, {"error": "gone"}, ServerFailed, 502),
        (400, [{"error": {"code": 400, "message": "list", "status": "INVALID_ARGUMENT"}}], ClientFault, 400),
        (400, "a JSON string", ClientFault, 400),
        (400, b"plain text", ClientFault, 400),
        (400, b"\xff\xfe", ClientFault, 400),
        (400, {"statusCode": 400, "message": "gateway"}, ClientFault, 400),
        (400, {"error": {"message": {"nested": 1}, "code": {"x": 1}, "type": []}}, ClientFault, 400),
        (500, None, ServerFailed, 502),
    ],
)
def test_maps_every_sign_to_its_consequence(
    status: int, body: Any, kind: type[UpstreamError], client_status: int
) -> None:
    error = read(status, body)
    assert type(error) is kind
    assert error.status == client_status
    assert error.upstream_status == status
    assert error.message
    assert set(error_body(error)["error"]) == {"message", "type", "param", "code"}


GEMINIS_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details.\n"
    "* Quota exceeded for metric: generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 15"
)


def gemini(period: str, message: str = GEMINIS_QUOTA) -> list[Any]:
    violation = {"quotaId": f"GenerateRequestsPer{period}PerProjectPerModel-FreeTier", "quotaValue": "15"}
    details = [
        {"@type": "type.googleapis.com/google.rpc.QuotaFailure", "violations": [violation]},
        {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "34.07s"},
    ]
    return [{"error": {"code": 429, "message": message, "status": "RESOURCE_EXHAUSTED", "details": details}}]


def test_geminis_limit_per_minute_is_over_when_it_says() -> None:
    for message in (GEMINIS_QUOTA, f"{GEMINIS_QUOTA}\nPlease retry in 34.07s.", "Resource has been exhausted."):
        error = read(429, gemini("Minute", message))
        assert type(error) is RateLimited
        assert error.retry_after_s == pytest.approx(34.07)


def test_geminis_limit_per_day_is_a_quota() -> None:
    assert type(read(429, gemini("Day"))) is QuotaExhausted


def test_a_request_that_is_too_large_for_a_rate_goes_on_without_consequences_for_others() -> None:
    error = TooLargeForRate("x", status=413)
    consequences = (error.trips_breaker, error.cools_credential, error.disables_credential)
    assert error.fails_over
    assert not any(consequences)


@pytest.mark.parametrize("status", [408, 504, 524])
def test_calls_a_late_upstream_a_timeout(status: int) -> None:
    error = error_body(read(status, b""))["error"]
    assert (error["type"], error["code"]) == ("timeout", "upstream_timeout")


def test_passes_on_what_helps_the_client() -> None:
    error = read(400, openai("Unsupported value", code="unsupported_value", param="temperature"))
    assert error_body(error)["error"] == {
        "message": "Unsupported value",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "unsupported_value",
    }


@pytest.mark.parametrize("code", [400, "400", None, "None", ""])
def test_never_shows_a_number_as_code(code: Any) -> None:
    assert error_body(read(400, openai("x", code=code)))["error"]["code"] is None


def test_says_nothing_of_the_credential_to_the_client() -> None:
    error = read(401, openai("Incorrect API key provided: sk-proj-1234567890abcdef."))
    assert "sk-" not in json.dumps(error_body(error))
    assert "Incorrect" not in error.message
    assert error.detail is not None
    assert "1234567890" not in json.dumps(error.detail)


def test_looks_into_what_a_provider_passes_on_from_its_own() -> None:
    raw = json.dumps({"error": {"message": "maximum context length is 4096 tokens"}})
    error = read(400, {"error": {"code": 400, "message": "Provider returned error", "metadata": {"raw": raw}}})
    assert isinstance(error, ContextOverflow)
    assert error.limit_tokens == 4096


@pytest.mark.parametrize(
    ("value", "kind"),
    [
        ({"error": {"message": "x", "code": 429}}, RateLimited),
        ({"error": {"message": "x", "code": "429"}}, RateLimited),
        ({"error": {"message": "x", "type": "rate_limit_error"}}, RateLimited),
        ({"type": "error", "error": {"message": "x", "type": "overloaded_error"}}, Overloaded),
        (
            {"error": {"message": "x", "code": 400, "metadata": {"error_type": "context_length_exceeded"}}},
            ContextOverflow,
        ),
        ({"error": {"message": "x", "metadata": {"error_type": "provider_overloaded"}}}, Overloaded),
        ({"error": {"message": "x", "type": "authentication_error"}}, CredentialRejected),
        ({"error": {"message": "x", "type": "invalid_request_error"}}, ClientFault),
        ({"error": {"message": "x", "code": "content_filter"}}, ContentFiltered),
        ({"error": {"message": "x", "code": "insufficient_quota"}}, QuotaExhausted),
        ({"error": {"message": "x", "code": 99999999999}}, ServerFailed),
        ({"error": {"message": "token 429 of 503"}}, ServerFailed),
        ({"error": True}, ServerFailed),
        ({}, ServerFailed),
    ],
)
def test_reads_errors_inside_a_200(value: dict[str, Any], kind: type[UpstreamError]) -> None:
    assert type(error_of_object(value)) is kind


DATE = "Mon, 23 Nov 2026 12:00:00 GMT"


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": " 20s "}, 20),
        ({"retry-after": "1m30s"}, 90),
        ({"retry-after-ms": "250", "retry-after": "9"}, 0.25),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": DATE}, 30),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT", "date": DATE}, 0),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": "yesterday"}, None),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT", "date": "Mon, 23 Nov 2026 12:00:00 -0000"}, None),
        ({"retry-after": "-1"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({}, None),
    ],
)
def test_reads_every_form_of_retry_after(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after_s(headers) == seconds
    assert read_error(429, headers, b"{}").retry_after_s == seconds


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        ("Rate limit is exceeded. Try again in 2 seconds.", 2),
        ("Please retry after 7 seconds. More text.", 7),
        ("Please try again in 120ms.", 0.12),
        ("Please try again in 6.2s. Visit", 6.2),
        ("Please try again in 1m12.5s.", 72.5),
        ("Please try again in 5 minutes.", 300),
        ("Try again in 1 hour.", 3600),
        ("Please try again later.", None),
    ],
)
def test_reads_the_wait_from_the_text(message: str, seconds: float | None) -> None:
    error = read(429, openai(message))
    assert error.retry_after_s == (pytest.approx(seconds) if seconds is not None else None)


def test_a_proxy_that_wants_a_password_is_named_whatever_its_page_says() -> None:
    message = read(407, openai("Access denied to robot:hunter2")).message
    assert message == "A proxy on the way to the provider wants a user and a password that it knows (status 407)."


def test_reads_go_durations() -> None:
    assert duration_s("6m0s") == 360
    assert duration_s("12ms") == pytest.approx(0.012)
    assert duration_s("1h2m3s") == 3723
    assert duration_s("") is None
    assert duration_s("1x") is None


@pytest.mark.parametrize(
    "secret",
    [
        "sk-proj-abcdefghij1234567890",
        "sk-ant-api03-abcdefghij",
        "xai-abcdefghij1234567890",
        "pplx-abcdefghij1234567890",
        "AIzaSyA1234567890abcdefghijklmnop",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abc",
        "0123456789abcdef0123456789abcdef",
        "ab***yz",
    ],
)
def test_takes_out_whatever_looks_like_a_key(secret: str) -> None:
    assert secret not in redact(f"The key {secret} was refused")
    assert redact(f"Authorization: Bearer {secret}") == "Authorization: Bearer [redacted]"
    assert secret not in redact(f"GET /v1/models?key={secret}&x=1")
    assert redact(f"Incorrect API key provided: {secret}. See").startswith("Incorrect API key provided: [redacted]")


def test_leaves_ordinary_text_alone() -> None:
    text = "The model gpt-4o-mini-2024-07-18 refused 'max_tokens' (request req_12ab).\nSee https://x.test/a?b=1"
    assert redact(text) == text


def test_cuts_long_messages_and_control_characters() -> None:
    assert len(read(400, openai("x" * 100_000)).message) == MAX_MESSAGE_CHARS
    assert "\x00" not in redact("a\x00b\x1b[31m")


def test_who_sent_no_key_had_none_rejected() -> None:
    refused = read(401, openai("Incorrect API key provided."))
    assert knowing_the_secret(refused, "sk-1").message == "The provider rejected the configured credential."
    assert (
        knowing_the_secret(refused, "").message == "The provider asks for a credential, and none is configured for it."
    )
    broken = read(500, openai("broken"))
    assert knowing_the_secret(broken, "") is broken
    assert broken.message == "broken"
