"""The last minutes of one worker's calls, second by second, for the live page. No clock: a call says when it ended.

Each second holds one row of sums for each provider that was used in it; rows are plain lists, so that workers can send
them to each other as JSON. A call counts in the second in which it ended.
"""

from collections import deque
from collections.abc import Iterable, Sequence
from typing import TypeAlias

from monitoring.finished_call import FinishedCall
from monitoring.tally import Tally

Row: TypeAlias = list[int | float]
REQUESTS, ERRORS, INPUT, OUTPUT, COST, FIRST, FIRST_COUNT = range(7)
WIDTH = 7
SPAN_S = 300
RECENT = 200


class Traffic:
    """SPAN_S seconds in a ring, and the last calls. Used by the event loop; pages read it there too."""

    def __init__(self) -> None:
        self._ring: list[tuple[int, dict[str, Row]]] = [(-1, {}) for _ in range(SPAN_S)]
        self.recent: deque[FinishedCall] = deque(maxlen=RECENT)
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
            row[COST] += tally.cost_nano_usd
            row[FIRST] += tally.first_token_s
            row[FIRST_COUNT] += sum(tally.first_tokens.values())

    def _row(self, second: int, provider: str) -> Row:
        index = second % SPAN_S
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
        hand them to other workers."""
        since = max(since, until - SPAN_S)
        found = (self._ring[second % SPAN_S] for second in range(since, until))
        return {second: rows for second, rows in found if since <= second < until and rows}
