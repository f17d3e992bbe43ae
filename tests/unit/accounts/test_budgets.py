import asyncio
import contextlib
import random
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from accounts.budgets import BudgetBook
from accounts.errors import AccountsUnavailable, InsufficientQuota
from accounts.records import AccountsSettings, BudgetRule
from accounts.sql_door import SqlUnavailable
from tests.unit.accounts.fakes import FakeDoor, FakeLedger

NOW = datetime(2026, 7, 31, 23, 59, 50, tzinfo=UTC).timestamp()


def rule(identity: int = 1, nano: int | None = 1_000_000, tokens: int | None = None, **changes) -> BudgetRule:
    changes = {"label": f"b{identity}", "period": "day", **changes}
    return BudgetRule(id=identity, amount_nano_usd=nano, tokens=tokens, **changes)


class Bench:
    """A worker. `late`: what is settled is booked when the worker asks for it, or at the latest by `drain`."""

    def __init__(
        self, *rules: BudgetRule, worker: str = "w1", ledger: FakeLedger | None = None, late: bool = False
    ) -> None:
        self.now = NOW
        self.door = FakeDoor()
        self.ledger = ledger or FakeLedger({item.id: (item.amount_nano_usd, item.tokens) for item in rules})
        self.book = BudgetBook(
            worker=worker, source=self.ledger, door=self.door, book=self.drain, clock=lambda: self.now
        )
        self.late = late
        self.unbooked: list = []

    def settle(self, slices, held, spent) -> None:
        paid = self.book.settle(slices, held, spent)
        leases = [found.lease_id for found in slices]
        self.unbooked += zip(leases, [spent] * len(leases), paid or [spent] * len(leases), strict=True)
        if not self.late:
            self.book_all()

    def book_all(self) -> None:
        unbooked, self.unbooked = self.unbooked, []
        for booking in unbooked:
            self.ledger.book(*booking)

    async def drain(self) -> None:
        if self.door.down:
            raise SqlUnavailable("down")
        self.book_all()


async def test_after_the_first_lease_calls_ask_nobody():
    budget = rule()
    bench = Bench(budget)
    await bench.book.hold([budget], 100, 0)
    asked = bench.ledger.asked

    for _ in range(20):
        assert bench.book.hold_now([budget], 100, 0) is not None
    assert bench.ledger.asked == asked


async def test_a_slice_running_low_is_refilled_behind_the_calls():
    budget = rule()
    bench = Bench(budget)
    await bench.book.hold([budget], 100, 0)
    await asyncio.sleep(0.3)  # what SQL said is fresh for a quarter of a second
    while bench.ledger.asked == 1:
        assert bench.book.hold_now([budget], 100, 0) is not None, "the slice ran empty before it was refilled"
        await asyncio.sleep(0)


async def test_calls_at_once_share_one_request_to_sql():
    budget = rule(nano=None, tokens=100_000)
    bench = Bench(budget)
    await asyncio.gather(*[bench.book.hold([budget], 0, 500) for _ in range(100)])

    assert bench.ledger.asked == 1


async def test_exactly_what_fits_is_admitted():
    budget = rule(nano=1_000)
    bench = Bench(budget)
    results = await asyncio.gather(*[bench.book.hold([budget], 30, 0) for _ in range(100)], return_exceptions=True)

    assert sum(isinstance(result, tuple) for result in results) == 33
    assert sum(isinstance(result, InsufficientQuota) for result in results) == 67


async def test_a_refusal_names_the_budget_what_is_left_and_when_it_renews():
    budget = rule(nano=2_000_000_000, tokens=70, label="research")
    bench = Bench(budget)
    with pytest.raises(InsufficientQuota) as refused:
        await bench.book.hold([budget], 5, 71)

    assert refused.value.message == (
        "The daily budget 'research' does not cover this call, which may take up to $0.000000 and 71 tokens: "
        "$2.000000 of $2.000000 and 70 of 70 tokens left. It renews at 2026-08-01T00:00:00Z."
    )
    assert (b"x-should-retry", b"false") in refused.value.headers


