"""A finished call in plain values: what metrics, the log line, the live page and traces are told, once per call."""

from dataclasses import dataclass
from typing import NamedTuple

NO_PROVIDER = "none"
"""The `provider` of calls that reached none: refused, answered from the cache, or without a candidate."""
OTHER = "other"
"""Stands for every name that nobody configured, so that clients cannot grow a table or a metric."""
NOT_A_FAILURE = frozenset({"success", "running", "cancelled", "client_gone"})
"""Outcomes of an attempt that say nothing against its provider."""


class FinishedAttempt(NamedTuple):
    """One try. `started_s` and `first_token_s` count from the beginning of the call; `outcome` is `success` or the
    failure's reason."""

    provider: str
    deployment: str
    outcome: str
    status: int | None = None
    started_s: float = 0.0
    duration_s: float = 0.0
    first_token_s: float | None = None


@dataclass(slots=True)
class FinishedCall:
    """`provider` and `deployment` are those that answered or were tried last; `model` is a configured name or `other`.

    Tokens follow OpenAI's convention: `cached_tokens` and `cache_write_tokens` are inside `input_tokens`,
    `reasoning_tokens` inside `output_tokens`. `searches` of the web were run by the provider. `overhead_s` is the time spent
    in the gateway itself, `first_token_s` what the client waited. `cache` is `hit`, `miss`, `bypass` or None when no cache
    was asked. `trace_id` is 32 hexadecimal digits. `ended_at` is Unix time.

    No named tuple, because some sixty fields are read of each: an attribute takes a tenth of the time. Changed only until
    it is told of: `attempts` and `overhead_s` are known last.
    """

    request_id: str
    endpoint: str
    status: int
    ended_at: float
    duration_s: float
    provider: str = NO_PROVIDER
    deployment: str = ""
    model: str = OTHER
    stream: bool = False
    error_type: str | None = None
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    searches: int = 0
    cost_nano_usd: int | None = None
    first_token_s: float | None = None
    overhead_s: float | None = None
    attempts: tuple[FinishedAttempt, ...] = ()
    cache: str | None = None
    condensed: str | None = None
    key_id: int | str | None = None
    key_name: str = ""
    team: str | None = None
    revision: int = 0
    finish_reason: str | None = None
    usage_source: str | None = None
    trace_id: str | None = None
    parent_span_id: str | None = None


def start_of_answer_s(call: FinishedCall) -> float:
    """When the attempt began that answered: what was before it is no time of its provider. Beside a hedge it need not be
    the last."""
    return next(
        (each for each in call.attempts if each.first_token_s == call.first_token_s), call.attempts[-1]
    ).started_s
