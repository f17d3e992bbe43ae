"""What of a budget is spent, for people and programs that look at it."""

from django.db.models import OuterRef, Q, QuerySet, Subquery
from django.utils import timezone

from accounts.models import Budget, BudgetPeriod
from accounts.models.budget import Period
from accounts.periods import period_of


def with_spending(queryset: QuerySet[Budget]) -> QuerySet[Budget]:
    """Adds spent_nano_usd and spent_tokens of each budget's present period (empty before its first call)."""
    now = timezone.now().timestamp()
    day, month = period_of("day", now)[0], period_of("month", now)[0]
    # A budget whose period was changed may have a row under either name: the other one is of another allowance.
    named = Q(period=day, budget__period=Period.DAY) | Q(period=month, budget__period=Period.MONTH)
    present = BudgetPeriod.objects.filter(named, budget=OuterRef("pk"))
    return queryset.annotate(
        spent_nano_usd=Subquery(present.values("spent_nano_usd")), spent_tokens=Subquery(present.values("spent_tokens"))
    )
