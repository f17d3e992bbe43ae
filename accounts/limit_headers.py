"""The x-ratelimit response headers and the sentence of a refusal. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

from accounts.header_lines import HeaderLines, HeaderPairs, header_pairs
from accounts.limit_store import Refused
from accounts.limits import RuleState
from accounts.records import LimitRule

OF_REQUESTS, OF_TOKENS = [
    b"x-ratelimit-limit-%b: %%d\r\nx-ratelimit-remaining-%b: %%d\r\nx-ratelimit-reset-%b: %%b\r\n" % (kind, kind, kind)
    for kind in (b"requests", b"tokens")
]


def rate_lines(rules: Sequence[LimitRule], states: Sequence[RuleState]) -> HeaderLines:
    """Of the tightest rule of each kind; `reset` is the time until all of it is available again, as `12ms` or `4.2s`."""
    requests: RuleState | None = None
    tokens: RuleState | None = None
    for rule, state in zip(rules, states, strict=True):
        if rule.kind == "requests":
            if requests is None or state[1] < requests[1]:
                requests = state
        elif rule.kind == "tokens" and (tokens is None or state[1] < tokens[1]):
            tokens = state
    return _lines(OF_REQUESTS, requests) + _lines(OF_TOKENS, tokens)


def _lines(form: bytes, state: RuleState | None) -> HeaderLines:
    if state is None:
        return b""
    limit, remaining, reset_s = state
    return form % (limit, remaining, _duration(ceil(reset_s * 1000)))


def refusal_headers(rules: Sequence[LimitRule], refused: Refused) -> HeaderPairs:
    """The same, and when to come back: in whole seconds rounded up and in milliseconds."""
    return (*header_pairs(rate_lines(rules, refused.states)), *_comeback(refused))


def _comeback(refused: Refused) -> HeaderPairs:
    if refused.rule.kind == "concurrency":
        # Nobody knows when a running call ends; a second is the usual pause.
        return ((b"retry-after", b"1"),)
    if refused.retry_after_s is None:
        return ((b"x-should-retry", b"false"),)
    return (
        (b"retry-after", b"%d" % ceil(refused.retry_after_s)),
        (b"retry-after-ms", b"%d" % ceil(refused.retry_after_s * 1000)),
    )


def refusal_of(refused: Refused) -> str:
    rule = refused.rule
    whose = "the key's team" if rule.scope.startswith("team:") else "this key"
    if rule.kind == "concurrency":
        return f"Too many requests at once: {whose} may have {rule.limit} running."
    what = f"{rule.limit} {rule.kind} per {rule.window_s} s for {whose}"
    if refused.retry_after_s is None:
        return f"This request alone is larger than the rate limit of {what}."
    return f"Rate limit reached: {what}. Try again in {refused.retry_after_s:.3f} s."


@lru_cache(maxsize=16)
def _duration(milliseconds: int) -> bytes:
    """Remembered because the windows of one call mostly end together."""
    if milliseconds < 1000:
        return b"%dms" % milliseconds
    return (b"%d.%03d" % divmod(milliseconds, 1000)).rstrip(b"0").rstrip(b".") + b"s"
