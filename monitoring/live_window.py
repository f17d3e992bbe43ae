"""The last five minutes of all workers together, summed as they arrive, for the live page. Pure: a second is an argument.

Adding a second costs in proportion to the providers used in it; reading the last minute costs nothing, because running
sums are kept. Times to the first token are counted in classes 9 % wide, so that quantiles of many workers can be merged.
"""

import math
from collections import Counter, deque
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple, TypeAlias

from monitoring.traffic import COST, ERRORS, FIRST, FIRST_COUNT, INPUT, OUTPUT, REQUESTS, WIDTH, Row

Rows: TypeAlias = Mapping[str, Sequence[float]]
Classes: TypeAlias = Mapping[int, int]

SPAN_S = 300
WINDOW_S = 60
STEP_S = 10
"""A point of a provider's small chart stands for so many seconds."""
CLASSES_PER_DOUBLING = 8


class Second(NamedTuple):
    at: int
    rows: dict[str, Row]
    first_tokens: Counter[int]
    failed: Counter[str]


class Figures(NamedTuple):
    """Of one stretch of time. Rates are per second, times milliseconds; None where nothing was measured."""

    requests_per_s: float
    error_percent: float
    p50_ms: int | None
    p95_ms: int | None
    input_per_s: float
    output_per_s: float
    cost_nano_usd: int


class ProviderFigures(NamedTuple):
    """Errors are attempts that failed, also where another provider answered then."""

    requests_per_s: float
    error_percent: float
    first_token_ms: int | None


def class_of(seconds: float) -> int:
    return round(math.log2(max(seconds, 0.0001) * 1000) * CLASSES_PER_DOUBLING)


def milliseconds(number: int) -> int:
    return round(2 ** (number / CLASSES_PER_DOUBLING))


def quantile_ms(classes: Classes, share: float) -> int | None:
    """The smallest time that `share` of the counted ones do not exceed."""
    total = sum(classes.values())
    if not total:
        return None
    wanted, seen = share * total, 0
    for number in sorted(classes):
        seen += classes[number]
        if seen >= wanted:
            return milliseconds(number)
    return milliseconds(max(classes))


