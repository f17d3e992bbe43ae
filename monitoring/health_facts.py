"""What probes have found, as the operations API needs it: the one place that knows how probes are run and stored."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthFacts:
    """The newest probe of a provider. `checked_at` is seconds since 1970."""

    checked_at: float
    response_time_s: float | None = None


class NotAvailable(Exception):
    """This installation has no such part."""


def facts_by_provider() -> dict[int, HealthFacts]:
    """By provider id; providers never probed are missing."""
    return {}


def uptime_percent() -> float:
    """Of all providers together, from history."""
    return 100.0


def check_now(provider: str | None) -> list[dict[str, Any]]:
    """Probes all providers, or one by name, and waits for the results."""
    raise NotAvailable("Health probes are not part of this installation.")


def discover_now() -> dict[str, Any]:
    """Asks every source of providers once; what was found, changed and refused."""
    raise NotAvailable("Discovery is not part of this installation.")
