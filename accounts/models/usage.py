"""The ledger and its roll-ups. Owners, providers and deployments are plain ids and names: a row outlives them all."""

from django.db import models
from django.utils.translation import gettext_lazy as _


class UsageSource(models.TextChoices):
    PROVIDER = "provider", _("reported by the provider")
    COUNTED = "counted", _("counted from what was delivered")
    ESTIMATED = "estimated", _("estimated")


class UsageRecord(models.Model):
    """One attempt of one call. Written once, never changed.

    `call_id` is ours and unique; `request_id` may be the client's own and need not be. `final` marks the attempt that
    answered the client: only its tokens and `cost_nano_usd` are the client's. Other attempts keep what they cost us in
    `provider_cost_nano_usd`. `searches` of the web were run by the provider. An empty cost means the price was unknown.
    `created_at` is the moment of admission.
    """

    call_id = models.CharField(max_length=40)
    attempt = models.PositiveSmallIntegerField()
    request_id = models.CharField(max_length=128, db_index=True)
    created_at = models.DateTimeField(db_index=True)
    key_id = models.BigIntegerField(null=True)
    team_id = models.BigIntegerField(null=True)
    provider = models.CharField(max_length=100, blank=True, default="")
    deployment = models.CharField(max_length=300, blank=True, default="")
    model = models.CharField(max_length=200, blank=True, default="")
    upstream_model = models.CharField(max_length=200, blank=True, default="")
    endpoint = models.CharField(max_length=32, blank=True, default="")
    stream = models.BooleanField(default=False)
    final = models.BooleanField(default=True)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    cache_write_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    searches = models.BigIntegerField(default=0, db_default=0)
    cost_nano_usd = models.BigIntegerField(null=True)
    provider_cost_nano_usd = models.BigIntegerField(null=True)
    usage_source = models.CharField(max_length=9, choices=UsageSource.choices)
    status = models.PositiveSmallIntegerField()
    error_code = models.CharField(max_length=64, blank=True, default="")
    duration_ms = models.PositiveIntegerField(default=0)
    time_to_first_token_ms = models.PositiveIntegerField(null=True)
    cache = models.CharField(max_length=8, blank=True, default="")
    tags = models.CharField(max_length=255, blank=True, default="")
    revision = models.BigIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        verbose_name = _("usage record")
        verbose_name_plural = _("usage")
        constraints = [models.UniqueConstraint(fields=["call_id", "attempt"], name="accounts_usage_once")]
        indexes = [
            models.Index(fields=["key_id", "created_at"], name="accounts_usage_by_key"),
            # Rows of keys without a team, most people's, need no place in it: each index costs a tenth of booking a row.
            models.Index(
                fields=["team_id", "created_at"],
                name="accounts_usage_of_teams",
                condition=models.Q(team_id__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.request_id}#{self.attempt}"


SUMS = (
    "requests", "errors", "input_tokens", "output_tokens", "cached_tokens", "reasoning_tokens", "cost_nano_usd",
    "provider_cost_nano_usd", "unpriced", "searches",
)  # fmt: skip


class UsageSum(models.Model):
    """The SUMS of ledger rows over one stretch of time. 0 stands for no key and no team, so that the key is unique."""

    start_at = models.DateTimeField()
    key_id = models.BigIntegerField(default=0)
    team_id = models.BigIntegerField(default=0)
    provider = models.CharField(max_length=100, default="")
    model = models.CharField(max_length=200, default="")
    requests = models.BigIntegerField(default=0)
    errors = models.BigIntegerField(default=0)
    input_tokens = models.BigIntegerField(default=0)
    output_tokens = models.BigIntegerField(default=0)
    cached_tokens = models.BigIntegerField(default=0)
    reasoning_tokens = models.BigIntegerField(default=0)
    cost_nano_usd = models.BigIntegerField(default=0)
    provider_cost_nano_usd = models.BigIntegerField(default=0)
    unpriced = models.BigIntegerField(default=0)
    searches = models.BigIntegerField(default=0, db_default=0)

    class Meta:
        abstract = True


class UsageHourly(UsageSum):
    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start_at", "key_id", "team_id", "provider", "model"], name="accounts_usage_hourly_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.start_at:%Y-%m-%d %H}h"


class UsageDaily(UsageSum):
    class Meta:
        constraints = [
            models.UniqueConstraint(
                fields=["start_at", "key_id", "team_id", "provider", "model"], name="accounts_usage_daily_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.start_at:%Y-%m-%d}"
