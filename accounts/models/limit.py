from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _
from simple_history.models import HistoricalRecords

from accounts import bounds
from accounts.models.change import WatchedQuerySet
from accounts.models.key import ApiKey, Team
from rows.bounds import MOST_WHOLE

COUNT = [MinValueValidator(1), MaxValueValidator(MOST_WHOLE)]


class Scope(models.TextChoices):
    KEY = "key", _("one key")
    TEAM = "team", _("one team")
    DEFAULT = "default", _("every key without its own")


class Limit(models.Model):
    """Rates and concurrency. An empty number sets no limit of that sort.

    A `default` limit holds for each key separately, kind by kind, where the key has no limit of that kind itself.
    """

    scope = models.CharField(_("holds for"), max_length=8, choices=Scope.choices)
    key = models.OneToOneField(ApiKey, null=True, blank=True, on_delete=models.CASCADE, related_name="limit")
    team = models.OneToOneField(Team, null=True, blank=True, on_delete=models.CASCADE, related_name="limit")
    requests = models.PositiveIntegerField(null=True, blank=True, validators=COUNT)
    requests_window_s = models.PositiveIntegerField(default=60, validators=COUNT)
    tokens = models.PositiveBigIntegerField(
        null=True, blank=True, validators=[MinValueValidator(1), MaxValueValidator(bounds.MOST_TOKENS)]
    )
    tokens_window_s = models.PositiveIntegerField(default=60, validators=COUNT)
    concurrency = models.PositiveIntegerField(_("calls at the same time"), null=True, blank=True, validators=COUNT)
    strict = models.BooleanField(
        default=False, help_text="When the shared counters are unreachable: refuse instead of counting per worker."
    )
    managed_by = models.CharField(max_length=16, blank=True, default="")
    created_at = models.DateTimeField(auto_now_add=True)
    updated_at = models.DateTimeField(auto_now=True, db_index=True)

    objects = WatchedQuerySet["Limit"].as_manager()
    history = HistoricalRecords()

    class Meta:
        ordering = ["scope", "id"]
        verbose_name = _("limit")
        verbose_name_plural = _("limits")
        constraints = [
            models.CheckConstraint(
                name="accounts_limit_scope_matches_owner",
                condition=Q(scope="key", key__isnull=False, team__isnull=True)
                | Q(scope="team", key__isnull=True, team__isnull=False)
                | Q(scope="default", key__isnull=True, team__isnull=True),
            ),
            models.UniqueConstraint(fields=["scope"], condition=Q(scope="default"), name="accounts_limit_one_default"),
            models.CheckConstraint(
                name="accounts_limit_windows_positive",
                condition=Q(requests_window_s__gt=0) & Q(tokens_window_s__gt=0),
            ),
        ]

    def __str__(self) -> str:
        return str(_("limit of %(owner)s") % {"owner": self.key or self.team or _("every key")})

    def clean(self) -> None:
        if self.scope == Scope.KEY and self.key is None:
            raise ValidationError({"key": _("A limit for one key needs the key.")})
        if self.scope == Scope.TEAM and self.team is None:
            raise ValidationError({"team": _("A limit for one team needs the team.")})
