"""The JSON of the live page: what is shown of a provider, and what changed since the last second. Pure.

Words are left to the browser: causes are codes (`monitoring.views.words` says them in the reader's language) or the
upstream's own sentence.
"""

from collections.abc import Iterable, Mapping
from typing import Any

from monitoring.breaker import BreakerState
from monitoring.credential_state import OUT_OF_QUOTA, REJECTED
from monitoring.deployment_state import UpstreamSnapshot
from monitoring.live import ProviderNow
from monitoring.live_facts import ProviderFacts
from monitoring.live_window import ProviderFigures
from monitoring.status_report import provider_status

MODELS_SHOWN = 3
IDLE = ProviderFigures(0.0, 0.0, None)
Card = dict[str, Any]


def fixed_part(provider: ProviderNow, facts: ProviderFacts) -> Card:
    """What changes with the configuration only."""
    return {
        "id": provider.id,
        "name": provider.name,
        "kind": provider.kind,
        "demo": provider.demo,
        "priority": facts.priority,
        "models": list(provider.models[:MODELS_SHOWN]),
        "more": max(0, len(provider.models) - MODELS_SHOWN),
    }


def slow_part(facts: ProviderFacts) -> Card:
    """What changes with health checks."""
    return {
        "cells": facts.cells,
        "uptime": list(facts.uptime),
        "checked": None if facts.checked_at is None else round(facts.checked_at),
        "response": facts.response_ms,
    }


def quick_part(
    provider: ProviderNow,
    facts: ProviderFacts,
    *,
    now: float,
    figures: ProviderFigures = IDLE,
    running: int = 0,
    diverted: Mapping[str, int] | None = None,
) -> Card:
    """What changes with every call. `opens` is when an open breaker lets a trial through, `since` when it began."""
    state, worst = card_state(provider, facts), worst_of(provider.deployments)
    cause, since = cause_of(provider, facts) if state in ("degraded", "unhealthy") else ("", None)
    opens = worst.opens_in_s if worst is not None and worst.breaker is BreakerState.OPEN else None
    return {
        "state": state,
        "breaker": worst.breaker.value if worst is not None else "closed",
        "held": worst.override if worst is not None else None,
        "opens": None if opens is None else round(now + opens),
        "cause": cause,
        "since": None if since is None else round(since),
        "rps": round(figures.requests_per_s, 1),
        "first": figures.first_token_ms,
        "errors": figures.error_percent,
        "active": running,
        "instead": dict(diverted) if diverted and state != "healthy" else {},
    }


def card_state(provider: ProviderNow, facts: ProviderFacts) -> str:
    """`unknown` while nothing was ever checked and no call was made: it would be a lie to call that healthy. `empty`
    without models, as no call can go there."""
    if not provider.deployments:
        return "empty"
    status = provider_status(provider)
    bars = {each.bar for each in provider.deployments}
    if status == "unhealthy" and bars == {"credential_cooling"} and provider.health != "unhealthy":
        # A pause of some seconds after a 429 or 503, which it asked for itself, is no outage.
        return "degraded"
    untouched = all(each.ttft_s is None and each.answer_s is None for each in provider.deployments)
    return "unknown" if status == "healthy" and facts.health == "unknown" and untouched else status


def worst_of(deployments: Iterable[UpstreamSnapshot]) -> UpstreamSnapshot | None:
    return max(deployments, key=lambda each: (each.breaker.gauge, each.override is not None), default=None)


def cause_of(provider: ProviderNow, facts: ProviderFacts) -> tuple[str, float | None]:
    """Why it is not healthy, and since when: an operator's doing before credentials, these before what calls met, and
    that before what checks found."""
    barred = next((each for each in provider.deployments if each.bar not in (None, "saturated")), None)
    worst = worst_of(provider.deployments)
    if barred is not None and barred.bar in (
        "held_open",
        "no_credential",
        REJECTED,
        OUT_OF_QUOTA,
        "credential_cooling",
    ):
        return str(barred.bar), None
    if worst is not None and worst.breaker is not BreakerState.CLOSED:
        return worst.cause or "breaker_open", facts.opened_at or worst.last_failure_at
    if facts.health in ("degraded", "unhealthy"):
        return facts.cause or facts.health, facts.health_since
    return (str(barred.bar), None) if barred is not None else ("", None)


def changes(before: Mapping[int, Card], after: Mapping[int, Card]) -> dict[int, Card]:
    """For every card that changed, the fields that did."""
    found = {}
    for key, card in after.items():
        known = before.get(key, {})
        if changed := {name: value for name, value in card.items() if name not in known or known[name] != value}:
            found[key] = changed
    return found
