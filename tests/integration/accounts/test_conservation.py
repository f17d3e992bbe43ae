"""spent + reserved + left = the budget, after every step of any order of leases, bookings, returns, ends and expiries."""

from dataclasses import dataclass, field
from datetime import timedelta
from itertools import count

import pytest
from django.db import transaction
from django.db.models import F, Sum
from django.utils import timezone
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from accounts import journal_lines
from accounts.budgets import Return
from accounts.ledger import SqlLedger, book, end_leases, sweep_leases
from accounts.models import Budget, BudgetLease, BudgetPeriod, UsageRecord
from accounts.records import BudgetRule
from accounts.settlements import ledger_rows
from accounts.slices import Grant
from tests.unit.accounts.builders import record

pytestmark = pytest.mark.django_db
AMOUNT, TOKENS, PERIOD = 10_000, 6_000, "2026-11"
WORKERS = ("w1", "w2", "w3")
numbers = count(1)


@dataclass
class Holding:
    """What a worker thinks it has, as its slice would know."""

    lease_id: int = 0
    period_id: int = 0
    nano: int = 0
    tokens: int = 0


@dataclass
class Traffic:
    budget: Budget
    rule: BudgetRule
    ledger: SqlLedger = field(default_factory=SqlLedger)
    holdings: dict[str, Holding] = field(default_factory=lambda: {worker: Holding() for worker in WORKERS})
    spent: list[int] = field(default_factory=lambda: [0, 0])
    booked: list[bytes] = field(default_factory=list)

    def lease(self, worker: str, nano: int, tokens: int) -> None:
        grant: Grant = self.ledger.lease(
            self.rule, period=PERIOD, worker=worker, nano_usd=nano, tokens=tokens, lease_s=60.0
        )
        held = self.holdings[worker]
        held.lease_id, held.period_id = grant.lease_id, grant.period_id
        held.nano += grant.nano_usd
        held.tokens += grant.tokens
        period = BudgetPeriod.objects.get(pk=grant.period_id)
        assert grant.left_nano_usd == AMOUNT - period.spent_nano_usd - period.reserved_nano_usd
        assert grant.left_tokens == TOKENS - period.spent_tokens - period.reserved_tokens

    def spend(self, worker: str, nano: int, tokens: int) -> None:
        held = self.holdings[worker]
        nano, tokens = min(nano, held.nano), min(tokens, held.tokens)
        held.nano -= nano
        held.tokens -= tokens
        bookings = ((held.lease_id, held.period_id),) if held.lease_id else ()
        paid = record(cost_nano_usd=nano, provider_cost_nano_usd=nano, input_tokens=tokens, output_tokens=0)
        owner = (f"c{next(numbers)}", "req", timezone.now().timestamp(), 1, None, bookings)
        call = b"s" + journal_lines.settled(owner, [paid])
        assert book(ledger_rows([call])) == 1
        if bookings:
            self.booked.append(call)
            self.spent = [self.spent[0] + nano, self.spent[1] + tokens]

    def repeat(self, worker: str, nano: int, tokens: int) -> None:
        """A transaction whose commit nobody heard of is booked again."""
        assert book(ledger_rows(self.booked[-2:])) == 0

    def give_back(self, worker: str, nano: int, tokens: int) -> Return:
        held = self.holdings[worker]
        nano, tokens = min(nano, held.nano), min(tokens, held.tokens)
        held.nano -= nano
        held.tokens -= tokens
        item = Return(number=next(numbers), lease_id=held.lease_id, nano_usd=nano, tokens=tokens)
        self.ledger.renew([], [item], lease_s=60.0)
        return item

    def give_back_unheard(self, worker: str, nano: int, tokens: int) -> None:
        item = self.give_back(worker, nano, tokens)
        self.ledger.renew([], [item], lease_s=60.0)

    def give_back_in_vain(self, worker: str, nano: int, tokens: int) -> None:
        """It is rolled back, and comes again."""
        with transaction.atomic():
            item = self.give_back(worker, nano, tokens)
            transaction.set_rollback(True)
        self.ledger.renew([], [item], lease_s=60.0)

    def end(self, worker: str, nano: int, tokens: int) -> None:
        end_leases(worker=worker)
        self.holdings[worker] = Holding()

    def expire(self, worker: str, nano: int, tokens: int) -> None:
        past = timezone.now() - timedelta(seconds=30)
        held = BudgetLease.objects.filter(worker=worker, period__budget=self.budget)
        before = held.update(expires_at=past)
        assert sweep_leases(grace_s=60.0) == 0
        assert sweep_leases(grace_s=20.0) == before
        self.holdings[worker] = Holding()

    def check(self) -> None:
        period = BudgetPeriod.objects.filter(budget=self.budget).first()
        if period is None:
            return
        open_parts = BudgetLease.objects.filter(period=period).aggregate(
            nano=Sum(F("amount_nano_usd") - F("settled_nano_usd")), tokens=Sum(F("amount_tokens") - F("settled_tokens"))
        )
        held = self.holdings.values()
        assert period.reserved_nano_usd == (open_parts["nano"] or 0) == sum(each.nano for each in held)
        assert period.reserved_tokens == (open_parts["tokens"] or 0) == sum(each.tokens for each in held)
        assert [period.spent_nano_usd, period.spent_tokens] == self.spent
        assert period.spent_nano_usd + period.reserved_nano_usd <= AMOUNT
        assert period.spent_tokens + period.reserved_tokens <= TOKENS


steps = st.lists(
    st.tuples(
        st.sampled_from(
            [
                "lease",
                "lease",
                "spend",
                "spend",
                "give_back",
                "give_back_unheard",
                "give_back_in_vain",
                "repeat",
                "end",
                "expire",
            ]
        ),
        st.sampled_from(WORKERS),
        st.integers(0, 4_000),
        st.integers(0, 2_500),
    ),
    max_size=25,
)


@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps)
def test_nothing_is_made_and_nothing_lost_in_any_order_of_events(steps) -> None:
    UsageRecord.objects.all().delete()
    Budget.objects.all().delete()
    budget = Budget.objects.create(scope="all", name="b", amount_nano_usd=AMOUNT, tokens=TOKENS, period="month")
    rule = BudgetRule(id=budget.pk, label="b", period="month", amount_nano_usd=AMOUNT, tokens=TOKENS)
    traffic = Traffic(budget, rule)
    for name, worker, nano, tokens in steps:
        getattr(traffic, name)(worker, nano, tokens)
        traffic.check()
    for worker in WORKERS:
        traffic.end(worker, 0, 0)
    traffic.check()
    period = BudgetPeriod.objects.filter(budget=budget).first()
    assert period is None or (period.reserved_nano_usd, period.reserved_tokens) == (0, 0)
