"""The ledger in SQL: leases of budgets, and the booking of settled calls. Runs in threads; each function is one
transaction. Rows are locked in one order everywhere (roll-ups, periods, leases), so that nothing deadlocks.

Always: reserved(period) = Σ over its leases of (amount − settled), and spent(period) = Σ cost of its ledger rows.
"""

from collections.abc import Iterable, Sequence
from datetime import timedelta
from functools import lru_cache

from django.db import IntegrityError, transaction
from django.db.models import F
from django.utils import timezone

from accounts import direct_sql
from accounts.budgets import Return
from accounts.models import Budget, BudgetLease, BudgetPeriod, UsageRecord
from accounts.records import FINAL, BudgetRule
from accounts.settlements import BOOKINGS, COST, TOKENS, Rows
from accounts.slices import Grant
from accounts.usage_rows import insert_rows, storable
from accounts.usage_sums import add_to_sums

# The part of what remains that is leased ahead of need.
AHEAD = 100
# That one worker remembers the amounts of.
LEASES_AT_MOST = 10_000
LEASES, PERIODS = BudgetLease._meta.db_table, BudgetPeriod._meta.db_table
OPEN = "id, amount_nano_usd - settled_nano_usd, amount_tokens - settled_tokens"
SETTLED = ("settled_nano_usd", "settled_tokens")
SPENT = ("spent_nano_usd", "spent_tokens", "reserved_nano_usd", "reserved_tokens")

NOTHING = Grant(lease_id=0, period_id=0, nano_usd=0, tokens=0, left_nano_usd=0, left_tokens=0)
"""Of a budget that was deleted a moment ago, before or while it was asked for: the next poll removes the rule."""


class SqlLedger:
    """The LeaseSource of production, of one worker and in one thread.

    Nobody else changes the amounts of this worker's leases, so what a row has to say is known here: what was granted and
    answered, less what was given back. A transaction that failed, or whose commit was not heard of, may have left another
    amount: the next one about the same lease writes what is known, not what is to be added."""

    def __init__(self) -> None:
        self._amounts: dict[int, tuple[int, int]] = {}
        self._returned = 0

    def lease(self, rule: BudgetRule, *, period: str, worker: str, nano_usd: int, tokens: int, lease_s: float) -> Grant:
        with transaction.atomic():
            budget = Budget.objects.filter(pk=rule.id).first()
            if budget is None:
                return NOTHING
            found, _ = BudgetPeriod.objects.get_or_create(budget=budget, period=period)
            row = BudgetPeriod.objects.select_for_update().filter(pk=found.pk).first()
            if row is None:
                return NOTHING
            expires_at = timezone.now() + timedelta(seconds=lease_s)
            lease, _ = BudgetLease.objects.get_or_create(period=row, worker=worker, defaults={"expires_at": expires_at})
            nano, count = self._known(lease)
            if _put_right(lease, nano, count):
                row.refresh_from_db()
            left_nano = _left(budget.amount_nano_usd, row.spent_nano_usd + row.reserved_nano_usd)
            left_tokens = _left(budget.tokens, row.spent_tokens + row.reserved_tokens)
            granted_nano, granted_tokens = _granted(left_nano, nano_usd), _granted(left_tokens, tokens)
            BudgetPeriod.objects.filter(pk=row.pk).update(
                reserved_nano_usd=F("reserved_nano_usd") + granted_nano,
                reserved_tokens=F("reserved_tokens") + granted_tokens,
            )
            BudgetLease.objects.filter(pk=lease.pk).update(
                amount_nano_usd=F("amount_nano_usd") + granted_nano,
                amount_tokens=F("amount_tokens") + granted_tokens,
                expires_at=expires_at,
            )
        self._amounts[lease.pk] = (nano + granted_nano, count + granted_tokens)
        return Grant(
            lease_id=lease.pk,
            period_id=row.pk,
            nano_usd=granted_nano,
            tokens=granted_tokens,
            left_nano_usd=None if left_nano is None else left_nano - granted_nano,
            left_tokens=None if left_tokens is None else left_tokens - granted_tokens,
        )

    def renew(self, leases: Sequence[int], returns: Sequence[Return], *, lease_s: float) -> set[int]:
        with transaction.atomic():
            self._give_back(returns)
            expires_at = timezone.now() + timedelta(seconds=lease_s)
            BudgetLease.objects.filter(pk__in=leases).update(expires_at=expires_at)
            return set(BudgetLease.objects.filter(pk__in=leases).values_list("pk", flat=True))

    def _give_back(self, returns: Sequence[Return]) -> None:
        leases = BudgetLease.objects.filter(pk__in=[item.lease_id for item in returns]).order_by("pk")
        _lock_periods(leases.values_list("period_id", flat=True))
        rows = list(leases.select_for_update())
        known = {lease.pk: self._known(lease) for lease in rows}
        for item in returns:
            if item.number > self._returned and item.lease_id in known:
                nano, tokens = known[item.lease_id]
                known[item.lease_id] = (nano - item.nano_usd, tokens - item.tokens)
        # Remembered before it is written, and all at once: each has counted, whatever becomes of the transaction.
        self._amounts.update(known)
        self._returned = max([self._returned, *[item.number for item in returns]])
        for lease in rows:
            _put_right(lease, *known[lease.pk])

    def _known(self, lease: BudgetLease) -> tuple[int, int]:
        """What the row should say. Calls that cost more than was estimated may have settled more than is left for it."""
        if len(self._amounts) >= LEASES_AT_MOST:
            # From here on the rows are believed as they are.
            self._amounts.clear()
        nano, tokens = self._amounts.setdefault(lease.pk, (lease.amount_nano_usd, lease.amount_tokens))
        return max(nano, lease.settled_nano_usd), max(tokens, lease.settled_tokens)


