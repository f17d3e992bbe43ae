"""Calls that ended together, added up once for all that count them. Pure.

Under load some tens of calls are told of at a time, most of them of one provider and one kind: then one addition per
number stands for all of them, in the metrics as on the live page.
"""

from bisect import bisect_left
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Sequence

from monitoring.finished_call import FinishedCall, start_of_answer_s
from monitoring.metric_names import LATENCY_BUCKETS_S, OVERHEAD_BUCKETS_S


class Tally:
    """The calls of one provider, endpoint and status that ended in the same second of Unix time. `durations`,
    `first_tokens` (counted from the start of the attempt that answered) and `overheads` count them by the number of their
    bucket, only those that hold any; behind the last bucket is one more, for what exceeds all of these."""

    __slots__ = (
        "cached", "calls", "cost_nano_usd", "duration_s", "durations", "endpoint", "first_token_s",
        "first_tokens", "input", "output", "overhead_s", "overheads", "provider", "reasoning", "second", "status",
    )  # fmt: skip

    def __init__(self, provider: str, endpoint: str, status: int, second: int, calls: Collection[FinishedCall]) -> None:
        self.provider = provider
        self.endpoint = endpoint
        self.status = status
        self.second = second
        self.calls = len(calls)
        self.input = sum([call.input_tokens for call in calls])
        self.output = sum([call.output_tokens for call in calls])
        self.cached = sum([call.cached_tokens for call in calls])
        self.reasoning = sum([call.reasoning_tokens for call in calls])
        self.cost_nano_usd = sum([call.cost_nano_usd or 0 for call in calls])
        durations = [call.duration_s for call in calls]
        first_tokens = [
            first if len(call.attempts) < 2 else first - start_of_answer_s(call)
            for call in calls
            if (first := call.first_token_s) is not None
        ]
        overheads = [overhead for call in calls if (overhead := call.overhead_s) is not None]
        self.duration_s, self.durations = sum(durations), _spread(durations, LATENCY_BUCKETS_S)
        self.first_token_s, self.first_tokens = sum(first_tokens), _spread(first_tokens, LATENCY_BUCKETS_S)
        self.overhead_s, self.overheads = sum(overheads), _spread(overheads, OVERHEAD_BUCKETS_S)


def _spread(seconds: Sequence[float], buckets: Sequence[float]) -> Counter[int]:
    return Counter([bisect_left(buckets, each) for each in seconds])


def tallies(calls: Iterable[FinishedCall]) -> Sequence[Tally]:
    alike: defaultdict[tuple[str, str, int, int], list[FinishedCall]] = defaultdict(list)
    for call in calls:
        alike[call.provider, call.endpoint, call.status, int(call.ended_at)].append(call)
    return [Tally(*key, some) for key, some in alike.items()]
