"""Calls of many kinds in one batch: each row is in the ledger as it was told, whatever it shares with others."""

from datetime import UTC, datetime

import pytest
from django.db.models import Sum

from accounts import direct_sql, journal_lines
from accounts.ledger import book
from accounts.models import UsageDaily, UsageHourly, UsageRecord
from accounts.records import CallRecord
from accounts.settlements import ledger_rows
from accounts.usage_rows import COLUMNS, _insert_values
from tests.unit.accounts.builders import record

pytestmark = pytest.mark.django_db
AT = 1_700_000_000.25
FAIL = 3
"""OE_Fail of SQLite; OE_Abort, for which it would keep what it needs to undo the statement, is 2."""
# A group of each size: more and less than what one statement takes, and enough small ones to fill statements together.
GROUPS = (300, 129, 128, 17, 16, 15, 4, *[3] * 15, *[1] * 30)


def line(number: int, group: int) -> bytes:
    second = AT + number * 61
    owner = (f"call{number}", f"req_{number}", second, number % 3 or None, number % 2 or None, ())
    failed = record(1, final=False, cost_nano_usd=0, provider_cost_nano_usd=None, status=502, model=f"m{group}")
    answered = record(
        2,
        model=f"m{group}",
        tags="ü,b",
        stream=True,
        input_tokens=number,
        searches=group % 3,
        cost_nano_usd=number if number % 5 else None,
        time_to_first_token_ms=number if number % 7 else None,
    )
    return b"s" + journal_lines.settled(owner, [failed, answered] if number % 11 == 0 else [answered])


LINES = [
    line(number, group)
    for number, group in enumerate([group for group, size in enumerate(GROUPS) for _ in range(size)])
]


def expected() -> set[tuple[object, ...]]:
    return {
        (*shared, row[0], row[1], datetime.fromtimestamp(row[2], UTC), *row[3:-1])
        for shared, own in ledger_rows(LINES)
        for row in own
    }


def test_every_row_of_a_batch_of_many_kinds_is_stored_as_it_was_told():
    assert book(ledger_rows(LINES)) == len(expected()) > len(LINES)
    assert set(UsageRecord.objects.values_list(*COLUMNS)) == expected()


def test_a_batch_of_which_a_part_is_booked_already_is_completed():
    book(ledger_rows(LINES[::2]))
    assert book(ledger_rows(LINES)) == len(expected()) - len([row for row in ledger_rows(LINES[::2]) for _ in row.own])
    assert set(UsageRecord.objects.values_list(*COLUMNS)) == expected()
    assert book(ledger_rows(LINES)) == 0


@pytest.mark.parametrize("model", [UsageHourly, UsageDaily])
def test_the_sums_of_a_batch_of_many_kinds_are_those_of_its_rows(model):
    book(ledger_rows(LINES))
    final = UsageRecord.objects.filter(final=True)
    found = model.objects.aggregate(
        *[Sum(name) for name in ("requests", "errors", "input_tokens", "cost_nano_usd", "unpriced", "searches")]
    )
    assert list(found.values()) == [
        len(LINES),
        0,
        sum(range(len(LINES))),
        final.aggregate(sum=Sum("cost_nano_usd"))["sum"],
        final.filter(cost_nano_usd=None).count(),
        sum(group % 3 * size for group, size in enumerate(GROUPS)),
    ]
    assert model.objects.filter(team_id=0).exists()
    assert set(model.objects.values_list("model", flat=True)) == {f"m{group}" for group in range(len(GROUPS))}


def test_names_that_are_too_long_are_cut_alike_in_rows_and_sums():
    owner = ("call", "r" * 300, AT, 1, None, ())
    book(ledger_rows([b"s" + journal_lines.settled(owner, [record(model="m\0" + "x" * 300)])]))
    row = UsageRecord.objects.get()
    assert (row.model, row.request_id) == ("m" + "x" * 199, "r" * 128)
    assert UsageDaily.objects.get().model == row.model


def test_columns_are_those_of_the_ledger():
    assert set(COLUMNS) == {field.name for field in UsageRecord._meta.fields} - {"id"}
    assert set(CallRecord._fields) < set(COLUMNS)


def test_sqlite_copies_no_page_so_that_it_could_undo_the_statement_alone():
    if direct_sql.on_postgres():
        pytest.skip("SQLite's own")
    shared, rows = 3, 128
    with direct_sql.cursor() as cursor:
        values = [None] * (shared + (len(COLUMNS) - shared) * rows)
        steps = cursor.execute(f"EXPLAIN {_insert_values(shared, rows)}", values).fetchall()
    # Where a constraint is broken: its error, and what is done about it.
    ends = {action for _, step, error, action, *_ in steps if step in ("Halt", "HaltIfNull") and error}
    assert ends == {FAIL}
