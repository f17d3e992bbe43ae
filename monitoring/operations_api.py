"""The operations API: `/health`, `/livez`, `/readyz`, `/providers`, `/status`, and what operators may do at once.

Routes here decode and delegate; authentication is given by composition (see `proxy_site.control_plane`).
"""

import time
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Literal

from django.conf import settings
from django.http import HttpRequest
from ninja import Router, Schema
from ninja.responses import Status as Answer
from ninja.security.base import AuthBase
from pydantic import Field

from accounts.callers import READ
from accounts.errors import AccessDenied
from monitoring import health_facts, live, status_report
from monitoring.health_cache import clear_health_cache
from monitoring.health_facts import HealthFacts
from monitoring.live import LiveState, ProviderNow
from monitoring.operator_requests import OPERATE
from monitoring.refusals import UnknownProvider, WorkerBusy, WorkerStarting

HealthWord = Literal["healthy", "degraded", "unhealthy"]


class CircuitBreaker(Schema):
    state: Literal["closed", "half_open", "open"]
    failure_count: int
    last_failure_time: float | None = Field(description="Seconds since 1970.")


class ProviderHealth(Schema):
    name: str
    status: HealthWord
    last_check: float | None = Field(description="Seconds since 1970; null before the first probe.")
    response_time: float | None = Field(description="Seconds the newest probe took.")
    models: list[str]
    circuit_breaker: CircuitBreaker


class Counts(Schema):
    total: int
    healthy: int
    degraded: int
    unhealthy: int


class Health(Schema):
    status: HealthWord
    timestamp: float
    providers: Counts
    uptime: str
    last_check: str | None


class DetailedHealth(Health):
    version: str
    components: dict[str, HealthWord]
    provider_health: list[ProviderHealth]


class ProviderList(Schema):
    providers: list[ProviderHealth]


class SystemStatus(Schema):
    status: HealthWord
    uptime: str
    version: str
    components: dict[str, HealthWord]
    providers: list[ProviderHealth]


class Alive(Schema):
    status: Literal["alive"]


class Readiness(Schema):
    status: Literal["ready", "not_ready"]
    reasons: dict[str, str]


class CheckResult(Schema):
    results: list[dict[str, Any]]
    providers: list[ProviderHealth]


class Discovered(Schema):
    found: list[Any] = []
    created: list[Any] = []
    updated: list[Any] = []
    removed: list[Any] = []
    errors: list[Any] = []
    proposed: list[str] = []
    waiting: list[str] = []


class CacheCleared(Schema):
    scope: str
    cleared: dict[str, int]


class BreakersReset(Schema):
    reset: list[str]


def livez(request: HttpRequest) -> Any:
    return {"status": "alive"}


def readyz(request: HttpRequest) -> Any:
    state = live.current()
    try:
        ready, reasons = status_report.readiness(state.conditions() if state else None)
    except WorkerBusy as busy:
        ready, reasons = False, {"worker": busy.code or ""}
    body = {"status": "ready" if ready else "not_ready", "reasons": reasons}
    return Answer(200 if ready else 503, body)


def health(request: HttpRequest) -> Any:
    detailed = _reads(request)
    now = time.time()
    providers, facts = _providers(), health_facts.by_provider.get()
    last = max((fact.checked_at for fact in facts.values()), default=None)
    body = status_report.health_json(
        providers, now=now, uptime_percent=health_facts.uptime_percent.get(), last_check=last
    )
    if not detailed:
        return body
    body["version"] = _version()
    body["components"] = _components(now, last)
    body["provider_health"] = _rendered(providers, facts)
    return body


def providers(request: HttpRequest) -> Any:
    return {"providers": _rendered(_providers(), health_facts.by_provider.get())}


def status(request: HttpRequest) -> Any:
    known, facts = _providers(), health_facts.by_provider.get()
    last = max((fact.checked_at for fact in facts.values()), default=None)
    return {
        "status": status_report.system_status([status_report.provider_status(each) for each in known]),
        "uptime": f"{health_facts.uptime_percent.get():.2f}%",
        "version": _version(),
        "components": _components(time.time(), last),
        "providers": _rendered(known, facts),
    }


