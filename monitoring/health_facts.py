"""What probes have found, as the operations API needs it: the one place that knows how probes are run and stored."""

from dataclasses import dataclass
from typing import Any

from monitoring import checks, uptime
from monitoring.models import HealthState


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """The newest probe of a provider. `checked_at` is seconds since 1970."""

    checked_at: float
    response_time_s: float | None = None


class NotAvailable(Exception):
    """This installation has no such part."""


def facts_by_provider() -> dict[int, HealthFacts]:
    """By provider id; providers never probed are missing."""
    rows = HealthState.objects.filter(deployment=None).values_list("provider_id", "last_check_at", "response_time_s")
    return {
        provider_id: HealthFacts(checked_at=checked_at.timestamp(), response_time_s=response_time_s)
        for provider_id, checked_at, response_time_s in rows
    }


def uptime_percent() -> float:
    """Of all providers together, from history."""
    return uptime.uptime_percent()


def check_now(provider: str | None) -> list[dict[str, Any]]:
    """Probes all providers, or one by name, and waits for the results."""
    verdicts = checks.check_now(() if provider is None else (provider,))
    return [checks.as_json(verdict) for verdict in verdicts if verdict.key.deployment_id is None]


def discover_now() -> dict[str, Any]:
    """Asks every source of providers once; what was found, changed and refused."""
    raise NotAvailable("Discovery is not part of this installation.")