class LiveWindow:
    """Feed it each second once per worker (`add`), then `close` the second."""

    def __init__(self) -> None:
        self._seconds: deque[Second] = deque(maxlen=SPAN_S)
        self._last: dict[str, Row] = {}
        self._first_tokens: Counter[int] = Counter()
        self._open: dict[str, Row] = {}
        self._open_first: Counter[int] = Counter()
        self._open_failed: Counter[str] = Counter()
        self._failed: Counter[str] = Counter()
        self.cost_nano_usd = 0
        """Of everything that was ever added."""

    def add(self, rows: Rows, first_tokens: Classes | None = None, failed: Mapping[str, int] | None = None) -> None:
        """What one worker saw in the second that is being collected. `failed` are attempts that another one followed."""
        for provider, row in rows.items():
            _add(self._open, provider, row, 1)
            self.cost_nano_usd += int(row[COST])
        if first_tokens:
            self._open_first.update(first_tokens)
        if failed:
            self._open_failed.update(failed)

    def close(self, at: int) -> Second:
        """Ends the second; what left the last minute is taken out of its sums."""
        second = Second(at, self._open, self._open_first, self._open_failed)
        self._open, self._open_first, self._open_failed = {}, Counter(), Counter()
        self._seconds.append(second)
        for provider, row in second.rows.items():
            _add(self._last, provider, row, 1)
        self._first_tokens.update(second.first_tokens)
        self._failed.update(second.failed)
        if len(self._seconds) > WINDOW_S:
            gone = self._seconds[-WINDOW_S - 1]
            for provider, row in gone.rows.items():
                _add(self._last, provider, row, -1)
                if self._last[provider][REQUESTS] <= 0:
                    del self._last[provider]
            self._first_tokens.subtract(gone.first_tokens)
            self._first_tokens = +self._first_tokens
            self._failed.subtract(gone.failed)
            self._failed = +self._failed
        return second

    # ------------------------------------------------------------------------------------------------------ reading

    def figures(self) -> Figures:
        """Of the last minute."""
        return _figures(self._last.values(), self._first_tokens, self._covered())

    def by_provider(self) -> dict[str, ProviderFigures]:
        seconds = self._covered()
        nothing: Row = [0] * WIDTH
        return {
            provider: _provider_figures(self._last.get(provider, nothing), seconds, self._failed[provider])
            for provider in self._last.keys() | self._failed.keys()
        }

    def series(self, step_s: int = 5) -> list[Figures]:
        """Five minutes in steps, the oldest first; only whole steps."""
        return [_figures_of(each, step_s) for each in self._steps(step_s)]

    def last_step(self, step_s: int = 5) -> Figures:
        return _figures_of(list(self._seconds)[-step_s:], step_s)

    def provider_series(self, providers: Iterable[str]) -> dict[str, list[list[int | None]]]:
        """By provider: `[first token ms, error %]` for every STEP_S, the oldest first."""
        found: dict[str, list[list[int | None]]] = {provider: [] for provider in providers}
        for step in self._steps(STEP_S):
            for provider, points in found.items():
                points.append(self._point(step, provider))
        return found

    def provider_points(self, providers: Iterable[str]) -> dict[str, list[int | None]]:
        step = list(self._seconds)[-STEP_S:]
        return {provider: self._point(step, provider) for provider in providers}

    @staticmethod
    def _point(step: Sequence[Second], provider: str) -> list[int | None]:
        total = _sum(second.rows[provider] for second in step if provider in second.rows)
        failed = sum(second.failed[provider] for second in step if second.failed)
        figures = _provider_figures(total, len(step) or 1, failed)
        return [figures.first_token_ms, round(figures.error_percent)] if total[REQUESTS] or failed else [None, None]

    def _steps(self, step_s: int) -> list[list[Second]]:
        seconds = list(self._seconds)
        spare = len(seconds) % step_s
        return [seconds[start : start + step_s] for start in range(spare, len(seconds), step_s)]

    def _covered(self) -> int:
        return max(1, min(WINDOW_S, len(self._seconds)))


def _add(rows: dict[str, Row], provider: str, row: Sequence[float], sign: int) -> None:
    mine = rows.get(provider)
    if mine is None:
        rows[provider] = [sign * value for value in row]
    else:
        for index, value in enumerate(row):
            mine[index] += sign * value


def _sum(rows: Iterable[Sequence[float]]) -> Row:
    return [sum(column) for column in zip(*rows, strict=True)] or [0] * WIDTH


def _figures_of(step: Sequence[Second], seconds: int) -> Figures:
    classes: Counter[int] = Counter()
    for second in step:
        classes.update(second.first_tokens)
    return _figures([row for second in step for row in second.rows.values()], classes, seconds)


def _figures(rows: Iterable[Sequence[float]], classes: Classes, seconds: int) -> Figures:
    total = _sum(rows)
    requests = total[REQUESTS]
    return Figures(
        requests_per_s=round(requests / seconds, 2),
        error_percent=round(100 * total[ERRORS] / requests, 2) if requests else 0.0,
        p50_ms=quantile_ms(classes, 0.5),
        p95_ms=quantile_ms(classes, 0.95),
        input_per_s=round(total[INPUT] / seconds, 1),
        output_per_s=round(total[OUTPUT] / seconds, 1),
        cost_nano_usd=int(total[COST]),
    )


def _provider_figures(row: Sequence[float], seconds: int, failed: int) -> ProviderFigures:
    requests, first = row[REQUESTS], row[FIRST_COUNT]
    attempts = requests + failed
    return ProviderFigures(
        requests_per_s=round(requests / seconds, 2),
        error_percent=round(100 * (row[ERRORS] + failed) / attempts, 1) if attempts else 0.0,
        first_token_ms=round(1000 * row[FIRST] / first) if first else None,
    )
