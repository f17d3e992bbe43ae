from dataclasses import replace

import pytest

from monitoring.breaker import BreakerState
from monitoring.health_facts import HealthFacts
from monitoring.status_report import (
    components_json,
    health_json,
    provider_json,
    provider_status,
    readiness,
    system_status,
)
from tests.integration.api.fake_live import WELL, provider, snapshot

OPEN = {"breaker": BreakerState.OPEN, "bar": "breaker_open"}


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (provider(), "healthy"),
        (provider(health="unknown"), "healthy"),
        (provider(health="degraded"), "degraded"),
        (provider(health="unhealthy"), "unhealthy"),
        (provider(snapshot(1), snapshot(2, **OPEN)), "degraded"),
        (provider(snapshot(1, **OPEN), snapshot(2, **OPEN)), "unhealthy"),
        (provider(snapshot(1, bar="credential_rejected")), "unhealthy"),
        (provider(snapshot(1, bar="saturated")), "healthy"),
    ],
)
def test_a_provider_is_what_calls_would_meet(known: object, status: str) -> None:
    assert provider_status(known) == status  # type: ignore[arg-type]


def test_the_system_is_unhealthy_only_when_nobody_can_answer() -> None:
    assert system_status(["healthy"] * 7 + ["degraded"]) == "healthy"
    assert system_status(["healthy", "unhealthy"]) == "degraded"
    assert system_status(["unhealthy", "unhealthy"]) == "unhealthy"
    assert system_status([]) == "degraded"


def test_the_documented_example_comes_out_as_documented() -> None:
    eight = [provider(id=number) for number in range(7)] + [provider(id=8, health="degraded")]
    assert health_json(eight, now=1699999999.1234, uptime_percent=99.95, last_check=1698840000.0) == {
        "status": "healthy",
        "timestamp": 1699999999.123,
        "providers": {"total": 8, "healthy": 7, "degraded": 1, "unhealthy": 0},
        "uptime": "99.95%",
        "last_check": "2023-11-01T12:00:00Z",
    }
    one = provider(models=("gpt-4", "gpt-3.5-turbo"))
    facts = HealthFacts(status="healthy", checked_at=1699999999.123, response_time_s=0.245)
    assert provider_json(one, facts) == {
        "name": "openai",
        "status": "healthy",
        "last_check": 1699999999.123,
        "response_time": 0.245,
        "models": ["gpt-4", "gpt-3.5-turbo"],
        "circuit_breaker": {"state": "closed", "failure_count": 0, "last_failure_time": None},
    }


def test_the_breaker_shown_is_the_worst_one() -> None:
    states = (snapshot(1, failure_count=4), snapshot(2, breaker=BreakerState.HALF_OPEN, last_failure_at=5.0))
    assert provider_json(provider(*states), None)["circuit_breaker"] == {
        "state": "half_open",
        "failure_count": 4,
        "last_failure_time": 5.0,
    }


def test_components_tell_what_is_wrong() -> None:
    def seen(**changes: object) -> dict[str, str]:
        last = changes.pop("last_check", 950.0)
        conditions = replace(WELL, **changes)  # type: ignore[arg-type]
        return dict(components_json(conditions, now=1000.0, last_check=last, check_interval_s=60))  # type: ignore[arg-type]

    assert set(seen().values()) == {"healthy"}
    assert seen(sql_down_s=1.0)["database"] == "unhealthy"
    assert seen(redis_up=False)["redis"] == "degraded"
    assert seen(stale=True)["config_manager"] == "degraded"
    assert seen(draining=True)["api_server"] == "degraded"
    assert seen(last_check=100.0)["health_worker"] == "degraded"
    assert seen(last_check=None)["health_worker"] == "healthy"


def test_readiness_lists_fatal_and_minor_reasons_together() -> None:
    ready, reasons = readiness(replace(WELL, draining=True, redis_up=False))
    assert not ready
    assert set(reasons) == {"worker", "redis"}
