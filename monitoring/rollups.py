"""Sums up health samples by hour and by day, and forgets what is older than the operator wants to keep."""

from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import Count, Max, Q, QuerySet, Sum
from django.db.models.functions import TruncDay, TruncHour
from django.utils import timezone

from accounts.retention import delete_in_portions
from monitoring.models import (
    BreakerEvent,
    HealthRollup,
    HealthSample,
    Incident,
    MonitoringSettings,
    OperatorRequest,
    ProbeSpend,
)

SETTLED = timedelta(minutes=2)
"""An hour is summed up so long after its end: late results of the last checks are in by then."""
HOURS_BACK = 48


def roll_up(now: datetime | None = None) -> int:
    """Sums up every whole hour, and day, that has samples and no sum yet. Repeating it changes nothing."""
    now = now or timezone.now()
    hours = _roll_up("hour", TruncHour("at"), until=(now - SETTLED).replace(minute=0, second=0, microsecond=0), now=now)
    midnight = (now - SETTLED).replace(hour=0, minute=0, second=0, microsecond=0)
    return hours + _roll_up("day", TruncDay("at"), until=midnight, now=now)


@transaction.atomic
def _roll_up(span: str, start: Any, *, until: datetime, now: datetime) -> int:
    since = (now - timedelta(hours=HOURS_BACK)).replace(hour=0, minute=0, second=0, microsecond=0)
    done = set(
        HealthRollup.objects.filter(span=span, start_at__gte=since).values_list("start_at", flat=True).distinct()
    )
    groups = (
        HealthSample.objects.filter(at__gte=since, at__lt=until)
        .annotate(start=start)
        .order_by()
        .values("start", "provider_id", "deployment_id")
        .annotate(
            label=Max("name"),
            samples=Count("pk"),
            passes=Count("pk", filter=Q(passed=True)),
            slow=Count("pk", filter=Q(status="degraded")),
            down=Count("pk", filter=Q(status="unhealthy")),
            timed=Count("response_time_s"),
            time_sum=Sum("response_time_s"),
            time_max=Max("response_time_s"),
        )
    )
    rows = [
        HealthRollup(
            span=span,
            start_at=group["start"],
            provider_id=group["provider_id"],
            deployment_id=group["deployment_id"] or 0,
            name=group["label"],
            samples=group["samples"],
            passed=group["passes"],
            degraded=group["slow"],
            unhealthy=group["down"],
            timed=group["timed"],
            response_time_sum_s=group["time_sum"] or 0.0,
            response_time_max_s=group["time_max"],
        )
        for group in groups
        if group["start"] not in done
    ]
    # Two processes may do this at once; the second finds the rows of the first.
    HealthRollup.objects.bulk_create(rows, ignore_conflicts=True, batch_size=500)
    return len(rows)


def forget_old(now: datetime | None = None) -> dict[str, int]:
    """Deletes what is past its time."""
    now = now or timezone.now()
    options = MonitoringSettings.load()
    # Samples stay until their day is summed up, whatever the setting says.
    sample_days = max(options.sample_days, 2)
    old: dict[str, QuerySet[Any]] = {
        "samples": HealthSample.objects.filter(at__lt=now - timedelta(days=sample_days)),
        "hours": HealthRollup.objects.filter(span="hour", start_at__lt=now - timedelta(days=options.hour_days)),
        "events": BreakerEvent.objects.filter(at__lt=now - timedelta(days=options.event_days)),
        "incidents": Incident.objects.filter(ended_at__lt=now - timedelta(days=4 * options.event_days)),
        "requests": OperatorRequest.objects.filter(created_at__lt=now - timedelta(hours=1)),
        "spend": ProbeSpend.objects.filter(day__lt=(now - timedelta(days=options.event_days)).date()),
    }
    return {name: delete_in_portions(rows) for name, rows in old.items()}
