"""What the live page takes from SQL, some times a minute, while somebody looks: health, uptime, incidents, cost of the day."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Count, F, Max, Q, Sum
from django.db.models.functions import TruncHour
from django.db.models.lookups import IsNull
from django.utils import timezone

from accounts.borrowed_connection import borrowed_connection
from accounts.models import UsageDaily
from monitoring.live import ProviderNow
from monitoring.models import BreakerEvent, HealthRollup, HealthSample, HealthState, Incident
from monitoring.uptime import uptime_by_provider
from providers.models import Provider

HOURS = 24
INCIDENTS = 12
WINDOWS = (timedelta(hours=24), timedelta(days=7), timedelta(days=30))


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderFacts:
    """`cells` are the last 24 hours, the oldest first: `u` up, `s` slow or failing now and then, `d` down, `-` not
    checked. `uptime` is percent over 24 h, 7 d and 30 d. Times are Unix seconds."""

    priority: int = 0
    health: str = "unknown"
    health_since: float | None = None
    cause: str = ""
    checked_at: float | None = None
    response_ms: int | None = None
    opened_at: float | None = None
    cells: str = "-" * HOURS
    uptime: tuple[float | None, ...] = (None, None, None)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveFacts:
    providers: dict[int, ProviderFacts] = field(default_factory=dict)
    without_models: tuple[ProviderNow, ...] = ()
    """Those that are enabled and that no worker knows, as no call can go there."""
    incidents: tuple[dict[str, Any], ...] = ()
    cost_today_nano_usd: int = 0


@borrowed_connection()
def read_facts() -> LiveFacts:
    """About ten small queries. Runs in a thread. Raises DatabaseError."""
    now = timezone.now()
    return LiveFacts(
        providers=provider_facts(now),
        without_models=tuple(_without_models()),
        incidents=tuple(incidents(now)),
        cost_today_nano_usd=_cost_today(now),
    )


def provider_facts(now: datetime) -> dict[int, ProviderFacts]:
    priorities = dict(Provider.objects.values_list("pk", "priority"))
    states = {state.provider_id: state for state in HealthState.objects.filter(deployment=None)}
    cells = hour_cells(now)
    opened = dict(
        BreakerEvent.objects.filter(kind="breaker", before="closed", after="open", at__gte=now - timedelta(days=2))
        .order_by()
        .values_list("provider_id")
        .annotate(Max("at"))
    )
    uptimes = [uptime_by_provider(window=window, now=now) for window in WINDOWS]
    found = {}
    for provider_id, priority in priorities.items():
        state, opened_at = states.get(provider_id), opened.get(provider_id)
        found[provider_id] = ProviderFacts(
            priority=priority,
            health=state.status if state else "unknown",
            health_since=state.since.timestamp() if state else None,
            cause=state.cause if state else "",
            checked_at=state.last_check_at.timestamp() if state else None,
            response_ms=_milliseconds(state.response_time_s) if state else None,
            opened_at=opened_at.timestamp() if opened_at else None,
            cells=cells.get(provider_id, "-" * HOURS),
            uptime=tuple(_rounded(each.get(provider_id)) for each in uptimes),
        )
    return found


def hour_cells(now: datetime) -> dict[int, str]:
    """By provider id, see `ProviderFacts.cells`."""
    this_hour = now.replace(minute=0, second=0, microsecond=0)
    first = this_hour - timedelta(hours=HOURS - 1)
    counts: dict[tuple[int, int], tuple[int, int, int]] = {}
    rolled = HealthRollup.objects.filter(span="hour", deployment_id=0, start_at__gte=first)
    for provider_id, at, samples, slow, down in rolled.values_list(
        "provider_id", "start_at", "samples", "degraded", "unhealthy"
    ):
        counts[provider_id, _index(at, first)] = (samples, slow, down)
    newest = max((index for _, index in counts), default=-1)
    fresh = HealthSample.objects.filter(deployment_id=None, at__gte=first + timedelta(hours=newest + 1))
    groups = (
        fresh.annotate(hour=TruncHour("at"))
        .order_by()
        .values_list("provider_id", "hour")
        .annotate(
            Count("pk"), slow=Count("pk", filter=Q(status="degraded")), down=Count("pk", filter=Q(status="unhealthy"))
        )
    )
    for provider_id, at, samples, slow, down in groups:
        counts[provider_id, _index(at, first)] = (samples, slow, down)
    bars: dict[int, list[str]] = defaultdict(lambda: ["-"] * HOURS)
    for (provider_id, index), amounts in counts.items():
        if 0 <= index < HOURS:
            bars[provider_id][index] = cell(*amounts)
    return {provider_id: "".join(bar) for provider_id, bar in bars.items()}


def cell(samples: int, slow: int, down: int) -> str:
    """One letter for a stretch of checks."""
    if not samples:
        return "-"
    if down * 2 >= samples:
        return "d"
    return "s" if slow or down else "u"


def incidents(now: datetime, *, provider_id: int | None = None) -> list[dict[str, Any]]:
    """Open ones first, then the newest; of the last week."""
    rows = Incident.objects.filter(Q(ended_at=None) | Q(started_at__gte=now - timedelta(days=7)))
    if provider_id is not None:
        rows = rows.filter(provider_id=provider_id)
    newest = sorted(
        _without_echoes(list(rows.order_by(IsNull(F("ended_at"), True).desc(), "-started_at")[: 4 * INCIDENTS]), now),
        key=lambda row: (row.ended_at is not None, -row.started_at.timestamp()),
    )
    return [
        {
            "name": row.name,
            "provider": row.provider_id,
            "from": round(row.started_at.timestamp()),
            "to": None if row.ended_at is None else round(row.ended_at.timestamp()),
            "cause": row.cause,
        }
        for row in newest[:INCIDENTS]
    ]


def _without_echoes(rows: list[Incident], now: datetime) -> list[Incident]:
    """Without those of models whose whole provider was down at the same time."""
    whole = [row for row in rows if row.deployment_id is None]

    def is_echo(row: Incident) -> bool:
        return row.deployment_id is not None and any(
            other.provider_id == row.provider_id
            and other.started_at <= (row.ended_at or now)
            and row.started_at <= (other.ended_at or now)
            for other in whole
        )

    return [row for row in rows if not is_echo(row)]


def _cost_today(now: datetime) -> int:
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    total = UsageDaily.objects.filter(start_at__gte=midnight).aggregate(total=Sum("cost_nano_usd"))["total"]
    return total or 0


def _without_models() -> Iterator[ProviderNow]:
    rows = Provider.objects.filter(enabled=True).exclude(deployments__enabled=True)
    for row in rows.order_by("priority", "name"):
        yield ProviderNow(
            id=row.pk,
            name=row.name,
            kind=row.kind,
            demo=row.source == "demo",
            health="unknown",
            models=(),
            deployments=(),
        )


def _index(at: datetime, first: datetime) -> int:
    return int((at - first).total_seconds() // 3600)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else round(seconds * 1000)


def _rounded(percent: float | None) -> float | None:
    # 99.996 is not 100: rounding never hides an outage.
    return None if percent is None else int(percent * 100) / 100