async def test_a_used_up_budget_does_not_become_a_load_on_sql():
    budget = rule(nano=10)
    bench = Bench(budget)
    for _ in range(50):
        with pytest.raises(InsufficientQuota):
            await bench.book.hold([budget], 11, 0)

    assert bench.ledger.asked <= 2


async def test_nothing_is_held_when_one_of_several_budgets_lacks():
    wide, narrow = rule(1, 1_000_000), rule(2, 10)
    bench = Bench(wide, narrow)
    with pytest.raises(InsufficientQuota, match="b2"):
        await bench.book.hold([wide, narrow], 50, 0)

    slices = await bench.book.hold([wide], 1, 0)
    assert slices[0].held_nano == 1


async def test_an_unknown_price_is_refused_or_allowed_as_the_budget_says():
    strict, lenient = rule(1), rule(2, refuse_unknown_price=False)
    bench = Bench(strict, lenient)

    with pytest.raises(InsufficientQuota, match="the model needs a price"):
        await bench.book.hold([strict], 0, 10, unpriced=True)
    assert await bench.book.hold([lenient], 0, 10, unpriced=True)


async def test_what_is_known_of_a_call_with_an_unknown_price_is_held_all_the_same():
    lenient = rule(nano=1_000, refuse_unknown_price=False)
    bench = Bench(lenient)
    await bench.book.hold([lenient], 900, 0, unpriced=True)

    with pytest.raises(InsufficientQuota):
        await bench.book.hold([lenient], 900, 0, unpriced=True)


async def test_a_call_of_the_new_period_does_not_join_the_refill_of_the_one_before():
    budget = rule()
    bench = Bench(budget)

    async def hold_at(now: float):
        bench.now = now
        return await bench.book.hold([budget], 100, 0)

    # Both in one turn of the event loop: the refill of the first is prepared, but not sent.
    _, after = await asyncio.gather(hold_at(NOW), hold_at(NOW + 20))
    assert after[0].period == "2026-08-01"


async def test_the_period_of_admission_pays_even_after_midnight():
    budget = rule(nano=1_000)
    bench = Bench(budget)
    before = await bench.book.hold([budget], 900, 0)
    bench.now += 20
    after = await bench.book.hold([budget], 900, 0)
    bench.settle(before, (900, 0), (800, 0))
    bench.settle(after, (900, 0), (700, 0))

    assert bench.ledger.spent == {(1, "2026-07-31"): [800, 0], (1, "2026-08-01"): [700, 0]}
    await bench.book.tick(give_all_back=True)
    assert [row[0] for row in bench.ledger.reserved.values()] == [0, 0]


async def test_leased_slices_outlive_an_outage_of_sql_and_then_it_is_closed():
    budget = rule()
    bench = Bench(budget)
    await bench.book.hold([budget], 100, 0)
    bench.door.down = True

    admitted = 0
    while bench.book.hold_now([budget], 100, 0) is not None:
        admitted += 1
    assert 10 < admitted <= 100
    with pytest.raises(AccountsUnavailable):
        await bench.book.hold([budget], 100, 0)


@pytest.mark.parametrize("trouble", ["down", "frozen"])
async def test_what_could_not_be_given_back_is_given_back_at_the_next_tick_and_once(trouble):
    budget = rule(nano=1_000)
    bench = Bench(budget)
    slices = await bench.book.hold([budget], 500, 0)
    bench.settle(slices, (500, 0), (100, 0))
    setattr(bench.door, trouble, True)
    for _ in range(2):
        with pytest.raises(SqlUnavailable):
            await bench.book.tick(give_all_back=True)
    setattr(bench.door, trouble, False)
    await bench.book.tick()

    assert list(bench.ledger.reserved.values()) == [[0, 0]]
    jobs = bench.door.jobs
    await bench.book.tick()
    assert bench.door.jobs == jobs


async def test_what_is_granted_after_its_slice_was_dropped_goes_back():
    budget = rule(nano=1_000)
    bench = Bench(budget)
    bench.door.frozen = True
    with pytest.raises(AccountsUnavailable):
        await bench.book.hold([budget], 500, 0)
    await bench.book.tick(give_all_back=True)
    bench.door.thaw()
    await bench.book.tick()

    assert list(bench.ledger.reserved.values()) == [[0, 0]]
    assert await bench.book.hold([budget], 1_000, 0)


