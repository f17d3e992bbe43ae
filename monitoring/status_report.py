"""The JSON of `/health`, `/providers` and `/status`: shapes are those of the original documentation, field for field.

Pure: what is known comes in as values (`monitoring.live`, `monitoring.health_facts`), times are seconds since 1970.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, Literal, TypeAlias

from monitoring.breaker import BreakerState
from monitoring.health_facts import HealthFacts
from monitoring.live import Conditions, ProviderNow

Status: TypeAlias = Literal["healthy", "degraded", "unhealthy"]

GRACE_WITHOUT_SQL_S = 300.0
"""How long known keys and leased budgets last without SQL: so long the worker is ready all the same."""
LATE_CHECK_S = 600.0
"""A health worker that has checked nothing for so long is not doing its work."""
LARGE_BACKLOG = 100_000
"""Settled calls not yet in SQL: a worker under full load writes this many in some minutes without a database."""


def provider_status(provider: ProviderNow) -> Status:
    """What calls would meet now: nothing speaks against an upstream that was never checked, and nothing that cannot be
    called (breaker open, no usable credential) is healthy, whatever a probe said."""
    barred = [each for each in provider.deployments if each.bar not in (None, "saturated")]
    if provider.health == "unhealthy" or (barred and len(barred) == len(provider.deployments)):
        return "unhealthy"
    if provider.health == "degraded" or barred:
        return "degraded"
    return "healthy"


def provider_json(provider: ProviderNow, facts: HealthFacts | None) -> dict[str, Any]:
    return {
        "name": provider.name,
        "status": provider_status(provider),
        "last_check": facts.checked_at if facts else None,
        "response_time": facts.response_time_s if facts else None,
        "models": list(provider.models),
        "circuit_breaker": _breaker(provider),
    }


def _breaker(provider: ProviderNow) -> dict[str, Any]:
    """The worst of the provider's deployments, as the metric shows it."""
    states = [each.breaker for each in provider.deployments]
    failed = [each.last_failure_at for each in provider.deployments if each.last_failure_at is not None]
    worst = max(states, key=lambda state: state.gauge, default=BreakerState.CLOSED)
    return {
        "state": worst.value,
        "failure_count": max((each.failure_count for each in provider.deployments), default=0),
        "last_failure_time": max(failed, default=None),
    }


def system_status(statuses: Sequence[Status]) -> Status:
    """Unhealthy when nobody can answer; degraded when somebody cannot, or nobody is configured."""
    if statuses and all(status == "unhealthy" for status in statuses):
        return "unhealthy"
    return "degraded" if not statuses or "unhealthy" in statuses else "healthy"


def health_json(
    providers: Iterable[ProviderNow], *, now: float, uptime_percent: float, last_check: float | None
) -> dict[str, Any]:
    statuses = [provider_status(provider) for provider in providers]
    counts = {name: statuses.count(name) for name in ("healthy", "degraded", "unhealthy")}
    return {
        "status": system_status(statuses),
        "timestamp": round(now, 3),
        "providers": {"total": len(statuses), **counts},
        "uptime": f"{uptime_percent:.2f}%",
        "last_check": None if last_check is None else iso(last_check),
    }


def iso(epoch_s: float) -> str:
    return datetime.fromtimestamp(epoch_s, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def components_json(
    conditions: Conditions, *, now: float, last_check: float | None, check_interval_s: float
) -> dict[str, Status]:
    """The four parts the original documentation names, and the two stores they stand on."""
    late = last_check is not None and now - last_check > max(LATE_CHECK_S, 3 * check_interval_s)
    return {
        "api_server": "degraded" if conditions.draining else "healthy",
        "health_worker": "degraded" if late else "healthy",
        "metrics_collector": "degraded" if conditions.journal_backlog > LARGE_BACKLOG else "healthy",
        "config_manager": "degraded" if conditions.stale else "healthy",
        "database": "healthy" if conditions.sql_down_s <= 0 else "unhealthy",
        "redis": "healthy" if conditions.redis_up else "degraded",
    }


def readiness(conditions: Conditions | None) -> tuple[bool, dict[str, str]]:
    """Whether to send traffic here, and every reason for or against it that is not as it should be."""
    if conditions is None:
        return False, {"worker": "starting"}
    fatal = _fatal(conditions)
    minor: dict[str, str] = {}
    if 0 < conditions.sql_down_s < GRACE_WITHOUT_SQL_S:
        minor["database"] = f"down for {conditions.sql_down_s:.0f} s; known keys are served"
    if conditions.stale:
        minor["configuration"] = f"cannot be read; revision {conditions.revision} stays in force"
    if not conditions.redis_up:
        minor["redis"] = "down; limits are counted per worker"
    if conditions.journal_backlog > LARGE_BACKLOG:
        minor["journal"] = f"{conditions.journal_backlog} calls are not booked yet"
    return not fatal, {**minor, **fatal}


def _fatal(conditions: Conditions) -> dict[str, str]:
    fatal: dict[str, str] = {}
    if conditions.draining:
        fatal["worker"] = "draining"
    if conditions.sql_down_s >= GRACE_WITHOUT_SQL_S:
        fatal["database"] = f"down for {conditions.sql_down_s:.0f} s"
    if conditions.journal_full:
        fatal["journal"] = "full, or its disk is; calls are refused because their usage cannot be recorded"
    return fatal
