from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from accounts import bounds
from accounts.models.change import WatchedQuerySet
from accounts.models.key import ApiKey, Team
from rows.validation import check_line


class BudgetScope(models.TextChoices):
    KEY = "key", _("one key")
    TEAM = "team", _("one team")
    ALL = "all", _("everybody together")


class Period(models.TextChoices):
    DAY = "day", _("per day (UTC)")
    MONTH = "month", _("per month (UTC)")


class OnUnknownPrice(models.TextChoices):
    REFUSE = "refuse", _("refuse the call")
    ALLOW = "allow", _("allow it without counting money")


class Budget(models.Model):
    """An allowance of money, tokens or both per calendar period. It is never exceeded by what was estimated."""

    name = models.CharField(_("name"), max_length=100, blank=True, default="", validators=[check_line])
    scope = models.CharField(_("holds for"), max_length=8, choices=BudgetScope.choices)
    key = models.ForeignKey(ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    team = models.ForeignKey(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="budgets")
    amount_nano_usd = models.BigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(bounds.MOST_NANO_USD)]
    )
    tokens = models.BigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(0), MaxValueValidator(bounds.MOST_TOKENS)]
    )
    period = models.CharField(_("period"), max_length=8, choices=Period.choices, default=Period.MONTH)
    on_unknown_price = models.CharField(max_length=8, choices=OnUnknownPrice.choices, default=OnUnknownPrice.REFUSE)
    enabled = models.BooleanField(_("enabled"), default=True)
    managed_by = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = WatchedQuerySet["Budget"].as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["scope", "id"]
        verbose_name = _("budget")
        verbose_name_plural = _("budgets")
        constraints = [
            models.CheckConstraint(
                name="accounts_budget_scope_matches_owner",
                condition=Q(scope="key", key__isnull=False, team__isnull=True)
                | Q(scope="team", key__isnull=True, team__isnull=False)
                | Q(scope="all", key__isnull=True, team__isnull=True),
            ),
        ]

    def __str__(self) -> str:
        return self.name or str(_("budget of %(owner)s") % {"owner": self.key or self.team or _("everybody")})

    def clean(self) -> None:
        if self.scope == BudgetScope.KEY and self.key is None:
            raise ValidationError({"key": _("A budget for one key needs the key.")})
        if self.scope == BudgetScope.TEAM and self.team is None:
            raise ValidationError({"team": _("A budget for one team needs the team.")})
        if self.amount_nano_usd is None and self.tokens is None:
            raise ValidationError(_("A budget needs an amount of money or of tokens."))


class BudgetPeriod(models.Model):
    """One calendar period of a budget. `period` is `2026-07` or `2026-07-31`; a new period is a new row, so that
    nothing has to be reset and a late settlement still finds the period it was admitted in.

    spent + reserved never exceeds the budget; `reserved` is the sum of what its leases have not settled yet.
    """

    budget = models.ForeignKey(Budget, on_delete=models.CASCADE, related_name="periods")
    period = models.CharField(max_length=10)
    spent_nano_usd = models.BigIntegerField(default=0)
    reserved_nano_usd = models.BigIntegerField(default=0)
    spent_tokens = models.BigIntegerField(default=0)
    reserved_tokens = models.BigIntegerField(default=0)
    updated_at = models.DateTimeField(auto_now=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["budget", "period"], name="accounts_one_row_per_period")]

    def __str__(self) -> str:
        return f"{self.budget} {self.period}"


class BudgetLease(models.Model):
    """A slice of a period that one worker may admit calls from without asking. amount − settled is reserved.

    `worker` renews `expires_at`; a lease not renewed is taken back by the sweep.
    """

    period = models.ForeignKey(BudgetPeriod, on_delete=models.CASCADE, related_name="leases")
    worker = models.CharField(max_length=32, db_index=True)
    amount_nano_usd = models.BigIntegerField(default=0)
    settled_nano_usd = models.BigIntegerField(default=0)
    amount_tokens = models.BigIntegerField(default=0)
    settled_tokens = models.BigIntegerField(default=0)
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(db_index=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["period", "worker"], name="accounts_one_lease_per_worker")]

    def __str__(self) -> str:
        return f"lease {self.pk} of {self.worker}"
