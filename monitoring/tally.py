"""Calls that ended together, added up once for all that count them. Pure.

Under load some tens of calls are told of at a time, most of them of one provider and one kind: then one addition per
number stands for all of them, in the metrics as on the live page.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Collection, Iterable

from monitoring.finished_call import FinishedCall
from monitoring.metric_names import LATENCY_BUCKETS_S, OVERHEAD_BUCKETS_S


class Tally:
    """The calls of one provider, endpoint and status that ended in the same second of Unix time. `durations`,
    `first_tokens` and `overheads` count them by the number of their bucket, only those that hold any; behind the last
    bucket is one more, for what exceeds all of these."""

    __slots__ = (
        "cached", "calls", "cost_nano_usd", "duration_s", "durations", "endpoint", "first_token_s",
        "first_tokens", "input", "output", "overhead_s", "overheads", "provider", "reasoning", "second", "status",
    )  # fmt: skip

    def __init__(self, provider: str, endpoint: str, status: int, second: int) -> None:
        self.provider = provider
        self.endpoint = endpoint
        self.status = status
        self.second = second
        self.calls = self.input = self.output = self.cached = self.reasoning = self.cost_nano_usd = 0
        self.duration_s = self.first_token_s = self.overhead_s = 0.0
        self.durations: defaultdict[int, int] = defaultdict(int)
        self.first_tokens: defaultdict[int, int] = defaultdict(int)
        self.overheads: defaultdict[int, int] = defaultdict(int)


def tallies(calls: Iterable[FinishedCall]) -> Collection[Tally]:
    found: dict[tuple[str, str, int, int], Tally] = {}
    for call in calls:
        key = call.provider, call.endpoint, call.status, int(call.ended_at)
        tally = found.get(key)
        if tally is None:
            tally = found[key] = Tally(*key)
        tally.calls += 1
        seconds = call.duration_s
        tally.duration_s += seconds
        tally.durations[bisect_left(LATENCY_BUCKETS_S, seconds)] += 1
        if (first := call.first_token_s) is not None:
            tally.first_token_s += first
            tally.first_tokens[bisect_left(LATENCY_BUCKETS_S, first)] += 1
        if (overhead := call.overhead_s) is not None:
            tally.overhead_s += overhead
            tally.overheads[bisect_left(OVERHEAD_BUCKETS_S, overhead)] += 1
        tally.input += call.input_tokens
        tally.output += call.output_tokens
        tally.cached += call.cached_tokens
        tally.reasoning += call.reasoning_tokens
        tally.cost_nano_usd += call.cost_nano_usd or 0
    return found.values()
