"""Budgets on the hot path: calls are admitted from slices leased from SQL, so that admission itself asks nobody.

A slice counts as reserved in SQL from the moment it is leased until what was spent from it is settled, so all workers
together can never admit more than the budget. A slice is what the waiting calls need plus 1 % of what remains; it is
refilled in the background when it runs low, waited for when it is empty, renewed while in use, and given back when
nobody used it for a minute.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, time
from typing import Any, Protocol

from accounts.errors import AccountsUnavailable, InsufficientQuota
from accounts.periods import period_of
from accounts.records import AccountsSettings, BudgetRule
from accounts.slices import Grant, Slice
from accounts.sql_door import SqlDoor, SqlUnavailable
from accounts.task_ending import no_news

# What SQL said about the rest of a budget is believed for this long; a call beyond it is refused without asking again.
FRESH_FOR_S = 0.25
IDLE_AFTER_S = 60.0
ATTEMPTS_AT_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Return:
    """Unused parts of a lease, given back. `number` counts the returns of one worker."""

    number: int
    lease_id: int
    nano_usd: int
    tokens: int


class LeaseSource(Protocol):
    """SQL's side; runs in a thread. Every method is one transaction, and one that failed left nothing behind, or what the
    next one about the same lease puts right."""

    def lease(self, rule: BudgetRule, *, period: str, worker: str, nano_usd: int, tokens: int, lease_s: float) -> Grant:
        """At most what remains: `nano_usd` and `tokens` plus 1 % of the rest."""

    def renew(self, leases: Sequence[int], returns: Sequence[Return], *, lease_s: float) -> set[int]:
        """Gives `returns` back, extends `leases` and says which of them still exist. Returns come again until a call has
        succeeded, in the order of their numbers, and count once."""


class Refill:
    """One request to SQL for one slice, shared by all calls that wait for it."""

    __slots__ = ("done", "need_nano", "need_tokens", "of", "sent")

    def __init__(self, of: Slice) -> None:
        self.of = of
        self.need_nano = self.need_tokens = 0
        self.sent = False
        self.done: asyncio.Task[None] | None = None


class BudgetBook:
    """`book` books all that was settled until now. It raises SqlUnavailable."""

    def __init__(
        self,
        *,
        worker: str,
        source: LeaseSource,
        door: SqlDoor,
        book: Callable[[], Coroutine[Any, Any, None]],
        clock: Callable[[], float] = time,
    ) -> None:
        self._worker = worker
        self._source = source
        self._door = door
        self._book = book
        self._clock = clock
        self._settings = AccountsSettings()
        self._slices: dict[int, Slice] = {}
        self._leaving: list[Slice] = []
        self._owed: list[Return] = []
        self._returns = 0
        self._refills: dict[int, Refill] = {}
        self._renewed_at = monotonic()

    def configure(self, settings: AccountsSettings) -> None:
        self._settings = settings

    def hold_now(
        self, rules: Sequence[BudgetRule], cost: int, tokens: int, *, unpriced: bool = False
    ) -> tuple[Slice, ...] | None:
        """Holds from every slice, or from none when one of them lacks something. `unpriced`: the call may cost something
        that nobody knows, beside `cost`."""
        now, steady = self._clock(), monotonic()
        slices = []
        for rule in rules:
            if unpriced and rule.amount_nano_usd is not None and rule.refuse_unknown_price:
                why = f"The price of this model is unknown, and the {_named(rule)} counts money"
                raise InsufficientQuota(f"{why}: the model needs a price, or the budget has to let such calls pass.")
            found = self._slices.get(rule.id)
            if found is None or now >= found.ends_at or steady >= found.valid_until:
                return None
            if found.rule is not rule and found.rule != rule:
                return None
            if not found.covers(cost, tokens):
                return None
            slices.append(found)
        for found in slices:
            found.hold(cost, tokens, steady)
            if found.runs_low() and found.rule.id not in self._refills and steady >= found.fresh_until:
                self._start(Refill(found))
        return tuple(slices)

    async def hold(
        self, rules: Sequence[BudgetRule], cost: int, tokens: int, *, unpriced: bool = False
    ) -> tuple[Slice, ...]:
        """Raises InsufficientQuota, or AccountsUnavailable when a slice is empty and SQL does not answer."""
        for _ in range(ATTEMPTS_AT_MOST):
            slices = self.hold_now(rules, cost, tokens, unpriced=unpriced)
            if slices is not None:
                return slices
            for rule in rules:
                found = self._slice(rule)
                if monotonic() >= found.valid_until or not found.covers(cost, tokens):
                    await self._wait_for(found, cost, tokens)
        raise AccountsUnavailable("The budget could not be reserved in time.")

    def settle(
        self, slices: Sequence[Slice], held: tuple[int, int], spent: tuple[int, int]
    ) -> tuple[tuple[int, int], ...] | None:
        """None where each slice pays what was spent, else what each pays."""
        held_cost, held_tokens = held
        cost, tokens = spent
        paid = [found.settle(held_cost, held_tokens, cost, tokens) for found in slices]
        if not any(paid):
            return None
        for found in slices:
            if found.debts:
                self._is_indebted(found)
        return tuple([part or spent for part in paid])

    def _is_indebted(self, found: Slice) -> None:
        """Has it booked at once, so that the other workers, too, hear of it."""
        present = self._slices.get(found.rule.id) or self._slice(found.rule)
        if present.period != found.period:
            return
        if present is not found:
            present.take_over(found)
        if found.rule.id not in self._refills:
            self._start(Refill(present))

    async def tick(self, *, give_all_back: bool = False) -> None:
        """Once a second: gives back what is unused, renews what is used. Raises SqlUnavailable."""
        steady = monotonic()
        self._collect_unused(give_all_back=give_all_back)
        returns = tuple(self._owed)
        due = bool(self._slices) and steady - self._renewed_at > self._settings.lease_s / 3
        if not returns and not due:
            return
        renewed = {found.lease_id: found for found in self._slices.values() if found.lease_id}
        alive = await self._door.run(
            lambda: self._source.renew(tuple(renewed), returns, lease_s=self._settings.lease_s), timeout_s=None
        )
        del self._owed[: len(returns)]
        self._renewed_at = steady
        for lease_id, found in renewed.items():
            if lease_id in alive and not found.debts and not found.is_exceeded:
                found.valid_until = max(found.valid_until, steady + self._settings.lease_s)
            elif lease_id not in alive and self._slices.get(found.rule.id) is found:
                del self._slices[found.rule.id]

    def _collect_unused(self, *, give_all_back: bool) -> None:
        steady, now = monotonic(), self._clock()
        for found in list(self._slices.values()):
            idle = steady - found.used_at > IDLE_AFTER_S and not found.debts
            if (now >= found.ends_at or idle or give_all_back) and found.rule.id not in self._refills:
                del self._slices[found.rule.id]
                self._leaving.append(found)
        for found in self._leaving:
            nano, tokens = found.take_free() if found.lease_id else (0, 0)
            if nano or tokens:
                self._returns += 1
                self._owed.append(Return(number=self._returns, lease_id=found.lease_id, nano_usd=nano, tokens=tokens))
        self._leaving = [found for found in self._leaving if found.held_nano or found.held_tokens]

    def _slice(self, rule: BudgetRule) -> Slice:
        found = self._slices.get(rule.id)
        if found is not None and self._clock() < found.ends_at and found.rule.period == rule.period:
            if found.rule != rule:
                # The budget was edited: what was leased under the old amount goes back before more is asked for.
                self._leaving_part(found, *found.take_free())
                found.rule = rule
                found.fresh_until = 0.0
            return found
        if found is not None:
            self._leaving.append(found)
        period, ends_at = period_of(rule.period, self._clock())
        fresh = self._slices[rule.id] = Slice(rule, period, ends_at)
        for former in self._leaving:
            if former.rule.id == rule.id and former.period == period:
                fresh.take_over(former)
        return fresh

    def _leaving_part(self, found: Slice, nano: int, tokens: int) -> None:
        part = Slice(found.rule, found.period, found.ends_at)
        part.lease_id = found.lease_id
        part.granted_nano, part.granted_tokens = nano, tokens
        self._leaving.append(part)

    async def _wait_for(self, found: Slice, cost: int, tokens: int) -> None:
        """Joins the refill that is being prepared, or prepares one; returns when it is done."""
        if monotonic() < found.fresh_until and found.is_beyond(cost, tokens):
            raise _insufficient(found, cost, tokens)
        refill = self._refill_of(found)
        if refill is not None and refill.sent and refill.done is not None:
            await asyncio.shield(refill.done)
            if self._slices.get(found.rule.id) is not found or found.covers(cost, tokens):
                return
            refill = self._refill_of(found)
            if refill is not None and refill.sent:
                return
        if refill is None:
            refill = Refill(found)
            self._start(refill)
        refill.need_nano += cost
        refill.need_tokens += tokens
        assert refill.done is not None
        await asyncio.shield(refill.done)
        if found.is_beyond(cost, tokens):
            raise _insufficient(found, cost, tokens)

    def _refill_of(self, found: Slice) -> Refill | None:
        """One of the slice before, of a period that ended in this moment, brings `found` nothing."""
        refill = self._refills.get(found.rule.id)
        return refill if refill is not None and refill.of is found else None

    def _start(self, refill: Refill) -> None:
        self._refills[refill.of.rule.id] = refill
        refill.done = asyncio.ensure_future(self._refill(refill))
        # One that fails is tried again by the next call.
        refill.done.add_done_callback(no_news)

    async def _refill(self, refill: Refill) -> None:
        found = refill.of
        try:
            await asyncio.sleep(0)  # lets the other calls of this moment join
            refill.sent = True
            if found.debts:
                await self._booked(found)
            started = monotonic()
            rule = found.rule
            nano = max(0, refill.need_nano - found.free_nano) if rule.amount_nano_usd is not None else 0
            tokens = max(0, refill.need_tokens - found.free_tokens) if rule.tokens is not None else 0

            def receive(grant: Grant) -> None:
                found.receive(grant, nano, tokens)
                if found.is_exceeded:
                    self._leaving_part(found, *found.take_exceeding())
                if not found.debts:
                    # Of an exceeded budget calls that end for less than they held leave nothing to others.
                    found.valid_until = 0.0 if found.is_exceeded else started + self._settings.lease_s
                    found.fresh_until = monotonic() + FRESH_FOR_S
                if self._slices.get(rule.id) is not found and found not in self._leaving:
                    # It was dropped while SQL was silent: nobody admits from it, so all of it goes back.
                    self._leaving.append(found)

            grant = await self._door.run(
                lambda: self._source.lease(
                    rule, period=found.period, worker=self._worker, nano_usd=nano, tokens=tokens,
                    lease_s=self._settings.lease_s,
                ),
                timeout_s=self._settings.sql_timeout_s,
                late=receive,
            )  # fmt: skip
            receive(grant)
        except SqlUnavailable as error:
            raise AccountsUnavailable("Budgets cannot be checked at the moment.") from error
        finally:
            if self._refills.get(found.rule.id) is refill:
                del self._refills[found.rule.id]

    async def _booked(self, found: Slice) -> None:
        """Waits until what the slice could not pay is booked. Raises SqlUnavailable."""
        debts = found.debts
        # It goes on when it is not waited for any longer.
        booking = asyncio.ensure_future(self._book())
        booking.add_done_callback(no_news)
        await asyncio.wait([booking], timeout=self._settings.sql_timeout_s)
        if not booking.done():
            raise SqlUnavailable("not in time")
        booking.result()
        found.debts -= debts


def _insufficient(found: Slice, cost_nano: int, tokens: int) -> InsufficientQuota:
    """`cost_nano` and `tokens` are the most that the call can take: who is refused with much left has to see why."""
    rule = found.rule
    asked, left = [], []
    if rule.amount_nano_usd is not None:
        asked.append(_usd(cost_nano))
        left.append(f"{_usd(max(0, (found.left_nano or 0) + found.free_nano))} of {_usd(rule.amount_nano_usd)}")
    if rule.tokens is not None:
        asked.append(f"{tokens} tokens")
        left.append(f"{max(0, (found.left_tokens or 0) + found.free_tokens)} of {rule.tokens} tokens")
    renews = datetime.fromtimestamp(found.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    return InsufficientQuota(
        f"The {_named(rule)} does not cover this call, which may take up to {' and '.join(asked)}: "
        f"{' and '.join(left)} left. It renews at {renews}."
    )


def _named(rule: BudgetRule) -> str:
    per = "daily" if rule.period == "day" else "monthly"
    return f"{per} budget '{rule.label}'"


def _usd(nano: int) -> str:
    return f"${nano / 1e9:.6f}"
