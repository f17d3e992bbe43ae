"""Recognises "the conversation does not fit" in what any provider says about a refused call. Pure.

Structured fields come first; the phrases are those of OpenAI, Azure, Anthropic, xAI, Cohere, OpenRouter, llama.cpp,
vLLM, TGI, Mistral and Gemini. What looks alike but is something else (an output limit, a string field that is too long, a
token rate, an embedding input) never counts.
"""

import re
from dataclasses import dataclass

OVERFLOW_STATUSES = frozenset({200, 400, 413, 422})
"""200 stands for an error inside a stream or inside a successful answer."""

_CODES = frozenset({"context_length_exceeded", "token_limit_exceeded"})

_PHRASES = (
    "maximum context length is",
    "maximum prompt length is",
    "prompt is too long",
    "too many tokens:",
    "prompt: length",
    "exceed context limit",
    "exceeds the context window",
    "input tokens exceed the configured limit",
    "requested token count exceeds the model's maximum context length",
    "is longer than the model's context length",
    "is longer than the maximum model length of",
    "`inputs` must have less than",
    "exceeds the maximum number of tokens allowed",
    "exceeds the available context size",
    "input is too long",
    "request_too_large",
)
_PHRASE_PAIRS = (
    ("current length is", "while limit is"),
    ("maximum input length is", "tokens"),
)
_NEVER = (
    "token rate limit",
    "string_above_max_length",
    "string too long",
    "maximum allowed number of output tokens",
    "max tokens must be",
    "input exceeds 8192",
)

_PAIR = re.compile(r"(\d[\d,]*) tokens > (\d[\d,]*) maximum")
_SUM = re.compile(r"exceed context limit: (\d[\d,]*) \+ (\d[\d,]*) > (\d[\d,]*)")
_LIMITS = (
    re.compile(r"maximum (?:context|prompt|input) length is (\d[\d,]*)"),
    re.compile(r"while limit is (\d[\d,]*)"),
    re.compile(r"prompt cannot exceed (\d[\d,]*)"),
    re.compile(r"maximum number of tokens allowed \((\d[\d,]*)\)"),
    re.compile(r"available context size \((\d[\d,]*)"),
    re.compile(r"maximum model length of (\d[\d,]*)"),
    re.compile(r"`inputs` must have less than (\d[\d,]*)"),
)
_REQUESTED = (
    re.compile(r"request contains (\d[\d,]*)"),
    re.compile(r"requested (?:about )?(\d[\d,]*) tokens"),
    re.compile(r"resulted in (\d[\d,]*) tokens"),
    re.compile(r"current length is (\d[\d,]*)"),
    re.compile(r"received (\d[\d,]*)"),
    re.compile(r"input token count \((\d[\d,]*)\)"),
    re.compile(r"your request has (\d[\d,]*) input tokens"),
    re.compile(r"prompt(?: \(length | length of )(\d[\d,]*)"),
    re.compile(r"request \((\d[\d,]*) tokens\)"),
    re.compile(r"given: (\d[\d,]*)"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Overflow:
    """Tokens as the provider gave them."""

    limit_tokens: int | None = None
    requested_tokens: int | None = None


def find_overflow(*, status: int, code: str | None, message: str, error_type: str | None = None) -> Overflow | None:
    """None when the error is about something else. `error_type` is OpenRouter's `metadata.error_type`."""
    if status not in OVERFLOW_STATUSES or code == "string_above_max_length":
        return None
    text = message.lower()
    if code in _CODES or error_type in _CODES:
        return _numbers(text)
    if code == "request_too_large" or _speaks_of_overflow(text):
        return _numbers(text)
    return None


def only_looks_like_it(message: str) -> bool:
    """Whether the words are those of another limit, whatever else they say."""
    text = message.lower()
    return any(phrase in text for phrase in _NEVER)


def _speaks_of_overflow(text: str) -> bool:
    if any(phrase in text for phrase in _NEVER):
        return False
    return any(phrase in text for phrase in _PHRASES) or any(a in text and b in text for a, b in _PHRASE_PAIRS)


def _numbers(text: str) -> Overflow:
    if both := _PAIR.search(text):
        return Overflow(requested_tokens=_integer(both[1]), limit_tokens=_integer(both[2]))
    if added := _SUM.search(text):
        return Overflow(requested_tokens=_integer(added[1]) + _integer(added[2]), limit_tokens=_integer(added[3]))
    return Overflow(limit_tokens=_first(_LIMITS, text), requested_tokens=_first(_REQUESTED, text))


def _first(patterns: tuple[re.Pattern[str], ...], text: str) -> int | None:
    for pattern in patterns:
        if found := pattern.search(text):
            return _integer(found[1])
    return None


def _integer(digits: str) -> int:
    return int(digits.replace(",", "")[:18])
