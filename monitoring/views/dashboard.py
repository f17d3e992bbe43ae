"""`/dashboard/`: the state of things at a glance, with the newest figures already in the page."""

import orjson
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils import timezone
from django.views.decorators.http import require_GET

from monitoring import live_feed
from monitoring.history import RANGES, gateway_history
from monitoring.operator_requests import OPERATE
from monitoring.views import words
from monitoring.views.pages import chosen, staff_only
from providers.models import Provider

EMPTY = orjson.dumps(
    {
        "type": "snapshot", "n": 0, "t": 0, "figures": [0, 0, None, None, 0, 0, 0], "cost": 0, "active": 0, "step": 5,
        "series": [], "providers": [], "recent": [], "incidents": [], "late": True,
    }
).decode()  # fmt: skip
"""What a page begins with that is to hear the rest through its WebSocket."""

MODULES = tuple(
    f"js/{name}.js"
    for name in (
        "format", "sparkline", "live/page", "live/cards", "live/connection", "live/incidents", "live/line",
        "live/requests", "live/tiles",
    )
)  # fmt: skip
"""Fetched at once instead of one import after the other."""


@staff_only
@require_GET
def dashboard(request: HttpRequest) -> HttpResponse:
    context = {
        "snapshot": orjson.loads(_snapshot() or EMPTY),
        "words": words.dashboard(),
        "modules": MODULES,
        "has_providers": Provider.objects.exists(),
        "may_operate": request.user.has_perm(OPERATE),
        "demo_only": not Provider.objects.exclude(source="demo").exists(),
    }
    return render(request, "dashboard/dashboard.html", context)


@staff_only
@require_GET
def live_json(request: HttpRequest) -> HttpResponse:
    """The same figures for pages that cannot keep a WebSocket."""
    found = _snapshot()
    if found is None:
        # An empty page would say that there are no providers.
        return HttpResponse(status=503, headers={"Cache-Control": "no-store", "Retry-After": "5"})
    return HttpResponse(found, content_type="application/json", headers={"Cache-Control": "no-store"})


@staff_only
@require_GET
def history_json(request: HttpRequest) -> JsonResponse:
    found = RANGES[chosen(request, "range", RANGES, "1h")]
    return JsonResponse(gateway_history(found, now=timezone.now()))


def _snapshot() -> str | None:
    """None from a process that is about to end, and from one that is too busy to answer."""
    feed = live_feed.current()
    try:
        return None if feed is None else feed.snapshot_from_thread()
    except TimeoutError:
        return None
