"""`/dashboard/providers/<id>/`: one provider with its history, and what an operator can do about it."""

from datetime import datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from monitoring import live
from monitoring.history import RANGES, provider_history
from monitoring.live import ProviderNow
from monitoring.live_facts import ProviderFacts, cell, incidents, provider_facts
from monitoring.live_page import card_state, cause_of, worst_of
from monitoring.models import BreakerEvent, HealthRollup, HealthSample
from monitoring.operator_requests import OPERATE
from monitoring.refusals import WorkerBusy
from monitoring.views import words
from monitoring.views.decision_drawing import say
from monitoring.views.pages import chosen, staff_only
from providers.admin.forms import kind_label
from providers.models import ConformanceReport, Provider

PROBES_SHOWN = 30
EVENTS_SHOWN = 30


@staff_only
@require_GET
def provider(request: HttpRequest, provider_id: int) -> HttpResponse:
    found = get_object_or_404(Provider, pk=provider_id)
    now = timezone.now()
    facts = provider_facts(now).get(found.pk, ProviderFacts())
    late = False
    try:
        present = _present(found.pk)
    except WorkerBusy:
        present, late = None, True
    context = {
        "provider": found,
        "late": late,
        "kind": kind_label(found.kind),
        "facts": facts,
        "now": _state(present, facts) if present is not None else _out_of_use(found),
        "deployments": _deployments(found, present),
        "may_operate": request.user.has_perm(OPERATE),
        "credentials": found.credentials.all() if request.user.has_perm("providers.view_credential") else None,
        "capabilities": _capabilities(found),
        "days": _day_cells(found.pk, now),
        "samples": HealthSample.objects.filter(provider_id=found.pk, deployment_id=None)[:PROBES_SHOWN],
        "events": BreakerEvent.objects.filter(provider_id=found.pk)[:EVENTS_SHOWN],
        "incidents": incidents(now, provider_id=found.pk),
        "test": ConformanceReport.objects.filter(provider=found).first(),
        "words": {
            "requests": _("requests/s"), "errors": _("errors %"), "first": _("first token, ms"),
            "checks": _("health checks, ms"), "failed": words.dashboard()["failed"],
            "checking": words.dashboard()["checking"], "nothing": _("No calls and no answered checks in this time."),
            "unreachable": words.dashboard()["unreachable"], "zone": _("times in {zone}"),
        },
    }  # fmt: skip
    return render(request, "dashboard/provider.html", context)


@staff_only
@require_GET
def provider_json(request: HttpRequest, provider_id: int) -> JsonResponse:
    found = get_object_or_404(Provider, pk=provider_id)
    span = RANGES[chosen(request, "range", RANGES, "1h")]
    return JsonResponse(provider_history(found.name, found.pk, span, now=timezone.now()))


def _present(provider_id: int) -> ProviderNow | None:
    state = live.current()
    known = state.providers() if state is not None else ()
    return next((each for each in known if each.id == provider_id), None)


def _out_of_use(found: Provider) -> dict[str, Any]:
    """Of a provider that no worker knows, as it is switched off or has no model that can be called."""
    without_models = found.enabled and not found.deployments.filter(enabled=True).exists()
    return {
        "state": "empty" if without_models else "unknown",
        "cause": "",
        "since": None,
        "breaker": None,
        "held": None,
    }


def _state(present: ProviderNow, facts: ProviderFacts) -> dict[str, Any]:
    state, worst = card_state(present, facts), worst_of(present.deployments)
    cause, since = cause_of(present, facts) if state in ("degraded", "unhealthy") else ("", None)
    return {
        "state": state,
        "cause": words.in_words(cause) if cause else "",
        "since": since,
        "breaker": worst.breaker.value if worst is not None else None,
        "held": worst.override if worst is not None else None,
    }


def _deployments(found: Provider, present: ProviderNow | None) -> list[dict[str, Any]]:
    states = {each.deployment_id: each for each in present.deployments} if present is not None else {}
    causes = words.causes()
    return [
        {"row": row, "now": states.get(row.pk), "bar": say(bar, causes) if bar else ""}
        for row in found.deployments.all()
        for bar in [states[row.pk].bar if row.pk in states else None]
    ]


def _capabilities(found: Provider) -> dict[str, Any]:
    rows = list(found.deployments.filter(enabled=True))
    names = sorted({name for row in rows for name in row.capabilities})
    return {"names": names, "rows": [(row.model, [name in row.capabilities for name in names]) for row in rows]}


def _day_cells(provider_id: int, now: datetime) -> list[dict[str, Any]]:
    """The last 30 days, the oldest first."""
    today = now.replace(hour=0, minute=0, second=0, microsecond=0)
    first = today - timedelta(days=29)
    rolled = HealthRollup.objects.filter(span="hour", provider_id=provider_id, deployment_id=0, start_at__gte=first)
    sums: dict[int, list[int]] = {}
    newest = first
    for at, *amounts in rolled.values_list("start_at", "samples", "degraded", "unhealthy"):
        newest = max(newest, at + timedelta(hours=1))
        _add(sums.setdefault((at - first).days, [0, 0, 0]), amounts)
    # What is not summed up yet: the hour that is running.
    fresh = HealthSample.objects.filter(provider_id=provider_id, deployment_id=None, at__gte=newest)
    for at, status in fresh.values_list("at", "status"):
        _add(sums.setdefault((at - first).days, [0, 0, 0]), [1, status == "degraded", status == "unhealthy"])
    cells = []
    for day in range(30):
        samples, slow, down = sums.get(day, [0, 0, 0])
        up = None if not samples else int(10000 * (samples - down) / samples) / 100
        # Over a day a slow check or two is nothing; a twentieth of them is.
        kind = cell(samples, max(0, slow - samples // 20), down)
        cells.append({"day": first + timedelta(days=day), "kind": kind, "up": up})
    return cells


def _add(total: list[int], amounts: list[int]) -> None:
    total[:] = [one + other for one, other in zip(total, amounts, strict=True)]
