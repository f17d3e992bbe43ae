"""Anthropic's errors, on top of what every provider's have in common. Pure.

Only what is Anthropic's own is here: spending limits that arrive as 400, request bodies that are too large because the
conversation is, models that refuse a parameter which others accept, and the time of a rate limit's reset.
"""

import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import parsedate_to_datetime

from providers import errors
from providers.dialects.upstream_errors import ErrorFacts, classify, facts_of_object, quota_exhausted, read_facts
from providers.errors import UpstreamError
from providers.types import JsonObject

_SPENDING = re.compile(
    r"reached your specified \S* ?usage limits|usage limits?\b.*regain access", re.IGNORECASE | re.DOTALL
)
_SPENDING_SENTENCE = re.compile(r"you have reached your (?:[\w']+ ){0,4}usage limits?(?=$|[.,;!])", re.IGNORECASE)
_EXTRA_INPUT = re.compile(r"^(?P<field>[a-z_][a-z0-9_.]*): Extra inputs are not permitted")
_REFUSED_BY_MODEL = (
    (re.compile(r"`(?P<field>[a-z_]+)` is deprecated for this model"), None),
    (re.compile(r"`(?P<field>temperature)` and `top_p` cannot both be specified"), None),
    (re.compile(r"does not support assistant message prefill"), "messages"),
    (
        re.compile(r"(?P<field>thinking|tool_choice|output_config|effort)\b.* not supported (?:on|by|for) this model"),
        None,
    ),
)
_RATE_HEADER = re.compile(r"anthropic-ratelimit-[a-z-]+-remaining")


def read_error(status: int, headers: Mapping[str, str], body: bytes, *, provider: str = "anthropic") -> UpstreamError:
    """The error of an answer whose status is 300 or more; header names are lower case."""
    return _classify(read_facts(status, headers, body), provider)


def error_of_object(value: JsonObject, *, provider: str = "anthropic") -> UpstreamError:
    """`{"type": "error", "error": {…}}` inside a stream or instead of an answer."""
    return _classify(facts_of_object(200, {}, value), provider)


def _classify(facts: ErrorFacts, provider: str) -> UpstreamError:
    error = _own(facts, provider) or classify(facts)
    if isinstance(error, errors.RateLimited) and error.retry_after_s is None:
        error.retry_after_s = _until_reset(facts.headers)
    return error


def _own(facts: ErrorFacts, provider: str) -> UpstreamError | None:
    if "request_too_large" in facts.words:
        return errors.ContextOverflow(facts.message, upstream_status=facts.status)
    if _speaks_of_spending(facts):
        return quota_exhausted(facts)
    if facts.status == 404 and facts.message.startswith("model:"):
        return errors.ModelNotFound(facts.message, upstream_status=404, param="model")
    if facts.status == 400 and (refused := _refused_field(facts.message)) is not None:
        return errors.Unsupported(field=refused, provider=provider, why=facts.message.rstrip("."))
    return None


def _speaks_of_spending(facts: ErrorFacts) -> bool:
    """As everywhere, a refused request may be quoted where the message does not begin with the vendor's own words."""
    if facts.status == 429:
        return _SPENDING.search(facts.message) is not None
    return facts.status in (400, 403) and facts.begins(_SPENDING_SENTENCE)


def _refused_field(message: str) -> str | None:
    if extra := _EXTRA_INPUT.match(message):
        return extra["field"]
    for pattern, name in _REFUSED_BY_MODEL:
        if found := pattern.search(message):
            return name or found["field"]
    return None


def _until_reset(headers: Mapping[str, str]) -> float | None:
    """Seconds until the last exhausted limit is filled again, counted from the answer's own date."""
    resets = [
        headers.get(name.removesuffix("remaining") + "reset", "")
        for name, value in headers.items()
        if _RATE_HEADER.fullmatch(name) and value.strip() == "0"
    ]
    try:
        sent_at = parsedate_to_datetime(headers.get("date", ""))
        waits = [(datetime.fromisoformat(reset) - sent_at).total_seconds() for reset in resets]
    except (TypeError, ValueError):
        return None
    return max(0.0, *waits) if waits else None