def one_status(request: HttpRequest, name: str) -> Any:
    return _rendered([_named(name)], health_facts.by_provider.get())[0]


def check(request: HttpRequest, provider: str | None = None) -> Any:
    chosen = _providers() if provider is None else [_named(provider)]
    results = health_facts.check_now(provider)
    facts = health_facts.by_provider.get()
    # The worker itself hears of the results a moment later.
    fresh = [replace(each, health=facts[each.id].status) if each.id in facts else each for each in chosen]
    return {"results": results, "providers": _rendered(fresh, facts)}


def discover(request: HttpRequest) -> Any:
    return health_facts.discover_now()


def clear_cache(request: HttpRequest, scope: Literal["health", "responses", "all"] = "all") -> Any:
    cleared = _state().clear_cache(scope)
    if scope in ("health", "all"):
        cleared["health"] = clear_health_cache()
    return {"scope": scope, "cleared": cleared}


def reset_breakers(request: HttpRequest, provider: str | None = None) -> Any:
    chosen = _providers() if provider is None else [_named(provider)]
    _state().reset_breakers(tuple(one.deployment_id for each in chosen for one in each.deployments))
    return {"reset": [each.name for each in chosen]}


def build_router(*, reader: AuthBase, admin: Callable[[str], AuthBase]) -> Router:
    """`reader` and `admin` authenticate; `admin` wants of a person the permission that it is called with. Routes without
    either are public."""
    router = Router(tags=["operations"])
    add = router.add_api_operation
    add("/livez", ["GET"], livez, response=Alive, auth=None, summary="Whether the process runs")
    add(
        "/readyz",
        ["GET"],
        readyz,
        response={200: Readiness, 503: Readiness},
        auth=None,
        summary="Whether to send traffic here",
    )
    add(
        "/health", ["GET"], health, response=DetailedHealth | Health, auth=None, summary="Summary; more with a read key"
    )
    add("/providers", ["GET"], providers, response=ProviderList, auth=reader, summary="Health of every provider")
    add(
        "/status",
        ["GET"],
        status,
        response=SystemStatus,
        auth=reader,
        summary="Health of the system and of every provider",
    )
    add("/status/{name}", ["GET"], one_status, response=ProviderHealth, auth=reader, summary="Health of one provider")
    add("/check", ["POST"], check, response=CheckResult, auth=admin(OPERATE), summary="Probe now")
    add(
        "/discover",
        ["POST"],
        discover,
        response=Discovered,
        auth=admin("providers.change_discovered"),
        summary="Look for providers now",
    )
    add(
        "/cache/clear",
        ["POST"],
        clear_cache,
        response=CacheCleared,
        auth=admin("routing.change_gatewaysettings"),
        summary="Forget cached probes and answers",
    )
    add(
        "/circuit-breakers/reset",
        ["POST"],
        reset_breakers,
        response=BreakersReset,
        auth=admin(OPERATE),
        summary="Close circuit breakers",
    )
    return router


def _reads(request: HttpRequest) -> bool:
    """Whether the caller may see details; who may not gets the summary, as everybody does."""
    try:
        caller = request.identify()  # type: ignore[attr-defined]
    except AccessDenied:
        return False
    return caller is not None and bool(caller.may(READ))


def _state() -> LiveState:
    state = live.current()
    if state is None:
        raise WorkerStarting("This worker has not started yet.")
    return state


def _providers() -> tuple[ProviderNow, ...]:
    return _state().providers()


def _named(name: str) -> ProviderNow:
    for provider in _providers():
        if provider.name == name:
            return provider
    raise UnknownProvider(f"There is no provider named '{name[:100]}'.", param="provider")


def _rendered(providers: tuple[ProviderNow, ...] | list[ProviderNow], facts: dict[int, HealthFacts]) -> list[Any]:
    return [status_report.provider_json(provider, facts.get(provider.id)) for provider in providers]


def _version() -> str:
    return _state().conditions().app_version or str(settings.VERSION)


def _components(now: float, last_check: float | None) -> dict[str, HealthWord]:
    conditions = _state().conditions()
    return status_report.components_json(
        conditions, now=now, last_check=last_check, check_interval_s=health_facts.check_interval_s.get()
    )