def _left(limit: int | None, used: int) -> int | None:
    """Below 0 where calls cost more than was reserved for them, or the limit was lowered."""
    return None if limit is None else limit - used


def _granted(left: int | None, wanted: int) -> int:
    if left is None:
        return 0
    return max(0, left) if left <= wanted else wanted + (left - wanted) // AHEAD


def _put_right(lease: BudgetLease, nano_usd: int, tokens: int) -> bool:
    """Reserves no longer what the row has beyond what it should say, but for what is settled. Its period is locked. Says
    whether there was any."""
    over_nano = max(0, lease.amount_nano_usd - max(nano_usd, lease.settled_nano_usd))
    over_tokens = max(0, lease.amount_tokens - max(tokens, lease.settled_tokens))
    if not over_nano and not over_tokens:
        return False
    BudgetLease.objects.filter(pk=lease.pk).update(
        amount_nano_usd=F("amount_nano_usd") - over_nano, amount_tokens=F("amount_tokens") - over_tokens
    )
    _unreserve(lease.period_id, over_nano, over_tokens)
    return True


def end_leases(*, worker: str) -> None:
    """Takes back all that a worker holds. Only when all it spent is booked: after its last drain, or its replay."""
    with transaction.atomic():
        _end(list(BudgetLease.objects.filter(worker=worker).order_by("pk").values_list("pk", "period_id")))


def sweep_leases(*, grace_s: float) -> int:
    """Takes back leases that nobody renewed for longer than any call can last; returns how many."""
    with transaction.atomic():
        before = timezone.now() - timedelta(seconds=grace_s)
        expired = list(BudgetLease.objects.filter(expires_at__lt=before).order_by("pk").values_list("pk", "period_id"))
        _end(expired)
    return len(expired)


def _end(leases: Sequence[tuple[int, int]]) -> None:
    _lock_periods(period_id for _, period_id in leases)
    rows = BudgetLease.objects.select_for_update().filter(pk__in=[pk for pk, _ in leases]).order_by("pk")
    for lease in rows:
        _unreserve(
            lease.period_id,
            lease.amount_nano_usd - lease.settled_nano_usd,
            lease.amount_tokens - lease.settled_tokens,
        )
        lease.delete()


def _unreserve(period_id: int, nano_usd: int, tokens: int) -> None:
    BudgetPeriod.objects.filter(pk=period_id).update(
        reserved_nano_usd=F("reserved_nano_usd") - nano_usd, reserved_tokens=F("reserved_tokens") - tokens
    )


