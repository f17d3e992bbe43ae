"""What is remembered of upstreams: their health now, its history and roll-ups, incidents, and breaker events.

Targets are a provider (`deployment` empty) or one of its deployments. History and incidents keep names, because they
outlive what they speak of.
"""

from django.db import models
from django.db.models import Q
from django.utils.translation import gettext_lazy as _

from providers.models import Deployment, Provider


class HealthStatus(models.TextChoices):
    """The words of `monitoring.health`."""

    UNKNOWN = "unknown", _("unknown")
    HEALTHY = "healthy", _("healthy")
    DEGRADED = "degraded", _("degraded")
    UNHEALTHY = "unhealthy", _("unhealthy")


class HealthState(models.Model):
    """The present health of one target. Written by health checks alone; workers poll what changed by `updated_at`."""

    provider = models.ForeignKey(Provider, on_delete=models.CASCADE, related_name="health_states")
    deployment = models.ForeignKey(
        Deployment, null=True, blank=True, on_delete=models.CASCADE, related_name="health_states"
    )
    status = models.CharField(_("status"), max_length=9, choices=HealthStatus.choices, default=HealthStatus.UNKNOWN)
    since = models.DateTimeField(_("since"))
    cause = models.CharField(_("cause"), max_length=300, blank=True, default="")
    fails = models.PositiveIntegerField(_("failures in a row"), default=0)
    passes = models.PositiveIntegerField(_("passes in a row"), default=0)
    evidence = models.CharField(_("evidence"), max_length=10, blank=True, default="")
    passed = models.BooleanField(_("last check passed"), default=False)
    response_time_s = models.FloatField(_("response time"), null=True, blank=True, help_text=_("Seconds."))
    last_check_at = models.DateTimeField(_("last check"))
    fresh_until = models.DateTimeField(
        _("fresh until"), help_text=_("A scheduled check is skipped before; clearing the health cache ends it.")
    )
    updated_at = models.DateTimeField(_("updated"), db_index=True)

    class Meta:
        ordering = ["provider", "deployment"]
        constraints = [
            models.UniqueConstraint(
                fields=["provider"], condition=Q(deployment=None), name="monitoring_one_state_per_provider"
            ),
            models.UniqueConstraint(
                fields=["deployment"], condition=~Q(deployment=None), name="monitoring_one_state_per_deployment"
            ),
        ]
        verbose_name = _("health state")
        verbose_name_plural = _("health states")

    def __str__(self) -> str:
        return f"{self.deployment or self.provider}: {self.status}"


class HealthSample(models.Model):
    """One check and the status it led to. Kept for some days; roll-ups live longer."""

    provider_id = models.BigIntegerField()
    deployment_id = models.BigIntegerField(null=True)
    name = models.CharField(_("name"), max_length=300)
    at = models.DateTimeField(_("at"), db_index=True)
    passed = models.BooleanField(_("passed"))
    status = models.CharField(_("status"), max_length=9, choices=HealthStatus.choices)
    evidence = models.CharField(_("evidence"), max_length=10)
    response_time_s = models.FloatField(_("response time"), null=True)
    reason = models.CharField(_("reason"), max_length=32, blank=True, default="")
    message = models.CharField(_("message"), max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["provider_id", "deployment_id", "at"], name="monitoring_sample_by_target")]
        verbose_name = _("health sample")
        verbose_name_plural = _("health samples")

    def __str__(self) -> str:
        return f"{self.name} {self.at:%Y-%m-%d %H:%M:%S} {self.status}"


class HealthRollup(models.Model):
    """An hour or a day of samples of one target: how many there were of each status, and how long answers took."""

    class Span(models.TextChoices):
        HOUR = "hour", _("hour")
        DAY = "day", _("day")

    span = models.CharField(max_length=4, choices=Span.choices)
    start_at = models.DateTimeField()
    provider_id = models.BigIntegerField()
    deployment_id = models.BigIntegerField(default=0)
    """0 stands for the provider itself, so that the key is unique in every database."""
    name = models.CharField(max_length=300)
    samples = models.PositiveIntegerField(default=0)
    passed = models.PositiveIntegerField(default=0)
    degraded = models.PositiveIntegerField(default=0)
    unhealthy = models.PositiveIntegerField(default=0)
    timed = models.PositiveIntegerField(default=0)
    response_time_sum_s = models.FloatField(default=0.0)
    response_time_max_s = models.FloatField(null=True)

    class Meta:
        ordering = ["-start_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["span", "start_at", "provider_id", "deployment_id"], name="monitoring_rollup_once"
            )
        ]
        verbose_name = _("health roll-up")
        verbose_name_plural = _("health roll-ups")

    def __str__(self) -> str:
        return f"{self.name} {self.span} {self.start_at:%Y-%m-%d %H}h"


