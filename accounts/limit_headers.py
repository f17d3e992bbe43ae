"""The x-ratelimit response headers and the sentence of a refusal. Pure."""

from collections.abc import Sequence
from functools import lru_cache
from math import ceil

from accounts.errors import HeaderPairs
from accounts.limit_store import Refused, Taken
from accounts.limits import RuleState
from accounts.records import LimitRule

NAMES = {
    kind: tuple(f"x-ratelimit-{part}-{kind}".encode() for part in ("limit", "remaining", "reset"))
    for kind in ("requests", "tokens")
}


def headers_of(rules: Sequence[LimitRule], verdict: Taken | Refused) -> HeaderPairs | None:
    """Of the tightest rule of each kind; `reset` is the time until all of it is available again, as `12ms` or `4.2s`.
    A refusal also says when to come back, in whole seconds rounded up and in milliseconds."""
    tightest: dict[str, RuleState] = {}
    for rule, state in zip(rules, verdict.states, strict=True):
        held = tightest.get(rule.kind)
        if held is None or state.remaining < held.remaining:
            tightest[rule.kind] = state
    pairs: list[tuple[bytes, bytes]] = []
    for kind, (limit_name, remaining_name, reset_name) in NAMES.items():
        if kind in tightest:
            limit, remaining, reset_s = tightest[kind]
            pairs.append((limit_name, b"%d" % limit))
            pairs.append((remaining_name, b"%d" % remaining))
            pairs.append((reset_name, _duration(ceil(reset_s * 1000))))
    if isinstance(verdict, Refused):
        pairs += _comeback(verdict)
    return tuple(pairs) or None


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
