"""What an error quotes of the request has no consequences for others; which credential, model or field it is about."""

from typing import Any

import pytest

from providers.dialects.upstream_errors import error_of_object
from providers.errors import (
    ClientFault,
    CredentialRejected,
    ModelNotFound,
    QuotaExhausted,
    ServerFailed,
    UpstreamError,
)
from tests.unit.providers.test_upstream_errors import openai, read

ECHOES = [
    "Invalid value: 'invalid api key'. Supported values are: 'low', 'high'.",
    "invalid request: messages[1]: tool_call_id 'invalid api key' has no matching tool call in the message before it",
    "messages.1: unexpected `tool_use_id` found in `tool_result` blocks: incorrect api key provided: x",
    "'no api key supplied' is not one of ['auto', 'none']",
    '"Invalid API token." is no tool',
    "invalid api key: Extra inputs are not permitted",
    "Incorrect API key provided: Input should be a valid string",
    "Invalid value: 'You exceeded your current quota'.",
    "Invalid value: 'your credit balance is too low'.",
    "`spend limit` is no tool",
    "Unknown role 'we are out of credits, 10 calls / month'",
    "You have reached your specified API usage limits: Extra inputs are not permitted",
]


@pytest.mark.parametrize("message", ECHOES)
@pytest.mark.parametrize(("status", "kind"), [(400, ClientFault), (500, ServerFailed), (422, ClientFault)])
def test_a_client_that_is_quoted_takes_the_credential_from_nobody(
    message: str, status: int, kind: type[UpstreamError]
) -> None:
    for body in (openai(message), {"message": message}, {"code": "bad", "error": message}, message.encode()):
        error = read(status, body)
        assert type(error) is kind
        assert not error.disables_credential
        assert not error.cools_credential


@pytest.mark.parametrize(
    "message", ["Incorrect API key provided: ab***yz.", "Invalid API key", "You exceeded your current quota, check it."]
)
@pytest.mark.parametrize("status", [400, 403, 500])
def test_an_error_about_a_field_is_none_about_the_credential(message: str, status: int) -> None:
    error = read(status, openai(message, param="tool_choice"))
    assert not error.disables_credential
    if status != 500:
        assert type(error) is ClientFault
        assert (error.status, error.param) == (400, "tool_choice")


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        (
            "Incorrect API key provided: sk-abcdefghijkl. You can find your API key at https://x.test.",
            CredentialRejected,
        ),
        ("Incorrect API key provided", CredentialRejected),
        ("Invalid API key", CredentialRejected),
        ("Invalid API key.", CredentialRejected),
        ("Invalid API key provided.", CredentialRejected),
        ("invalid api token", CredentialRejected),
        ("no api key supplied", CredentialRejected),
        ("invalid x-api-key", CredentialRejected),
        ("API key expired. Please renew the API key.", CredentialRejected),
        ("You exceeded your current quota, please check your plan and billing details.", QuotaExhausted),
        ("Your credit balance is too low to access the Anthropic API. Please go to Plans & Billing.", QuotaExhausted),
        ("Billing hard limit has been reached", QuotaExhausted),
    ],
)
@pytest.mark.parametrize("status", [400, 500])
def test_a_vendor_that_begins_with_it_means_the_credential(
    message: str, kind: type[UpstreamError], status: int
) -> None:
    assert type(read(status, openai(message))) is kind
    assert type(read(status, message.encode())) is kind


@pytest.mark.parametrize("status", [400, 403, 500])
def test_a_code_decides_whatever_the_text_says(status: int) -> None:
    assert type(read(status, openai("Invalid value: 'x'", code="invalid_api_key"))) is CredentialRejected
    assert type(read(status, openai("Invalid value: 'x'", code="insufficient_quota"))) is QuotaExhausted


def test_an_error_in_a_200_is_read_with_the_same_caution() -> None:
    assert type(error_of_object({"error": {"message": "tool 'invalid api key' failed"}})) is ServerFailed
    assert type(error_of_object({"error": {"message": "Invalid API key"}})) is CredentialRejected


@pytest.mark.parametrize(
    "body",
    [
        openai("Project `proj_x` does not have access to model `lm`", code="model_not_found"),
        openai("Project `proj_x` does not have access to model `lm`"),
        openai("You are not allowed to sample from this model"),
        openai("Not for you.", param="model"),
    ],
)
def test_a_403_about_one_model_leaves_the_credential_to_the_others(body: Any) -> None:
    error = read(403, body)
    assert type(error) is ModelNotFound
    assert (error.status, error.upstream_status) == (404, 403)
    assert error.fails_over
    consequences = (error.disables_credential, error.cools_credential, error.trips_breaker)
    assert consequences == (False, False, False)


def test_a_400_with_the_code_for_it_is_about_the_model_too() -> None:
    assert type(read(400, openai("The requested model 'x' does not exist.", code="model_not_found"))) is ModelNotFound


@pytest.mark.parametrize(
    "fields",
    [
        {"message": "API key not valid. Please pass a valid API key."},
        {"message": "API Key not found. Please pass a valid API key."},
        {"message": "Anything", "details": [None, {"@type": "x.ErrorInfo", "reason": "API_KEY_INVALID"}]},
    ],
)
def test_geminis_word_about_the_key_is_not_about_the_client(fields: dict[str, Any]) -> None:
    error = {"code": 400, "status": "INVALID_ARGUMENT", **fields}
    assert type(read(400, [{"error": error}])) is CredentialRejected
    assert type(read(400, {"error": error})) is CredentialRejected


WRONG_EFFORT = {
    "type": "literal_error",
    "loc": ["body", "reasoning_effort"],
    "msg": "Input should be 'low'",
    "input": "xhigh",
}


@pytest.mark.parametrize(
    ("body", "message", "param"),
    [
        ({"detail": [WRONG_EFFORT]}, "body.reasoning_effort: Input should be 'low'", "reasoning_effort"),
        ({"error": {"detail": [WRONG_EFFORT]}}, "body.reasoning_effort: Input should be 'low'", "reasoning_effort"),
        ({"message": {"detail": [WRONG_EFFORT]}}, "body.reasoning_effort: Input should be 'low'", "reasoning_effort"),
        (
            {"detail": [{"loc": ["body", "messages", 0, "role"], "msg": "a"}, {"loc": ["body", "n"], "msg": "b"}]},
            "body.messages.0.role: a; body.n: b",
            "messages.0.role",
        ),
        ({"detail": [{"msg": "a"}, "b", {"loc": "x"}, None]}, "a; b; invalid; invalid", None),
        ({"detail": [{"loc": ["body"], "msg": "a"}]}, "body: a", None),
        ({"detail": []}, "The provider answered with status 422.", None),
    ],
)
def test_tells_which_fields_a_validation_error_is_about(body: Any, message: str, param: str | None) -> None:
    error = read(422, body)
    assert type(error) is ClientFault
    assert (error.message, error.param, error.status) == (message, param, 422)
