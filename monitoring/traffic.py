"""The last minutes of one worker's calls, second by second, for the live page. No clock: a call says when it ended.

Each second holds one row of sums for each provider that was used in it; rows are plain lists, so that workers can send
them to each other as JSON (`rows`, `merge`). A call counts in the second in which it ended.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import NamedTuple, TypeAlias

from monitoring.finished_call import FinishedCall
from monitoring.tally import Tally

Row: TypeAlias = list[int | float]
REQUESTS, ERRORS, INPUT, OUTPUT, CACHED, COST, DURATION, FIRST, FIRST_COUNT, CACHE_HITS = range(10)
WIDTH = 10
SPAN_S = 300
RECENT = 200


class TrafficSums(NamedTuple):
    """Sums over `seconds`; `first_token_s` and `duration_s` are means, None without a call to take them from."""

    seconds: int
    requests: int
    errors: int
    input_tokens: int
    output_tokens: int
    cached_tokens: int
    cost_nano_usd: int
    cache_hits: int
    duration_s: float | None
    first_token_s: float | None

    @property
    def requests_per_s(self) -> float:
        return self.requests / self.seconds

    @property
    def tokens_per_s(self) -> float:
        return self.output_tokens / self.seconds

    @property
    def error_rate(self) -> float:
        return self.errors / self.requests if self.requests else 0.0


class Traffic:
    """`span_s` seconds in a ring, and the last `recent` calls. Used by the event loop; pages read it there too."""

    def __init__(self, *, span_s: int = SPAN_S, recent: int = RECENT) -> None:
        self._span_s = span_s
        self._ring: list[tuple[int, dict[str, Row]]] = [(-1, {}) for _ in range(span_s)]
        self.recent: deque[FinishedCall] = deque(maxlen=recent)
        self.finished = 0

    def observe(self, calls: Sequence[FinishedCall], tallies: Iterable[Tally]) -> None:
        """`tallies` are of these calls."""
        self.finished += len(calls)
        self.recent.extend(calls)
        for tally in tallies:
            row = self._row(tally.second, tally.provider)
            row[REQUESTS] += tally.calls
            # A client that left is no error of ours, nor is what it asked for wrongly: only what could not be served.
            if tally.status >= 500:
                row[ERRORS] += tally.calls
            row[INPUT] += tally.input
            row[OUTPUT] += tally.output
            row[CACHED] += tally.cached
            row[COST] += tally.cost_nano_usd
            row[DURATION] += tally.duration_s
            row[FIRST] += tally.first_token_s
            row[FIRST_COUNT] += sum(tally.first_tokens.values())
            row[CACHE_HITS] += tally.cache_hits

    def _row(self, second: int, provider: str) -> Row:
        index = second % self._span_s
        at, rows = self._ring[index]
        if at != second:
            rows = {}
            self._ring[index] = (second, rows)
        row = rows.get(provider)
        if row is None:
            row = rows[provider] = [0] * WIDTH
        return row

    # ---------------------------------------------------------------------------------------------------- reading

    def rows(self, *, since: int, until: int) -> dict[int, dict[str, Row]]:
        """The seconds `since` ≤ s < `until` that had calls. Ask for whole seconds that are over, and each only once, to
        hand them to another worker's `merge`."""
        since = max(since, until - self._span_s)
        found = (self._ring[second % self._span_s] for second in range(since, until))
        return {second: rows for second, rows in found if since <= second < until and rows}

    def merge(self, theirs: dict[int, dict[str, Row]]) -> None:
        """Adds another worker's rows to these."""
        for second, rows in theirs.items():
            # What is older than the ring would push out what is newer.
            if self._ring[second % self._span_s][0] > second:
                continue
            for provider, row in rows.items():
                mine = self._row(second, provider)
                mine[:] = [one + other for one, other in zip(mine, row, strict=True)]

    def total(self, *, now: float, window_s: int = 60) -> TrafficSums:
        """The whole seconds of the window before the one that is running."""
        until = int(now)
        window = self.rows(since=until - window_s, until=until)
        return _sums((row for rows in window.values() for row in rows.values()), window_s)

    def by_provider(self, *, now: float, window_s: int = 60) -> dict[str, TrafficSums]:
        until = int(now)
        grouped: dict[str, list[Row]] = {}
        for rows in self.rows(since=until - window_s, until=until).values():
            for provider, row in rows.items():
                grouped.setdefault(provider, []).append(row)
        return {provider: _sums(rows, window_s) for provider, rows in sorted(grouped.items())}

    def per_second(self, *, now: float, window_s: int = 60) -> list[TrafficSums]:
        """One entry for each whole second of the window, the oldest first, zeros where nothing ended: for charts."""
        until = int(now)
        window = self.rows(since=until - window_s, until=until)
        return [_sums(window.get(second, {}).values(), 1) for second in range(until - window_s, until)]


def _sums(rows: Iterable[Row], seconds: int) -> TrafficSums:
    total = [sum(column) for column in zip(*rows, strict=True)] or [0] * WIDTH
    return TrafficSums(
        seconds=seconds,
        requests=int(total[REQUESTS]),
        errors=int(total[ERRORS]),
        input_tokens=int(total[INPUT]),
        output_tokens=int(total[OUTPUT]),
        cached_tokens=int(total[CACHED]),
        cost_nano_usd=int(total[COST]),
        cache_hits=int(total[CACHE_HITS]),
        duration_s=total[DURATION] / total[REQUESTS] if total[REQUESTS] else None,
        first_token_s=total[FIRST] / total[FIRST_COUNT] if total[FIRST_COUNT] else None,
    )
