"""Hourly and daily roll-ups, kept in the transaction that writes the ledger rows, so that they never disagree."""

from collections.abc import Iterable
from functools import lru_cache

from accounts import direct_sql
from accounts.models import UsageDaily, UsageHourly
from accounts.models.usage import UsageSum
from accounts.records import CallRecord
from accounts.settlements import Settlement
from accounts.usage_rows import stored_time

SUMS = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd",
    "provider_cost_nano_usd", "unpriced",
)  # fmt: skip
PROVIDER_COST = SUMS.index("provider_cost_nano_usd")
HOUR_S, DAY_S = 3600, 86400
Group = tuple[int, int, int, str, str]


def add_to_sums(rows: Iterable[tuple[Settlement, CallRecord]]) -> None:
    hours: dict[Group, list[int]] = {}
    for item, record in rows:
        start = int(item.created_at) // HOUR_S * HOUR_S
        group = (start, item.key_id or 0, item.team_id or 0, _name(record.provider, 100), _name(record.model, 200))
        found = hours.get(group)
        if found is None:
            found = hours[group] = [0] * len(SUMS)
        _add(found, record)
    days: dict[Group, list[int]] = {}
    for (start, *owner), amounts in hours.items():
        found = days.setdefault((start // DAY_S * DAY_S, *owner), [0] * len(SUMS))  # type: ignore[arg-type]
        found[:] = [one + other for one, other in zip(found, amounts, strict=True)]
    _upsert(UsageHourly, hours)
    _upsert(UsageDaily, days)


def _name(text: str, length: int) -> str:
    return text if len(text) <= length and "\0" not in text else text.replace("\0", "")[:length]


def _add(sums: list[int], record: CallRecord) -> None:
    """Requests, errors, tokens and cost are the client's, so only of the attempt that answered. In the order of SUMS."""
    sums[PROVIDER_COST] += record.provider_cost_nano_usd or 0
    if not record.final:
        return
    sums[0] += 1
    sums[1] += record.status >= 400
    sums[2] += record.input_tokens
    sums[3] += record.output_tokens
    sums[4] += record.cached_tokens
    sums[5] += record.reasoning_tokens
    sums[6] += record.cost_nano_usd or 0
    sums[8] += record.cost_nano_usd is None


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
