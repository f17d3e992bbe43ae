"""Writes ledger rows. One statement for many of them: a statement per row would take the interpreter's lock twice for
each, in the process that serves calls."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import lru_cache
from itertools import chain
from typing import Any

import orjson
from django.db import connection, models

from accounts import direct_sql
from accounts.models import UsageRecord
from accounts.records import SHARED, CallRecord
from accounts.settlements import BOOKINGS, CREATED_AT, OWN, Rows

COLUMNS = (*CallRecord._fields[:SHARED], *OWN[:BOOKINGS])
LENGTH_OF = {
    index: field.max_length or 0
    for index, name in enumerate(COLUMNS)
    if isinstance(field := UsageRecord._meta.get_field(name), models.CharField)
}
INTO = f"INTO {UsageRecord._meta.db_table} ({', '.join(COLUMNS)})"
# Below SQLite's limit of 32,766 values in a statement, and long enough to spread its overhead.
ROWS_AT_ONCE = (128, 16)
FEW_AT_ONCE = (128, 16, 4, 1)

Values = tuple[Any, ...]


def storable(found: Sequence[Rows]) -> list[Rows]:
    """A name must never keep a call out of the ledger: too long ones are cut, and PostgreSQL stores no NUL."""
    return [Rows(_cut(rows.shared, 0), _owned(rows.own)) for rows in found]


def _owned(rows: list[list[Any]]) -> list[list[Any]]:
    for index in range(SHARED, len(COLUMNS)):
        if index in LENGTH_OF:
            texts = [row[index - SHARED] for row in rows]
            if max(map(len, texts)) > LENGTH_OF[index] or "\0" in "".join(texts):
                return [_cut(row, SHARED) for row in rows]
    return rows


def _cut(values: list[Any], first: int) -> list[Any]:
    lengths = [LENGTH_OF.get(first + index) for index in range(len(values))]
    return [
        value if length is None else value.replace("\0", "")[:length]
        for value, length in zip(values, lengths, strict=True)
    ]


def insert_rows(found: Sequence[Rows]) -> None:
    """Raises IntegrityError if one of them is in the ledger already."""
    with direct_sql.cursor() as cursor:
        if direct_sql.on_postgres():
            # One value of JSON takes the driver a tenth of the time of fourteen thousand values.
            values = [(*shared, *row[:BOOKINGS]) for shared, own in found for row in own]
            cursor.execute(_insert_json(), (orjson.dumps(values).decode(),))
            return
        seconds = _Seconds()
        few: list[Values] = []
        for shared, own in found:
            values = [
                (*row[:CREATED_AT], _moment(row[CREATED_AT], seconds), *row[CREATED_AT + 1 : BOOKINGS]) for row in own
            ]
            # SQLite takes as long to be given a value as to store it: what rows share it is given once for all of them.
            rest = _insert(cursor, shared, values, ROWS_AT_ONCE)
            few += [(*shared, *row) for row in rest]
        _insert(cursor, [], few, FEW_AT_ONCE)


def _insert(cursor: Any, shared: list[Any], rows: Sequence[Values], at_once: Sequence[int]) -> Sequence[Values]:
    """Returns those that are too few for one of the statements."""
    start = 0
    for count in at_once:
        while len(rows) - start >= count:
            many = rows[start : start + count]
            cursor.execute(_insert_values(len(shared), count), [*shared, *chain.from_iterable(many)])
            start += count
    return rows[start:]


class _Seconds(dict[int, str]):
    """Whole seconds as they are stored. Calls of one batch share few of them."""

    def __missing__(self, second: int) -> str:
        text = self[second] = stored_time(second) + "."
        return text


def _moment(at: float, seconds: _Seconds) -> str:
    second = int(at)
    # A format that fills up with zeros takes three times as long.
    return seconds[second] + str(1_000_000 + int((at - second) * 1e6))[1:]


def stored_time(seconds: float) -> str:
    """In UTC without saying so: as Django writes it to SQLite, and as PostgreSQL reads it in the sessions it opens."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(" ")[:-6]


@lru_cache
def _insert_values(shared: int, rows: int) -> str:
    """The first `shared` columns of all rows are the first parameters.

    What fails, fails with its transaction. Without `OR FAIL` SQLite makes sure that it could undo the statement alone: it
    copies each page that it changes to a temporary file, which is most of what it writes to files."""
    first = [f"?{number}" for number in range(1, shared + 1)]
    one = f"({', '.join([*first, *['?'] * (len(COLUMNS) - shared)])})"
    return f"INSERT OR FAIL {INTO} VALUES {', '.join([one] * rows)}"  # noqa: S608 constants


@lru_cache
def _insert_json() -> str:
    return f"INSERT {INTO} SELECT {', '.join(_read_json())} FROM jsonb_array_elements(%s::jsonb) line"  # noqa: S608 constants


def _read_json() -> Iterator[str]:
    for index, name in enumerate(COLUMNS):
        kind = UsageRecord._meta.get_field(name).db_type(connection)
        if name == "created_at":
            yield f"to_timestamp((line ->> {index})::double precision)"
        else:
            yield f"(line ->> {index})" + ("" if index in LENGTH_OF else f"::{kind}")
