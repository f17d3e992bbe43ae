"""Finished calls for tests, with only what a test cares about spelled out."""

from collections.abc import Collection
from typing import Any

from monitoring.finished_call import FinishedAttempt, FinishedCall
from monitoring.metrics import RequestMetrics
from monitoring.tally import Tally, tallies


def attempt(provider: str = "openai", outcome: str = "success", **fields: Any) -> FinishedAttempt:
    fields.setdefault("deployment", f"{provider}/gpt-4")
    return FinishedAttempt(provider, outcome=outcome, **fields)


def finished(**fields: Any) -> FinishedCall:
    fields = {
        "request_id": "req_1",
        "endpoint": "chat/completions",
        "status": 200,
        "ended_at": 1_700_000_000.25,
        "duration_s": 1.5,
        "provider": "openai",
        "deployment": "openai/gpt-4",
        "model": "gpt-4",
        **fields,
    }
    fields.setdefault("attempts", (attempt(fields["provider"]),))
    return FinishedCall(**fields)


def told(*calls: FinishedCall) -> tuple[tuple[FinishedCall, ...], Collection[Tally]]:
    """What metrics and the live page are told of calls that ended together."""
    return calls, tallies(calls)


def totals(metrics: RequestMetrics, metric: str) -> dict[tuple[str, ...], float]:
    """A counter's sums over all workers, by label values."""
    return {key[1:]: sum(each) for key, each in metrics._store.read().items() if key[0] == metric}
