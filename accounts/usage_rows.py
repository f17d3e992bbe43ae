"""Writes ledger rows. One statement for many of them: a statement per row would take the interpreter's lock twice for
each, in the process that serves calls."""

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson
from django.db import connection, models

from accounts import direct_sql
from accounts.models import UsageRecord
from accounts.records import CallRecord
from accounts.settlements import Settlement

OWNER = ("call_id", "request_id", "created_at", "key_id", "team_id")
COLUMNS = (*OWNER, *CallRecord._fields)
LENGTH_OF = {
    index: field.max_length or 0
    for index, name in enumerate(COLUMNS)
    if isinstance(field := UsageRecord._meta.get_field(name), models.CharField)
}
INSERT = f"INSERT INTO {UsageRecord._meta.db_table} ({', '.join(COLUMNS)})"
# 28 values each: below SQLite's limit of 32,766 values in a statement, and long enough to spread its overhead.
ROWS_AT_ONCE = 200

Row = tuple[Any, ...]
"""In the order of COLUMNS."""


def insert_rows(rows: Sequence[tuple[Settlement, CallRecord]]) -> None:
    """Raises IntegrityError if one of them is in the ledger already."""
    if not rows:
        return
    with direct_sql.cursor() as cursor:
        if direct_sql.on_postgres():
            # One value of JSON takes the driver a tenth of the time of fourteen thousand values.
            values = _storable([(*item[:5], *record) for item, record in rows])
            cursor.execute(_insert_json(), (orjson.dumps(values).decode(),))
            return
        seconds = _Seconds()
        values = _storable(
            [(*item[:2], _moment(item.created_at, seconds), *item[3:5], *record) for item, record in rows]
        )
        whole = len(values) - len(values) % ROWS_AT_ONCE
        for start in range(0, whole, ROWS_AT_ONCE):
            many = values[start : start + ROWS_AT_ONCE]
            cursor.execute(_insert_values(ROWS_AT_ONCE), list(chain.from_iterable(many)))
        cursor.executemany(_insert_values(1), values[whole:])


class _Seconds(dict[int, str]):
    """Whole seconds as they are stored. Calls of one batch share few of them."""

    def __missing__(self, second: int) -> str:
        text = self[second] = stored_time(second)
        return text


def _moment(at: float, seconds: _Seconds) -> str:
    second = int(at)
    return f"{seconds[second]}.{int((at - second) * 1e6):06d}"


def stored_time(seconds: float) -> str:
    """In UTC without saying so: as Django writes it to SQLite, and as PostgreSQL reads it in the sessions it opens."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ")[:-6]


def _storable(rows: Sequence[Row]) -> Sequence[Row]:
    """A name must never keep a call out of the ledger: too long ones are cut, and PostgreSQL stores no NUL."""
    columns = list(zip(*rows, strict=True))
    for index, length in LENGTH_OF.items():
        # Most texts are the same in all rows, and looked at once.
        texts = set(columns[index])
        if max(map(len, texts)) > length or "\0" in "".join(texts):
            return [_cut(row) for row in rows]
    return rows


def _cut(row: Row) -> Row:
    values = list(row)
    for index, length in LENGTH_OF.items():
        values[index] = values[index].replace("\0", "")[:length]
    return tuple(values)


@lru_cache
def _insert_values(rows: int) -> str:
    one = f"({direct_sql.placeholders(len(COLUMNS))})"
    return f"{INSERT} VALUES {', '.join([one] * rows)}"


@lru_cache
def _insert_json() -> str:
    found = []
    for index, name in enumerate(COLUMNS):
        kind = UsageRecord._meta.get_field(name).db_type(connection)
        if name == "created_at":
            found.append(f"to_timestamp((line ->> {index})::double precision)")
        else:
            found.append(f"(line ->> {index})" + ("" if index in LENGTH_OF else f"::{kind}"))
    return f"{INSERT} SELECT {', '.join(found)} FROM jsonb_array_elements(%s::jsonb) line"  # noqa: S608 constants
