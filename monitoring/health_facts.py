"""What health checks have found, as the operations API shows it: the one place there that knows how they are stored.

`/health` is open to everybody, so what it reads from SQL is kept for some seconds: nobody can make a load of it.
"""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from django.conf import settings
from django.db import DatabaseError

from monitoring import checks, live, uptime
from monitoring.deployment_state import Health
from monitoring.health_refresher import as_health
from monitoring.models import HealthState
from providers.discovery.looking import discover

Found = TypeVar("Found")


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """The newest check of a provider. `checked_at` is seconds since 1970."""

    status: Health
    checked_at: float
    response_time_s: float | None = None


class Kept(Generic[Found]):
    """A value read again when it is older than `for_s`; one thread reads, the others take what there was. While the
    database is away it stays what it was; it is not waited for when the worker knows of that already."""

    def __init__(
        self,
        read: Callable[[], Found],
        otherwise: Found,
        *,
        for_s: float,
        clock: Callable[[], float] = time.monotonic,
        away: Callable[[], bool] = lambda: False,
    ) -> None:
        self._read = read
        self._otherwise = otherwise
        self._for_s = for_s
        self._clock = clock
        self._away = away
        self._lock = threading.Lock()
        self._value: list[tuple[Found, float]] = []

    def get(self) -> Found:
        """`otherwise` if the database is away and was so from the first question on."""
        kept = self._value[:]
        if kept and self._clock() - kept[0][1] < self._for_s:
            return kept[0][0]
        if kept and self._lock.locked():
            return kept[0][0]
        last = kept[0][0] if kept else self._otherwise
        if self._away():
            return last
        with self._lock:
            try:
                value = self._read()
            except DatabaseError:
                return last
            self._value[:] = [(value, self._clock())]
            return value

    def forget(self) -> None:
        self._value.clear()


def _read_facts() -> dict[int, HealthFacts]:
    rows = HealthState.objects.filter(deployment=None).values_list(
        "provider_id", "status", "last_check_at", "response_time_s"
    )
    return {
        provider_id: HealthFacts(status=as_health(status), checked_at=at.timestamp(), response_time_s=seconds)
        for provider_id, status, at, seconds in rows
    }


def _sql_is_away() -> bool:
    """A connection would be waited for five seconds, by each question anew."""
    state = live.current()
    return state is not None and state.conditions().sql_down_s > 0


by_provider: Kept[dict[int, HealthFacts]] = Kept(_read_facts, {}, for_s=1.0, away=_sql_is_away)
"""By provider id; providers never checked are missing."""
uptime_percent = Kept(uptime.uptime_percent, 100.0, for_s=15.0, away=_sql_is_away)
"""Of all providers together, over the last day."""
check_interval_s = Kept(checks.check_interval_s, float(settings.HEALTH_CHECK_INTERVAL_S), for_s=15.0, away=_sql_is_away)
"""Between two scheduled checks."""


def forget() -> None:
    """What is kept here is read again at the next question."""
    for kept in (by_provider, uptime_percent, check_interval_s):
        kept.forget()


def check_now(provider: str | None) -> list[dict[str, Any]]:
    """Checks all providers, or one by name, and waits for the results."""
    verdicts = checks.check_now([] if provider is None else [provider])
    forget()
    return [checks.as_json(verdict) for verdict in verdicts]


def discover_now() -> dict[str, Any]:
    """Asks every source of providers once; what was found, changed and refused."""
    report = discover()
    changes = report["changes"]
    return {
        "found": [{"source": item["source"], "count": item["found"]} for item in report["sources"]],
        "created": [*changes.get("approve", ()), *changes.get("revive", ())],
        "updated": changes.get("update", []),
        "removed": [*changes.get("drain", ()), *changes.get("disable", ())],
        "errors": [
            {"source": item["source"], "error": item["error"], "refused": item["refused"]}
            for item in report["sources"]
            if item["error"] or item["refused"]
        ],
        "proposed": report["proposed"],
        "waiting": changes.get("differ", []),
    }
