"""Usage by team, key, tag of keys, model, provider or day, from the roll-ups: cost does not grow with the number of calls.

Whole days are read from the daily sums, the ends of a range from the hourly ones; a finer range is widened to hours.
"""

import csv
import io
from collections import defaultdict
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any, Literal, TypeAlias

from django.db.models import QuerySet, Sum
from django.utils import timezone

from accounts.models import ApiKey, Team, UsageDaily, UsageHourly
from accounts.models.usage import SUMS, UsageSum
from accounts.owner_names import owner_names, tags_of_keys

GroupBy: TypeAlias = Literal["key", "team", "tag", "model", "provider", "day"]
GROUPS: tuple[GroupBy, ...] = ("team", "key", "tag", "model", "provider", "day")
COLUMNS = {
    "key": "key_id", "team": "team_id", "tag": "key_id", "model": "model", "provider": "provider", "day": "start_at",
}  # fmt: skip
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
DEFAULT_SPAN = timedelta(days=30)
EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime(9000, 1, 1, tzinfo=UTC)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageLine:
    """One group, or the total. `unpriced` is the number of requests whose price was unknown: not in the cost."""

    group: str
    name: str
    requests: int = 0
    errors: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int = 0
    provider_cost_nano_usd: int = 0
    unpriced: int = 0
    searches: int = 0

    @property
    def cost_usd(self) -> float:
        """For showing; sums are made of the integers."""
        return self.cost_nano_usd / 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageReport:
    group_by: GroupBy
    start: datetime
    end: datetime
    lines: tuple[UsageLine, ...]
    total: UsageLine

    def as_json(self) -> dict[str, Any]:
        """The body of `GET /usage`."""
        data = [{self.group_by: line.group, "name": line.name, **_shown(line)} for line in self.lines]
        return {
            "group_by": self.group_by,
            "from": self.start.isoformat(),
            "to": self.end.isoformat(),
            "data": data,
            "total": _shown(self.total),
        }

    def as_csv(self) -> str:
        """Cells that a spreadsheet would run as a formula are made text, and amounts have all their digits: a small one was
        1.98e-06, which many a spreadsheet takes for text and leaves out of its sums."""
        out = io.StringIO()
        writer = csv.writer(out, lineterminator="\n")
        names = list(_shown(self.total))
        writer.writerow([self.group_by, "name", *names])
        for line in self.lines:
            shown = {**_shown(line), "cost_usd": f"{Decimal(line.cost_nano_usd).scaleb(-9):f}"}
            writer.writerow([formula_safe(line.group), formula_safe(line.name), *shown.values()])
        return out.getvalue()


def _shown(line: UsageLine) -> dict[str, Any]:
    names = ("requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "cost_usd", "unpriced", "searches")
    return {name: getattr(line, name) for name in names}


def formula_safe(cell: str) -> str:
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def usage_report(
    *, group_by: GroupBy, start: datetime, end: datetime, key_id: int | None = None, team_id: int | None = None
) -> UsageReport:
    """Calls admitted in [start, end), dearest first (days in order). Give `key_id` or `team_id` to see only theirs. What keys
    with several tags used is in the line of each, and once in the total."""
    sums: dict[Any, list[int]] = {}
    for model, low, high in _ranges(start, end):
        rows: QuerySet[Any] = model._default_manager.filter(start_at__gte=low, start_at__lt=high)
        if key_id is not None:
            rows = rows.filter(key_id=key_id)
        if team_id is not None:
            rows = rows.filter(team_id=team_id)
        column = COLUMNS[group_by]
        for row in rows.order_by().values(column).annotate(**{f"sum_{name}": Sum(name) for name in SUMS}):
            # Hours are added up to days here: the database would call Python for every row to do it (SQLite).
            group = row[column].date() if group_by == "day" else row[column]
            found = sums.setdefault(group, [0] * len(SUMS))
            for index, name in enumerate(SUMS):
                found[index] += row[f"sum_{name}"]
    total = UsageLine(group="", name="total", **_amounts(_added(sums.values())))
    if group_by == "tag":
        sums = _by_tag(sums)
    names = _names(group_by, sums)
    lines = [
        UsageLine(group=str(group), name=names.get(group, str(group)), **_amounts(amounts))
        for group, amounts in sums.items()
    ]
    lines.sort(key=lambda line: line.group if group_by == "day" else (-line.cost_nano_usd, -line.requests, line.group))
    return UsageReport(group_by=group_by, start=start, end=end, lines=tuple(lines), total=total)


def period(start: datetime | None, end: datetime | None) -> tuple[datetime, datetime]:
    """What a report is asked for; without an end until now, without a start from a midnight thirty days before. Raises
    ValueError when nothing lies between."""
    end = reachable(end or timezone.now())
    midnight = (end - DEFAULT_SPAN).replace(hour=0, minute=0, second=0, microsecond=0)
    start = midnight if start is None else reachable(start)
    if start >= end:
        raise ValueError("the start must be before the end")
    return start, end


def reachable(moment: datetime) -> datetime:
    """In UTC, and where there is an hour before and after it: people write 9999-12-31 for "no end"."""
    return min(max(moment, EARLIEST), LATEST).astimezone(UTC)


def _ranges(start: datetime, end: datetime) -> list[tuple[type[UsageSum], datetime, datetime]]:
    start, end = reachable(start), reachable(end)
    first_hour = start.replace(minute=0, second=0, microsecond=0)
    last_hour = end.replace(minute=0, second=0, microsecond=0)
    if last_hour < end:
        last_hour += HOUR
    first_day = first_hour.replace(hour=0)
    if first_day < first_hour:
        first_day += DAY
    last_day = last_hour.replace(hour=0)
    if first_day >= last_day:
        return [(UsageHourly, first_hour, last_hour)]
    return [
        (UsageHourly, first_hour, first_day),
        (UsageDaily, first_day, last_day),
        (UsageHourly, last_day, last_hour),
    ]


def _names(group_by: GroupBy, groups: Iterable[Any]) -> dict[Any, str]:
    if group_by == "key":
        return {0: "(no key)", **owner_names(ApiKey, groups)}
    if group_by == "team":
        return {0: "(no team)", **owner_names(Team, groups)}
    if group_by == "tag":
        return {"": "(no tag)"}
    # What none was asked for: calls that none could serve, and answers from the cache.
    return {"": "(none)"} if group_by == "provider" else {}


def _by_tag(by_key: dict[Any, list[int]]) -> dict[Any, list[int]]:
    tags = tags_of_keys(by_key)
    found: defaultdict[str, list[list[int]]] = defaultdict(list)
    for key_id, amounts in by_key.items():
        for tag in tags.get(key_id, [""]):
            found[tag].append(amounts)
    return {tag: _added(each) for tag, each in found.items()}


def _added(amounts: Collection[list[int]]) -> list[int]:
    return [sum(column) for column in zip(*amounts, strict=True)] or [0] * len(SUMS)


def _amounts(sums: list[int]) -> dict[str, int]:
    return dict(zip(SUMS, sums, strict=True))
