"""Budgets on the hot path: calls are admitted from slices leased from SQL, so that admission itself asks nobody.

A slice counts as reserved in SQL from the moment it is leased until what was spent from it is settled, so all workers
together can never admit more than the budget. A slice is what the waiting calls need plus 1 % of what remains; it is
refilled in the background when it runs low, waited for when it is empty, renewed while in use, and given back when
nobody used it for a minute.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from time import monotonic, time
from typing import Protocol

from accounts.errors import AccountsUnavailable, InsufficientQuota
from accounts.periods import period_of
from accounts.records import AccountsSettings, BudgetRule
from accounts.sql_door import SqlDoor, SqlUnavailable
from accounts.task_ending import no_news

# What SQL said about the rest of a budget is believed for this long; a call beyond it is refused without asking again.
FRESH_FOR_S = 0.25
IDLE_AFTER_S = 60.0
ATTEMPTS_AT_MOST = 50


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Answer to a request for a slice. `left_…` is what remains for anybody after it; None where not limited."""

    lease_id: int
    period_id: int
    nano_usd: int
    tokens: int
    left_nano_usd: int | None
    left_tokens: int | None


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


class Slice:
    """This worker's share of one budget period."""

    __slots__ = (
        "ends_at", "fresh_until", "granted_nano", "granted_tokens", "held_nano", "held_tokens", "lease_id", "left_nano",
        "left_tokens", "low_nano", "low_tokens", "period", "period_id", "rule", "spent_nano", "spent_tokens", "used_at",
        "valid_until",
    )  # fmt: skip

    def __init__(self, rule: BudgetRule, period: str, ends_at: float) -> None:
        self.rule = rule
        self.period = period
        self.ends_at = ends_at
        self.lease_id = 0
        self.period_id = 0
        self.granted_nano = self.granted_tokens = 0
        self.held_nano = self.held_tokens = 0
        self.spent_nano = self.spent_tokens = 0
        self.left_nano: int | None = None
        self.left_tokens: int | None = None
        self.low_nano = self.low_tokens = 0
        self.valid_until = 0.0
        self.used_at = 0.0
        self.fresh_until = 0.0

    @property
    def free_nano(self) -> int:
        return self.granted_nano - self.held_nano - self.spent_nano

    @property
    def free_tokens(self) -> int:
        return self.granted_tokens - self.held_tokens - self.spent_tokens

    def covers(self, cost: int, tokens: int) -> bool:
        # Every call asks this: the sums are written out, because a property costs more than what it adds up.
        rule = self.rule
        return (rule.amount_nano_usd is None or self.granted_nano - self.held_nano - self.spent_nano >= cost) and (
            rule.tokens is None or self.granted_tokens - self.held_tokens - self.spent_tokens >= tokens
        )

    def is_beyond(self, cost: int, tokens: int) -> bool:
        """More than is free here and left in SQL, as far as known."""
        rule = self.rule
        return (rule.amount_nano_usd is not None and self.free_nano + (self.left_nano or 0) < cost) or (
            rule.tokens is not None and self.free_tokens + (self.left_tokens or 0) < tokens
        )

    def hold(self, cost: int, tokens: int, now: float) -> None:
        self.held_nano += cost
        self.held_tokens += tokens
        self.used_at = now

    def settle(self, held_cost: int, held_tokens: int, cost: int, tokens: int) -> None:
        """The hold is replaced by what was really spent. What the slice cannot cover, because the estimate was too
        low, is booked straight to the period by the drain; it must not be asked for a second time here."""
        self.held_nano -= held_cost
        self.held_tokens -= held_tokens
        self.spent_nano += cost
        self.spent_tokens += tokens
        nano, count = self.held_nano + self.spent_nano, self.held_tokens + self.spent_tokens
        if nano > self.granted_nano:
            self.granted_nano = nano
        if count > self.granted_tokens:
            self.granted_tokens = count

    def runs_low(self) -> bool:
        return not self.covers(self.low_nano, self.low_tokens)

    def receive(self, grant: Grant, asked_nano: int, asked_tokens: int) -> None:
        if self.lease_id not in {0, grant.lease_id}:
            # The old lease was taken back while this worker could not renew it: what was free of it is void.
            self.granted_nano = self.held_nano + self.spent_nano
            self.granted_tokens = self.held_tokens + self.spent_tokens
        self.lease_id, self.period_id = grant.lease_id, grant.period_id
        self.granted_nano += grant.nano_usd
        self.granted_tokens += grant.tokens
        self.left_nano, self.left_tokens = grant.left_nano_usd, grant.left_tokens
        self.low_nano = max(0, grant.nano_usd - asked_nano) // 2
        self.low_tokens = max(0, grant.tokens - asked_tokens) // 2

    def take_free(self) -> tuple[int, int]:
        """Removes what is free from the slice, to be given back: nano-USD and tokens."""
        nano = max(0, self.free_nano) if self.rule.amount_nano_usd is not None else 0
        tokens = max(0, self.free_tokens) if self.rule.tokens is not None else 0
        self.granted_nano -= nano
        self.granted_tokens -= tokens
        self.low_nano = self.low_tokens = 0
        return nano, tokens


