"""Hourly and daily roll-ups, kept in the transaction that writes the ledger rows, so that they never disagree."""

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import connection

from accounts.models import UsageDaily, UsageHourly, UsageRecord
from accounts.models.usage import UsageSum

SUMS = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd",
    "provider_cost_nano_usd", "unpriced",
)  # fmt: skip
Group = tuple[datetime, int, int, str, str]


def add_to_sums(rows: Iterable[UsageRecord]) -> None:
    hours: dict[Group, list[int]] = {}
    days: dict[Group, list[int]] = {}
    for row in rows:
        hour = row.created_at.replace(minute=0, second=0, microsecond=0)
        owner = (row.key_id or 0, row.team_id or 0, row.provider, row.model)
        amounts = _amounts(row)
        for sums, start in ((hours, hour), (days, hour.replace(hour=0))):
            found = sums.setdefault((start, *owner), [0] * len(SUMS))
            for index, amount in enumerate(amounts):
                found[index] += amount
    _upsert(UsageHourly, hours)
    _upsert(UsageDaily, days)


def _amounts(row: UsageRecord) -> tuple[int, ...]:
    """Requests, errors, tokens and cost are the client's, so only of the attempt that answered."""
    if not row.final:
        return (0, 0, 0, 0, 0, 0, 0, row.provider_cost_nano_usd or 0, 0)
    return (
        1,
        int(row.status >= 400),
        row.input_tokens,
        row.output_tokens,
        row.cached_tokens,
        row.reasoning_tokens,
        row.cost_nano_usd or 0,
        row.provider_cost_nano_usd or 0,
        int(row.cost_nano_usd is None),
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
        (adapt(start), *owner, *amounts) for (start, *owner), amounts in sorted(sums.items())
    ]
    if values:
        with connection.cursor() as cursor:
            cursor.executemany(statement, values)