class Incident(models.Model):
    """A stretch of time in which a target was unhealthy. `cause` is what the first failed check said."""

    provider = models.ForeignKey(
        Provider, null=True, blank=True, on_delete=models.SET_NULL, db_constraint=False, related_name="incidents"
    )
    deployment = models.ForeignKey(
        Deployment, null=True, blank=True, on_delete=models.SET_NULL, db_constraint=False, related_name="incidents"
    )
    name = models.CharField(_("name"), max_length=300)
    started_at = models.DateTimeField(_("started"), db_index=True)
    ended_at = models.DateTimeField(_("ended"), null=True, blank=True)
    cause = models.CharField(_("cause"), max_length=300, blank=True, default="")

    class Meta:
        ordering = ["-started_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["name"], condition=Q(ended_at=None), name="monitoring_one_open_incident_per_target"
            )
        ]
        verbose_name = _("incident")
        verbose_name_plural = _("incidents")

    def __str__(self) -> str:
        return f"{self.name} {self.started_at:%Y-%m-%d %H:%M}"


class UpstreamEventKind(models.TextChoices):
    BREAKER = "breaker", _("circuit breaker")
    CREDENTIAL = "credential", _("credential put aside")


class BreakerEvent(models.Model):
    """A circuit breaker that changed, or a credential that was put aside. `for_s` is for how long, where limited."""

    kind = models.CharField(max_length=10, choices=UpstreamEventKind.choices, default=UpstreamEventKind.BREAKER)
    at = models.DateTimeField(_("at"), db_index=True)
    provider_id = models.BigIntegerField()
    provider_name = models.CharField(_("provider"), max_length=100)
    deployment_id = models.BigIntegerField(null=True)
    deployment_name = models.CharField(_("deployment"), max_length=300, blank=True, default="")
    before = models.CharField(_("before"), max_length=9, blank=True, default="")
    after = models.CharField(_("after"), max_length=9, blank=True, default="")
    cause = models.CharField(_("cause"), max_length=300, blank=True, default="")
    for_s = models.FloatField(_("for"), null=True, blank=True, help_text=_("Seconds."))

    class Meta:
        ordering = ["-at"]
        indexes = [models.Index(fields=["deployment_id", "-at"], name="monitoring_event_by_deployment")]
        verbose_name = _("upstream event")
        verbose_name_plural = _("upstream events")

    def __str__(self) -> str:
        return f"{self.deployment_name or self.provider_name}: {self.after or self.cause}"


class OperatorRequest(models.Model):
    """Something every worker shall do to its breakers: asked for by a command or the operations API, in any process."""

    class Action(models.TextChoices):
        RESET = "reset", _("reset")
        HOLD_OPEN = "hold_open", _("hold open")
        FORCE_CLOSE = "force_close", _("force closed")

    action = models.CharField(max_length=11, choices=Action.choices)
    deployment_id = models.BigIntegerField(null=True)
    """Empty: every deployment."""
    created_at = models.DateTimeField(auto_now_add=True, db_index=True)

    class Meta:
        ordering = ["pk"]

    def __str__(self) -> str:
        return f"{self.action} {self.deployment_id or 'all'}"


class ProbeSpend(models.Model):
    """What paid probes cost on one day (UTC), so that the cap holds over restarts and processes."""

    day = models.DateField(unique=True)
    nano_usd = models.BigIntegerField(default=0)
    probes = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"{self.day}"


class MonitoringSettings(models.Model):
    """One row: how health is checked and how long its history is kept. Schedules are django-celery-beat's."""

    slow_s = models.FloatField(_("slow from"), default=3.0, help_text=_("Seconds; slower targets are degraded."))
    fails_down = models.PositiveIntegerField(_("failures until unhealthy"), default=3)
    passes_up = models.PositiveIntegerField(_("passes until healthy"), default=2)
    paid_probes = models.BooleanField(
        _("paid probes"), default=False, help_text=_("One-token completions where nothing free proves anything.")
    )
    paid_probes_usd_per_day = models.DecimalField(_("at most USD a day"), max_digits=10, decimal_places=4, default=1)
    sample_days = models.PositiveIntegerField(_("days to keep samples"), default=3)
    hour_days = models.PositiveIntegerField(_("days to keep hourly roll-ups"), default=90)
    event_days = models.PositiveIntegerField(_("days to keep events"), default=90)

    class Meta:
        verbose_name = _("monitoring settings")
        verbose_name_plural = _("monitoring settings")

    def __str__(self) -> str:
        return str(_("Monitoring settings"))

    @classmethod
    def load(cls) -> "MonitoringSettings":
        return cls.objects.filter(pk=1).first() or cls(pk=1)
