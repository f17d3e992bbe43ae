"""Every provider's way of saying that a conversation does not fit, and what only looks like it."""

import pytest

from providers.dialects.overflow import Overflow, find_overflow

TEXTS = [
    ("This model's maximum context length is 8192 tokens. However, your messages resulted in 9001 tokens.", 8192, 9001),
    (
        "This model's maximum context length is 4097 tokens, however you requested 5360 tokens "
        "(1360 in your prompt; 4000 for the completion).",
        4097,
        5360,
    ),
    ("Your input exceeds the context window of this model. Please adjust your input and try again.", None, None),
    ("Input tokens exceed the configured limit of 272000 tokens.", None, None),
    ("prompt is too long: 208310 tokens > 200000 maximum", 200000, 208310),
    ("prompt is too long: 208,310 tokens > 200,000 maximum", 200000, 208310),
    (
        "input length and `max_tokens` exceed context limit: 197000 + 8192 > 200000, decrease input length or `max_tokens` "
        "and try again",
        200000,
        205192,
    ),
    ("This model's maximum prompt length is 131072 but the request contains 136973 tokens.", 131072, 136973),
    (
        "This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens "
        "(130000 of text input, 10000 in the output).",
        131072,
        140000,
    ),
    ("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292.", None, None),
    ("too many tokens: size limit exceeded by 11326 tokens. Try using shorter or fewer inputs.", None, None),
    ("The input token count (1048576) exceeds the maximum number of tokens allowed (1000000).", 1000000, 1048576),
    ("the request exceeds the available context size (4096 tokens), try increasing it", 4096, None),
    ("The requested token count exceeds the model's maximum context length of 131072 tokens.", None, None),
    ("The prompt (5000 tokens) is longer than the model's context length (4096 tokens).", None, None),
    ("Input is too long for requested model.", None, None),
    ("current length is 5000 while limit is 4096", 4096, 5000),
    ("The maximum input length is 4096 tokens", 4096, None),
    (
        "The decoder prompt (length 21535) is longer than the maximum model length of 16384. Make sure that `max_model_len` "
        "is no smaller than the number of text tokens.",
        16384,
        21535,
    ),
    ("Prompt length of 5016 is longer than the maximum model length of 4096.", 4096, 5016),
    (
        "This model's maximum context length is 8192 tokens. However, your request has 9000 input tokens. Please reduce the "
        "length of the input messages.",
        8192,
        9000,
    ),
    ("request (5000 tokens) exceeds the available context size (4096 tokens), try increasing it", 4096, 5000),
    ("Input validation error: `inputs` must have less than 4096 tokens. Given: 5000", 4096, 5000),
]


@pytest.mark.parametrize(("message", "limit", "requested"), TEXTS)
def test_recognises_the_words_of_every_provider(message: str, limit: int | None, requested: int | None) -> None:
    for status in (200, 400, 413, 422):
        found = find_overflow(status=status, code=None, message=message)
        assert found is not None
        if limit is not None:
            assert found.limit_tokens == limit
        if requested is not None:
            assert found.requested_tokens == requested


def test_numbers_that_are_no_limit_are_not_taken_for_one() -> None:
    message = "too many tokens: size limit exceeded by 11326 tokens."
    assert find_overflow(status=400, code=None, message=message) == Overflow()


def test_reads_the_numbers_of_cohere() -> None:
    message = "too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 4292."
    assert find_overflow(status=400, code=None, message=message) == Overflow(limit_tokens=4081, requested_tokens=4292)


@pytest.mark.parametrize("code", ["context_length_exceeded", "token_limit_exceeded"])
def test_trusts_the_code_before_the_text(code: str) -> None:
    assert find_overflow(status=400, code=code, message="anything") is not None
    assert find_overflow(status=400, code=None, message="anything", error_type=code) is not None


def test_takes_a_request_that_is_too_large_for_one() -> None:
    assert find_overflow(status=413, code="request_too_large", message="Request exceeds the maximum size") is not None


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("string_above_max_length", "Invalid 'user': string too long. Expected a string with maximum length 64."),
        (None, "Invalid 'user': string too long. Expected a string with maximum length 64."),
        (None, "max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens for claude-x"),
        (None, "too many tokens: max tokens must be less than or equal to 4096, the maximum output for this model"),
        (None, "Requests have exceeded token rate limit of your current tier. Maximum context length is fine."),
        (None, "This model's maximum context length is fine, but the input exceeds 8192 tokens of an embedding"),
        (None, "Something else is wrong."),
        (None, ""),
    ],
)
def test_leaves_alone_what_only_looks_like_it(code: str | None, message: str) -> None:
    assert find_overflow(status=400, code=code, message=message) is None


@pytest.mark.parametrize("status", [401, 404, 429, 500, 503])
def test_looks_only_at_statuses_that_refuse_the_request(status: int) -> None:
    message = "This model's maximum context length is 8192 tokens."
    assert find_overflow(status=status, code="context_length_exceeded", message=message) is None


def test_is_not_impressed_by_endless_numbers() -> None:
    found = find_overflow(status=400, code=None, message="maximum context length is " + "9" * 5000)
    assert found is not None
    assert found.limit_tokens == int("9" * 18)