class Refill:
    """One request to SQL for one slice, shared by all calls that wait for it."""

    __slots__ = ("done", "need_nano", "need_tokens", "of", "sent")

    def __init__(self, of: Slice) -> None:
        self.of = of
        self.need_nano = self.need_tokens = 0
        self.sent = False
        self.done: asyncio.Task[None] | None = None


class BudgetBook:
    def __init__(self, *, worker: str, source: LeaseSource, door: SqlDoor, clock: Callable[[], float] = time) -> None:
        self._worker = worker
        self._source = source
        self._door = door
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
                raise InsufficientQuota(f"The price of this model is unknown, and the {_named(rule)} counts money.")
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

    def settle(self, slices: Sequence[Slice], held: tuple[int, int], spent: tuple[int, int]) -> None:
        held_cost, held_tokens = held
        cost, tokens = spent
        for found in slices:
            found.settle(held_cost, held_tokens, cost, tokens)

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
            if lease_id in alive:
                found.valid_until = max(found.valid_until, steady + self._settings.lease_s)
            elif self._slices.get(found.rule.id) is found:
                del self._slices[found.rule.id]

    def _collect_unused(self, *, give_all_back: bool) -> None:
        steady, now = monotonic(), self._clock()
        for found in list(self._slices.values()):
            idle = steady - found.used_at > IDLE_AFTER_S
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
                self._leaving_part(found)
                found.rule = rule
                found.fresh_until = 0.0
            return found
        if found is not None:
            self._leaving.append(found)
        period, ends_at = period_of(rule.period, self._clock())
        fresh = self._slices[rule.id] = Slice(rule, period, ends_at)
        return fresh

    def _leaving_part(self, found: Slice) -> None:
        part = Slice(found.rule, found.period, found.ends_at)
        part.lease_id = found.lease_id
        part.granted_nano, part.granted_tokens = found.take_free()
        self._leaving.append(part)

    async def _wait_for(self, found: Slice, cost: int, tokens: int) -> None:
        """Joins the refill that is being prepared, or prepares one; returns when it is done."""
        if monotonic() < found.fresh_until and found.is_beyond(cost, tokens):
            raise self._insufficient(found)
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
            raise self._insufficient(found)

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
            started = monotonic()
            rule = found.rule
            nano = max(0, refill.need_nano - found.free_nano) if rule.amount_nano_usd is not None else 0
            tokens = max(0, refill.need_tokens - found.free_tokens) if rule.tokens is not None else 0

            def receive(grant: Grant) -> None:
                found.receive(grant, nano, tokens)
                found.valid_until = started + self._settings.lease_s
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

    def _insufficient(self, found: Slice) -> InsufficientQuota:
        rule = found.rule
        left = []
        if rule.amount_nano_usd is not None:
            left.append(f"{_usd(max(0, (found.left_nano or 0) + found.free_nano))} of {_usd(rule.amount_nano_usd)}")
        if rule.tokens is not None:
            left.append(f"{max(0, (found.left_tokens or 0) + found.free_tokens)} of {rule.tokens} tokens")
        renews = datetime.fromtimestamp(found.ends_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        return InsufficientQuota(
            f"The {_named(rule)} does not cover this call: {' and '.join(left)} left. It renews at {renews}."
        )


def _named(rule: BudgetRule) -> str:
    per = "daily" if rule.period == "day" else "monthly"
    return f"{per} budget '{rule.label}'"


def _usd(nano: int) -> str:
    return f"${nano / 1e9:.6f}"
