"""The health cache: results of checks count as fresh for `health_check_cache_ttl`, and scheduled checks leave those out.

The layer that keeps the configuration says how long that is; without it the settings do.
"""

from collections.abc import Callable

from django.conf import settings
from django.utils import timezone

from monitoring.models import HealthState

_given: list[Callable[[], float]] = []


def provide(fresh_s: Callable[[], float]) -> None:
    """Called once at start. `fresh_s` is asked at each writing of results, so that a change counts from the next on."""
    _given[:] = [fresh_s]


def fresh_s() -> float:
    """Seconds."""
    return _given[0]() if _given else float(settings.HEALTH_CHECK_CACHE_TTL_S)


def clear_health_cache() -> int:
    """Nothing counts as fresh any more: the next scheduled round checks everybody. Returns how many were fresh."""
    now = timezone.now()
    return HealthState.objects.filter(fresh_until__gt=now).update(fresh_until=now, updated_at=now)
