"""How much of the time targets were up, from history: shares of checks that found them in rotation.

Checks come at regular intervals, so a share of checks is a share of time. `degraded` counts as up: it answers. Hours
that are rolled up are read from there, the rest from samples.
"""

from collections.abc import Iterable
from datetime import datetime, timedelta

from django.db.models import Count, Q, Sum
from django.utils import timezone

from monitoring.models import HealthRollup, HealthSample

WINDOW = timedelta(hours=24)


def uptime_percent(*, window: timedelta = WINDOW, now: datetime | None = None) -> float:
    """Of all providers together; 100 before the first check."""
    counts = _counts(window, now or timezone.now())
    return _share((samples, down) for samples, down in counts.values())


def uptime_by_provider(*, window: timedelta = WINDOW, now: datetime | None = None) -> dict[int, float]:
    """Percent by provider id; providers without history are missing."""
    return {provider_id: _share([each]) for provider_id, each in _counts(window, now or timezone.now()).items()}


def _counts(window: timedelta, now: datetime) -> dict[int, tuple[int, int]]:
    """Checks, and those that found it unhealthy, by provider id. Whole hours come from roll-ups where they exist."""
    since = now - window
    rolled = HealthRollup.objects.filter(span="hour", deployment_id=0, start_at__gte=since)
    newest = rolled.order_by("-start_at").values_list("start_at", flat=True).first()
    counts: dict[int, tuple[int, int]] = {}
    for provider_id, samples, down in (
        rolled.order_by().values_list("provider_id").annotate(Sum("samples"), Sum("unhealthy"))
    ):
        counts[provider_id] = (samples or 0, down or 0)
    rest = HealthSample.objects.filter(deployment_id=None, at__gte=newest + timedelta(hours=1) if newest else since)
    for provider_id, samples, down in (
        rest.order_by()
        .values_list("provider_id")
        .annotate(checks=Count("pk"), down=Count("pk", filter=Q(status="unhealthy")))
    ):
        before = counts.get(provider_id, (0, 0))
        counts[provider_id] = (before[0] + samples, before[1] + down)
    return counts


def _share(counts: Iterable[tuple[int, int]]) -> float:
    samples = down = 0
    for each_samples, each_down in counts:
        samples += each_samples
        down += each_down
    return 100.0 * (samples - down) / samples if samples else 100.0
