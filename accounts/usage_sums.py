"""Hourly and daily roll-ups, kept in the transaction that writes the ledger rows, so that they never disagree."""

from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache

from accounts import direct_sql
from accounts.models import UsageDaily, UsageHourly
from accounts.models.usage import SUMS, UsageSum
from accounts.records import CallRecord
from accounts.settlements import COST, CREATED_AT, KEY, PROVIDER_COST, TEAM, TOKENS, Row, Rows
from accounts.usage_rows import stored_time

HOUR_S, DAY_S = 3600, 86400
Group = tuple[int, int, int, str, str]


def add_to_sums(found: Sequence[Rows]) -> None:
    hours: dict[Group, list[int]] = {}
    days: dict[Group, list[int]] = {}
    for shared, own in found:
        said = dict(zip(CallRecord._fields, shared, strict=False))
        rows: defaultdict[tuple[int, int, int], list[Row]] = defaultdict(list)
        for row in own:
            rows[int(row[CREATED_AT]) // HOUR_S, row[KEY] or 0, row[TEAM] or 0].append(row)
        for (hour, key_id, team_id), some in rows.items():
            amounts = _sums(some, final=said["final"], failed=said["status"] >= 400, searches=said["searches"])
            owner = (key_id, team_id, said["provider"], said["model"])
            _add(hours, (hour * HOUR_S, *owner), amounts)
            _add(days, (hour * HOUR_S // DAY_S * DAY_S, *owner), amounts)
    _upsert(UsageHourly, hours)
    _upsert(UsageDaily, days)


def _sums(rows: Sequence[Row], *, final: bool, failed: bool, searches: int) -> list[int]:
    """Requests, errors, tokens and cost are the client's, so only of the attempt that answered. In the order of SUMS."""
    columns = list(zip(*rows, strict=True))
    provider_cost = sum(filter(None, columns[PROVIDER_COST]))
    if not final:
        return [0, 0, 0, 0, 0, 0, 0, provider_cost, 0, 0]
    given, made, cached, _, thought = map(sum, columns[TOKENS])
    costs = columns[COST]
    count = len(rows)
    return [
        count, count if failed else 0, given, made, cached, thought, sum(filter(None, costs)), provider_cost, costs.count(None),
        count * searches,
    ]  # fmt: skip


def _add(sums: dict[Group, list[int]], group: Group, amounts: list[int]) -> None:
    known = sums.get(group)
    sums[group] = amounts if known is None else [one + other for one, other in zip(known, amounts, strict=True)]


def _upsert(model: type[UsageSum], sums: dict[Group, list[int]]) -> None:
    """In one order everywhere, so that two workers never wait for each other."""
    values = [(stored_time(start), *owner, *amounts) for (start, *owner), amounts in sorted(sums.items())]
    if values:
        with direct_sql.cursor() as cursor:
            cursor.executemany(_statement(model), values)


@lru_cache
def _statement(model: type[UsageSum]) -> str:
    """Adds in the database: the ORM's upsert can only replace. PostgreSQL and SQLite share the syntax."""
    table = model._meta.db_table
    columns = ("start_at", "key_id", "team_id", "provider", "model", *SUMS)
    adding = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    return (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({direct_sql.placeholders(len(columns))}) "  # noqa: S608 constants
        f"ON CONFLICT (start_at, key_id, team_id, provider, model) DO UPDATE SET {adding}"
    )