async def test_an_expired_lease_admits_nobody():
    budget = rule()
    bench = Bench(budget)
    bench.book.configure(AccountsSettings(lease_s=0.0))
    await bench.book._wait_for(bench.book._slice(budget), 10, 0)

    assert bench.book.hold_now([budget], 10, 0) is None


async def test_an_edited_budget_counts_at_once():
    old = rule(nano=1_000_000)
    bench = Bench(old)
    await bench.book.hold([old], 100, 0)
    new = rule(nano=150)
    bench.ledger.budgets[1] = (150, None)
    await bench.book.tick()

    with pytest.raises(InsufficientQuota):
        await bench.book.hold([new], 51, 0)
    await bench.book.tick()
    await asyncio.sleep(0.3)
    assert await bench.book.hold([new], 50, 0)


@pytest.mark.parametrize(
    ("before", "after", "counts_in"), [("month", "day", "2026-07-31"), ("day", "month", "2026-07")]
)
async def test_a_budget_whose_period_was_edited_counts_in_the_new_one_at_once(before, after, counts_in):
    old, new = rule(nano=1_000, period=before), rule(nano=1_000, period=after)
    bench = Bench(old)
    bench.settle(await bench.book.hold([old], 900, 0), (900, 0), (900, 0))

    bench.settle(await bench.book.hold([new], 700, 0), (700, 0), (700, 0))
    assert bench.ledger.spent[1, counts_in] == [700, 0]
    await bench.book.tick(give_all_back=True)
    assert [row[0] for row in bench.ledger.reserved.values()] == [0, 0]


async def test_what_was_underestimated_is_made_up_for():
    budget = rule(nano=1_000)
    bench = Bench(budget)
    slices = await bench.book.hold([budget], 100, 0)
    bench.settle(slices, (100, 0), (900, 0))
    await asyncio.sleep(0.3)

    with pytest.raises(InsufficientQuota):
        await bench.book.hold([budget], 101, 0)
    assert await bench.book.hold([budget], 100, 0)


async def test_a_call_that_costs_too_much_leaves_others_what_they_hold():
    budget = rule(nano=1_000)
    bench = Bench(budget, late=True)
    both = await asyncio.gather(bench.book.hold([budget], 100, 0), bench.book.hold([budget], 50, 0))
    bench.settle(both[0], (100, 0), (900, 0))
    with pytest.raises(InsufficientQuota, match=r"\$0\.000000 of"):
        await bench.book.hold([budget], 51, 0)
    assert await bench.book.hold([budget], 50, 0)
    bench.settle(both[1], (50, 0), (50, 0))
    bench.book_all()
    ((reserved, _),) = bench.ledger.reserved.values()
    ((spent, _),) = bench.ledger.spent.values()
    assert (spent, reserved) == (950, 50)


async def test_a_budget_that_was_exceeded_gets_back_what_is_free():
    budget = rule(nano=100_000)
    first = Bench(budget, worker="w1")
    other = Bench(budget, worker="w2", ledger=first.ledger)
    slices = await first.book.hold([budget], 1_000, 0)
    held = await other.book.hold([budget], 50_000, 0)
    first.settle(slices, (1_000, 0), (99_000, 0))
    other.settle(held, (50_000, 0), (0, 0))
    with pytest.raises(InsufficientQuota):
        await other.book.hold([budget], 50_600, 0)
    await other.book.tick()
    ((reserved, _),) = other.ledger.reserved.values()
    assert reserved <= 1_000


async def test_a_slice_in_debt_admits_nobody_until_it_is_booked():
    budget = rule(nano=1_000)
    bench = Bench(budget, late=True)
    slices = await bench.book.hold([budget], 100, 0)
    bench.settle(slices, (100, 0), (2_000, 0))
    bench.door.down = True
    with pytest.raises(AccountsUnavailable):
        await bench.book.hold([budget], 1, 0)
    bench.door.down = False
    with pytest.raises(InsufficientQuota):
        await bench.book.hold([budget], 1, 0)