def _lock_periods(period_ids: Iterable[int]) -> None:
    ids = set(period_ids)
    if ids:
        list(BudgetPeriod.objects.select_for_update().filter(pk__in=ids).order_by("pk").values_list("pk"))


def book(found: Sequence[Rows]) -> int:
    """Ledger rows, roll-ups and budgets in one transaction. Idempotent by (call id, attempt); returns rows written."""
    found = storable(found)
    try:
        return _write(found)
    except IntegrityError:
        # Some are there already: a transaction whose commit was not heard of, or a worker that gave up waiting for SQL
        # was still booking what its replay books here. Now its rows are visible.
        return _write(found, some_known=True)


def _write(found: Sequence[Rows], *, some_known: bool = False) -> int:
    with transaction.atomic():
        if some_known:
            found = _unknown(found)
        insert_rows(found)
        add_to_sums(found)
        _spend(_charges(found))
    return sum(len(rows.own) for rows in found)


def _unknown(found: Sequence[Rows]) -> list[Rows]:
    """Each row that is not in the ledger yet, once."""
    calls = {row[0] for rows in found for row in rows.own}
    known = set(UsageRecord.objects.filter(call_id__in=calls).values_list("call_id", "attempt"))
    fresh = []
    for shared, own in found:
        rows = []
        for row in own:
            attempt = (row[0], shared[0])
            if attempt not in known:
                known.add(attempt)
                rows.append(row)
        if rows:
            fresh.append(Rows(shared, rows))
    return fresh


def _charges(found: Iterable[Rows]) -> dict[tuple[int, ...], list[int]]:
    """(lease id, period id) → [nano-USD, tokens, nano-USD and tokens of these that the lease pays]."""
    spent: dict[tuple[int, ...], list[int]] = {}
    for shared, own in found:
        if shared[FINAL]:
            for row in own:
                if not row[BOOKINGS]:
                    continue
                cost, tokens = row[COST] or 0, sum(row[TOKENS][:2])
                for booking in row[BOOKINGS]:
                    paid = booking[2:] or (cost, tokens)
                    sums = spent.setdefault(tuple(booking[:2]), [0, 0, 0, 0])
                    for index, amount in enumerate((cost, tokens, *paid)):
                        sums[index] += amount
    return spent


def _spend(spent: dict[tuple[int, ...], list[int]]) -> None:
    """reserved → spent. What the lease does not pay (the estimate was too low, or the lease is gone) is only spent."""
    if not spent:
        return
    with direct_sql.cursor() as cursor:
        periods = sorted({period_id for _, period_id in spent})
        cursor.execute(_select(PERIODS, "id", len(periods)), periods)
        cursor.fetchall()
        cursor.execute(_select(LEASES, OPEN, len(spent)), sorted(lease_id for lease_id, _ in spent))
        open_of = {lease_id: (nano_usd, tokens) for lease_id, nano_usd, tokens in cursor.fetchall()}
        for (lease_id, period_id), (nano_usd, tokens, paid_nano, paid_tokens) in sorted(spent.items()):
            open_nano, open_tokens = open_of.get(lease_id, (0, 0))
            from_nano, from_tokens = min(paid_nano, open_nano), min(paid_tokens, open_tokens)
            cursor.execute(_added(LEASES, SETTLED), (from_nano, from_tokens, lease_id))
            cursor.execute(_added(PERIODS, SPENT), (nano_usd, tokens, -from_nano, -from_tokens, period_id))


@lru_cache
def _select(table: str, columns: str, ids: int) -> str:
    where = f"id IN ({direct_sql.placeholders(ids)}) ORDER BY id{direct_sql.for_update()}"
    return f"SELECT {columns} FROM {table} WHERE {where}"  # noqa: S608 constants


@lru_cache
def _added(table: str, columns: tuple[str, ...]) -> str:
    mark = direct_sql.placeholder()
    return f"UPDATE {table} SET {', '.join([f'{name} = {name} + {mark}' for name in columns])} WHERE id = {mark}"  # noqa: S608 constants
