"""Hourly and daily roll-ups, kept in the transaction that writes the ledger rows, so that they never disagree."""

from collections import defaultdict
from collections.abc import Iterable, Sequence
from functools import lru_cache

from accounts import direct_sql
from accounts.models import UsageDaily, UsageHourly
from accounts.models.usage import SUMS, UsageSum
from accounts.records import CallRecord
from accounts.settlements import Settlement
from accounts.usage_rows import stored_time

HOUR_S, DAY_S = 3600, 86400
Group = tuple[int, int, int, str, str]


def add_to_sums(rows: Iterable[tuple[Settlement, CallRecord]]) -> None:
    groups: defaultdict[Group, list[CallRecord]] = defaultdict(list)
    for item, record in rows:
        hour = int(item.created_at) // HOUR_S
        groups[hour, item.key_id or 0, item.team_id or 0, record.provider, record.model].append(record)
    hours: dict[Group, list[int]] = {}
    days: dict[Group, list[int]] = {}
    for (hour, key_id, team_id, provider, model), records in groups.items():
        amounts = _sums(records)
        owner = (key_id, team_id, _name(provider, 100), _name(model, 200))
        _add(hours, (hour * HOUR_S, *owner), amounts)
        _add(days, (hour * HOUR_S // DAY_S * DAY_S, *owner), amounts)
    _upsert(UsageHourly, hours)
    _upsert(UsageDaily, days)


def _name(text: str, length: int) -> str:
    return text.replace("\0", "")[:length]


def _sums(records: Sequence[CallRecord]) -> list[int]:
    """Requests, errors, tokens and cost are the client's, so only of the attempt that answered. In the order of SUMS."""
    final = [record for record in records if record.final]
    costs = [record.cost_nano_usd for record in final]
    return [
        len(final),
        sum([record.status >= 400 for record in final]),
        sum([record.input_tokens for record in final]),
        sum([record.output_tokens for record in final]),
        sum([record.cached_tokens for record in final]),
        sum([record.reasoning_tokens for record in final]),
        sum(filter(None, costs)),
        sum([record.provider_cost_nano_usd or 0 for record in records]),
        costs.count(None),
    ]


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
