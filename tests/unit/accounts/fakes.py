"""Stand-ins for SQL: the same promises in memory, and outages on demand."""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from accounts.budgets import Return
from accounts.key_source import ChangeNote, KeyRow
from accounts.records import BudgetRule
from accounts.slices import Grant
from accounts.sql_door import SqlUnavailable


class FakeDoor:
    """Runs jobs in place, after letting other tasks run. `frozen`: a job is done, but nobody hears of it before `thaw`."""

    def __init__(self) -> None:
        self.down = False
        self.frozen = False
        self.jobs = 0
        self._answers: list[Callable[[], None]] = []

    async def run(self, job, *, timeout_s, late=None) -> Any:
        self.jobs += 1
        await asyncio.sleep(0)
        if self.down:
            raise SqlUnavailable("down")
        result = job()
        if self.frozen:
            if late is not None:
                self._answers.append(partial(late, result))
            raise SqlUnavailable("not in time")
        return result

    def thaw(self) -> None:
        self.frozen = False
        while self._answers:
            self._answers.pop(0)()


class FakeLedger:
    """Budgets by id as (nano-USD or None, tokens or None); everything is kept per (budget, period)."""

    def __init__(self, budgets: dict[int, tuple[int | None, int | None]]) -> None:
        self.budgets = budgets
        self.reserved: dict[tuple[int, str], list[int]] = {}
        self.spent: dict[tuple[int, str], list[int]] = {}
        self.leases: dict[tuple[tuple[int, str], str], int] = {}
        self.outstanding: dict[int, list[int]] = {}
        self.asked = 0
        self._returned: set[tuple[int, int]] = set()

    def lease(self, rule: BudgetRule, *, period: str, worker: str, nano_usd: int, tokens: int, lease_s: float) -> Grant:
        self.asked += 1
        row = (rule.id, period)
        reserved, spent = self.reserved.setdefault(row, [0, 0]), self.spent.setdefault(row, [0, 0])
        grants, lefts = [], []
        for index, (limit, wanted) in enumerate(zip(self.budgets[rule.id], (nano_usd, tokens), strict=True)):
            left = None if limit is None else limit - spent[index] - reserved[index]
            granted = 0 if left is None else (max(0, left) if left <= wanted else wanted + (left - wanted) // 100)
            reserved[index] += granted
            grants.append(granted)
            lefts.append(None if left is None else left - granted)
        lease_id = self.leases.setdefault((row, worker), len(self.leases) + 1)
        held = self.outstanding.setdefault(lease_id, [0, 0])
        held[0] += grants[0]
        held[1] += grants[1]
        return Grant(
            lease_id=lease_id,
            period_id=rule.id,
            nano_usd=grants[0],
            tokens=grants[1],
            left_nano_usd=lefts[0],
            left_tokens=lefts[1],
        )

    def renew(self, leases: Sequence[int], returns: Sequence[Return], *, lease_s: float) -> set[int]:
        rows = {lease_id: row for (row, _), lease_id in self.leases.items()}
        for item in returns:
            if (item.lease_id, item.number) in self._returned:
                continue
            self._returned.add((item.lease_id, item.number))
            for index, amount in enumerate((item.nano_usd, item.tokens)):
                assert self.outstanding[item.lease_id][index] >= amount, "gave back more than it had"
                self.outstanding[item.lease_id][index] -= amount
                self.reserved[rows[item.lease_id]][index] -= amount
        return set(leases)

    def book(self, lease_id: int, spent: tuple[int, int], paid: tuple[int, int]) -> None:
        """What the drain does: reserved → spent. The lease pays `paid` of it."""
        row = next(row for (row, _), number in self.leases.items() if number == lease_id)
        for index, amount in enumerate(spent):
            part = min(paid[index], self.outstanding[lease_id][index])
            self.outstanding[lease_id][index] -= part
            self.reserved[row][index] -= part
            self.spent[row][index] += amount


class FakeKeySource:
    def __init__(self, *rows: KeyRow) -> None:
        self.rows = {row.public_id: row for row in rows}
        self.note = ChangeNote()
        self.reads: list[tuple[str, ...]] = []

    def read(self, public_ids: Sequence[str]) -> dict[str, KeyRow]:
        self.reads.append(tuple(public_ids))
        return {public_id: self.rows[public_id] for public_id in public_ids if public_id in self.rows}

    def changes(self) -> ChangeNote:
        note, self.note = self.note, ChangeNote()
        return note
