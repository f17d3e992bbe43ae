"""The health cache: results of checks count as fresh for HEALTH_CHECK_CACHE_TTL, and scheduled checks leave those out."""

from django.utils import timezone

from monitoring.models import HealthState


def clear_health_cache() -> int:
    """Nothing counts as fresh any more: the next scheduled round checks everybody. Returns how many were fresh."""
    now = timezone.now()
    return HealthState.objects.filter(fresh_until__gt=now).update(fresh_until=now, updated_at=now)