class Traffic:
    """Random calls through several workers that share two budgets; `check` holds after every step."""

    def __init__(self, *, nano: int, tokens: int, workers: int, seed: int, dearer: int = 1) -> None:
        self.dearer = dearer
        self.beyond = [0, 0]
        self.chance = random.Random(seed)
        self.rules = [rule(1, nano * 3, None), rule(2, nano, tokens)]
        self.ledger = FakeLedger({1: (nano * 3, None), 2: (nano, tokens)})
        self.benches = [
            Bench(*self.rules, worker=f"w{number}", ledger=self.ledger, late=dearer > 1) for number in range(workers)
        ]
        self.running: list = []
        self.spent = [0, 0]

    async def step(self) -> None:
        action, bench = self.chance.random(), self.chance.choice(self.benches)
        if action < 0.55:
            held = (self.chance.randint(0, 40), self.chance.randint(0, 40))
            with contextlib.suppress(InsufficientQuota, AccountsUnavailable):
                self.running.append((bench, await bench.book.hold(self.rules, *held), held))
                self.admitted(held)
        elif action < 0.9 and self.running:
            bench, slices, held = self.running.pop(self.chance.randrange(len(self.running)))
            most = self.dearer if self.chance.random() < 0.1 else 1
            real = (self.chance.randint(0, most * held[0]), self.chance.randint(0, most * held[1]))
            self.beyond = [self.beyond[at] + max(0, real[at] - held[at]) for at in (0, 1)]
            bench.settle(slices, held, real)
            self.spent = [self.spent[0] + real[0], self.spent[1] + real[1]]
        else:
            bench.door.down, bench.door.frozen = self.chance.random() < 0.2, self.chance.random() < 0.2
            with contextlib.suppress(SqlUnavailable):
                ends = self.chance.random() < 0.3
                if ends:
                    await bench.drain()
                await bench.book.tick(give_all_back=ends)
            bench.door.down = False
            bench.door.thaw()

    def admitted(self, asked: tuple[int, int]) -> None:
        """One worker knows of everything that was spent: it admits what fits, and nothing when a call took too much."""
        held = [sum(each[index] for _, _, each in self.running) for index in (0, 1)]
        for identity, limits in self.ledger.budgets.items() if len(self.benches) == 1 else ():
            for index, limit in enumerate(limits):
                if limit is not None and asked[index]:
                    assert self.spent[index] + held[index] <= limit, identity

    def check(self) -> None:
        for (identity, _), reserved in self.ledger.reserved.items():
            for index, limit in enumerate(self.ledger.budgets[identity]):
                if limit is not None:
                    assert (
                        self.ledger.spent[identity, "2026-07-31"][index] + reserved[index] <= limit + self.beyond[index]
                    )
                    assert reserved[index] >= sum(held[index] for _, _, held in self.running)

    async def finish(self) -> None:
        for bench, slices, held in self.running:
            bench.settle(slices, held, (0, 0))
        for bench in self.benches:
            bench.book_all()
        for _ in range(20):
            await asyncio.sleep(0)  # what was asked for in the background is answered
        for _ in range(2):
            for bench in self.benches:
                await asyncio.sleep(0)
                await bench.book.tick(give_all_back=True)
        assert all(sums == self.spent for sums in self.ledger.spent.values())
        assert all(reserved == [0, 0] for reserved in self.ledger.reserved.values())

    async def run(self, steps: int) -> None:
        for _ in range(steps):
            await self.step()
            self.check()
        await self.finish()


@settings(max_examples=40, deadline=None)
@given(st.integers(50, 5_000), st.integers(50, 5_000), st.integers(2, 3), st.integers(0, 2**32))
def test_spent_and_reserved_are_always_the_sum_of_what_happened(nano, tokens, workers, seed):
    asyncio.run(Traffic(nano=nano, tokens=tokens, workers=workers, seed=seed).run(250))


@settings(max_examples=40, deadline=None)
@given(st.integers(50, 5_000), st.integers(50, 5_000), st.integers(1, 3), st.integers(0, 2**32))
def test_what_running_calls_hold_is_never_used_up_by_dearer_ones(nano, tokens, workers, seed):
    asyncio.run(Traffic(nano=nano, tokens=tokens, workers=workers, seed=seed, dearer=6).run(120))
