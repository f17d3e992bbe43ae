"""Every overflow text of every provider is recognised, through the adapters' own door, and 200 other errors are not."""

import itertools

import orjson
import pytest

from providers.dialects.upstream_errors import read_error
from providers.errors import ContextOverflow
from routing.condensation import CondensationPolicy, overflow_by_keyword
from tests.unit.providers.test_overflow import TEXTS

KEYWORDS = CondensationPolicy().error_keywords
BODIES = (
    lambda text: {"error": {"message": text, "type": "invalid_request_error", "param": None, "code": None}},
    lambda text: {"type": "error", "error": {"type": "invalid_request_error", "message": text}},
    lambda text: {"code": "Client specified an invalid argument", "error": text},
    lambda text: {"message": text},
    lambda text: {"error": {"message": "Provider returned error", "code": 400, "metadata": {"raw": text}}},
)
OTHERS = (
    "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for claude-x",
    "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model",
    "Invalid 'user': string too long. Expected a string with maximum length 64, but got 80 instead.",
    "Requests have exceeded token rate limit of your current tier. Maximum context length is fine.",
    "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29000.",
    "You exceeded your current quota, please check your plan and billing details.",
    "Incorrect API key provided: ab***yz.",
    "The model `gpt-9` does not exist or you do not have access to it.",
    "Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.",
    "Invalid value for 'temperature': must be between 0 and 2.",
    "The response was filtered due to the prompt triggering content management policy.",
    "Invalid parameter: messages with role 'tool' must be a response to a preceding message with 'tool_calls'.",
    "messages.0: all messages must have non-empty content except for the optional final assistant message",
    "image exceeds 5 MB maximum: 6000000 bytes > 5242880 bytes",
    "The server had an error while processing your request. Sorry about that!",
    "Overloaded",
    "Request timed out.",
    "Your credit balance is too low to access the API.",
    "tools: List should have at most 128 items after validation, not 200",
    "Expected a string with at most 512 characters for 'tools[0].function.description'.",
)
STATUSES = (400, 401, 404, 413, 422, 429, 500, 502, 503, 529)


@pytest.mark.parametrize("status", [400, 413, 422])
@pytest.mark.parametrize("text", [text for text, *_ in TEXTS])
def test_every_providers_overflow_is_one(text: str, status: int) -> None:
    for body in BODIES:
        error = read_error(status, {}, orjson.dumps(body(text)))
        assert isinstance(overflow_by_keyword(error, KEYWORDS), ContextOverflow), body(text)


def test_two_hundred_other_errors_are_none() -> None:
    cases = list(itertools.product(OTHERS, STATUSES))
    assert len(cases) == 200
    for number, (text, status) in enumerate(cases):
        error = read_error(status, {}, orjson.dumps(BODIES[number % len(BODIES)](text)))
        assert not isinstance(overflow_by_keyword(error, KEYWORDS), ContextOverflow), (status, text)
