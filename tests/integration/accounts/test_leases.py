"""What is left reserved when SQL fails while a slice of a budget is leased or given back: nothing."""

import asyncio
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from django.db import OperationalError, connection, transaction

from accounts.budgets import BudgetBook
from accounts.errors import AccountsUnavailable, InsufficientQuota
from accounts.key_source import budget_rule
from accounts.ledger import SqlLedger
from accounts.models import Budget, BudgetLease, BudgetPeriod
from accounts.sql_door import SqlDoor, SqlUnavailable

pytestmark = pytest.mark.django_db(transaction=True)
NOON = datetime(2026, 7, 31, 12, tzinfo=UTC).timestamp()


def broken() -> None:
    raise OperationalError("the server closed the connection")


def before_the_commit(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    if sql.startswith("UPDATE") and "budgetperiod" in sql:
        broken()
    return execute(sql, *arguments)


def behind_the_commit(execute: Callable[..., Any], sql: str, *arguments: Any) -> Any:
    if sql.startswith("UPDATE") and "budgetperiod" in sql:
        transaction.on_commit(broken)
    return execute(sql, *arguments)


class Unreliable(SqlLedger):
    """The connection breaks once, where `breaks` says."""

    breaks: Callable[..., Any] | None = None

    def lease(self, *arguments: Any, **options: Any) -> Any:
        with self._trouble():
            return super().lease(*arguments, **options)

    def renew(self, *arguments: Any, **options: Any) -> Any:
        with self._trouble():
            return super().renew(*arguments, **options)

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        breaks, self.breaks = self.breaks, None
        if breaks is None:
            yield
        else:
            with connection.execute_wrapper(breaks):
                yield


class Bench:
    def __init__(self) -> None:
        self.budget = Budget.objects.create(scope="all", period="day", amount_nano_usd=1_000_000, tokens=1_000)
        self.rules = (budget_rule(self.budget),)
        self.ledger = Unreliable()
        self.door = SqlDoor(name="leases")

        async def drain() -> None:
            """Nothing is settled that SQL was to hear of."""

        self.book = BudgetBook(worker="w1", source=self.ledger, door=self.door, book=drain, clock=lambda: NOON)

    async def reserved(self) -> tuple[int, int]:
        def read() -> tuple[int, int]:
            period, lease = BudgetPeriod.objects.get(), BudgetLease.objects.get()
            found = (period.reserved_nano_usd, period.reserved_tokens)
            assert found == (lease.amount_nano_usd, lease.amount_tokens)
            return found

        return await self.door.run(read, timeout_s=None)


@pytest.fixture
async def bench():
    made = await asyncio.to_thread(_bench)
    yield made
    made.door.close()


def _bench() -> Bench:
    try:
        return Bench()
    finally:
        connection.close()


@pytest.mark.parametrize("breaks", [before_the_commit, behind_the_commit])
async def test_what_could_not_be_given_back_is_given_back_once_when_sql_is_back(bench, breaks):
    slices = await bench.book.hold(bench.rules, 100_000, 100)
    held = await bench.book.hold(bench.rules, 2_000, 2)
    bench.book.settle(slices, (100_000, 100), (0, 0))
    bench.ledger.breaks = breaks
    with pytest.raises(SqlUnavailable):
        await bench.book.tick(give_all_back=True)
    for _ in range(3):
        await bench.book.tick()

    assert await bench.reserved() == (2_000, 2)
    bench.book.settle(held, (2_000, 2), (0, 0))
    await bench.book.tick()
    assert await bench.reserved() == (0, 0)


@pytest.mark.parametrize("breaks", [before_the_commit, behind_the_commit])
async def test_a_slice_that_was_granted_and_not_heard_of_is_not_reserved(bench, breaks):
    for _ in range(3):
        bench.ledger.breaks = breaks
        with pytest.raises(AccountsUnavailable):
            await bench.book.hold(bench.rules, 300_000, 300)
    (found,) = await bench.book.hold(bench.rules, 900_000, 900)

    assert await bench.reserved() == (found.granted_nano, found.granted_tokens)


async def test_more_is_leased_between_a_give_back_that_was_not_heard_of_and_its_repetition(bench):
    first = await bench.book.hold(bench.rules, 100_000, 100)
    bench.book.settle(first, (100_000, 100), (0, 0))
    bench.ledger.breaks = behind_the_commit
    with pytest.raises(SqlUnavailable):
        await bench.book.tick(give_all_back=True)
    (found,) = await bench.book.hold(bench.rules, 50_000, 50)
    await bench.book.tick()

    assert await bench.reserved() == (found.granted_nano, found.granted_tokens)


async def test_a_budget_that_is_deleted_while_it_is_asked_for_is_used_up(bench, monkeypatch):
    find = BudgetPeriod.objects.get_or_create

    def find_and_delete(**wanted: Any) -> Any:
        found = find(**wanted)
        Budget.objects.all().delete()
        return found

    monkeypatch.setattr(BudgetPeriod.objects, "get_or_create", find_and_delete)
    with pytest.raises(InsufficientQuota):
        await bench.book.hold(bench.rules, 100_000, 100)
