"""Hourly and daily roll-ups, kept in the transaction that writes the ledger rows, so that they never disagree."""

from collections.abc import Iterable
from datetime import UTC, datetime
from operator import add
from typing import Any

from django.db import connection

from accounts.models import UsageDaily, UsageHourly
from accounts.models.usage import UsageSum
from accounts.records import CallRecord
from accounts.settlements import Settlement

SUMS = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd",
    "provider_cost_nano_usd", "unpriced",
)  # fmt: skip
Group = tuple[int, int, int, str, str]


def add_to_sums(rows: Iterable[tuple[Settlement, CallRecord]]) -> None:
    hours: dict[Group, list[int]] = {}
    days: dict[Group, list[int]] = {}
    for item, record in rows:
        owner = (item.key_id or 0, item.team_id or 0, record.provider[:100], record.model[:200])
        amounts = _amounts(record)
        for sums, seconds in ((hours, 3600), (days, 86400)):
            group = (int(item.created_at) // seconds * seconds, *owner)
            found = sums.setdefault(group, [0] * len(SUMS))
            found[:] = map(add, found, amounts)
    _upsert(UsageHourly, hours)
    _upsert(UsageDaily, days)


def _amounts(record: CallRecord) -> tuple[int, ...]:
    """Requests, errors, tokens and cost are the client's, so only of the attempt that answered."""
    provider_cost = record.provider_cost_nano_usd or 0
    if not record.final:
        return (0, 0, 0, 0, 0, 0, 0, provider_cost, 0)
    return (
        1,
        int(record.status >= 400),
        record.input_tokens,
        record.output_tokens,
        record.cached_tokens,
        record.reasoning_tokens,
        record.cost_nano_usd or 0,
        provider_cost,
        int(record.cost_nano_usd is None),
    )


def _upsert(model: type[UsageSum], sums: dict[Group, list[int]]) -> None:
    """Adds in the database: the ORM's upsert can only replace. PostgreSQL and SQLite share the syntax."""
    table = model._meta.db_table
    columns = ("start_at", "key_id", "team_id", "provider", "model", *SUMS)
    adding = ", ".join(f"{name} = {table}.{name} + excluded.{name}" for name in SUMS)
    statement = (
        f"INSERT INTO {table} ({', '.join(columns)}) VALUES ({', '.join(['%s'] * len(columns))}) "  # noqa: S608 constants
        f"ON CONFLICT (start_at, key_id, team_id, provider, model) DO UPDATE SET {adding}"
    )
    adapt = connection.ops.adapt_datetimefield_value
    values: list[tuple[Any, ...]] = [
        (adapt(datetime.fromtimestamp(start, UTC)), *owner, *amounts)
        for (start, *owner), amounts in sorted(sums.items())
    ]
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(statement, values)
