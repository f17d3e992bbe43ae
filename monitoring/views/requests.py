"""`/dashboard/requests/`: the ledger, newest first, and one request with the record of why it went where it went."""

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.exceptions import BadRequest
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils import timezone
from django.views.decorators.http import require_GET

from accounts.models import ApiKey, Team, UsageRecord
from accounts.owner_names import owner_names
from monitoring import live
from monitoring.history import RANGES
from monitoring.refusals import WorkerBusy
from monitoring.views import words
from monitoring.views.decision_drawing import draw
from monitoring.views.pages import chosen, staff_only, whole_number
from providers.models import Provider

PAGE = 50
STATUSES: dict[str, Callable[[QuerySet[UsageRecord]], QuerySet[UsageRecord]]] = {
    "all": lambda rows: rows,
    "ok": lambda rows: rows.filter(status__lt=400),
    "errors": lambda rows: rows.filter(status__gte=400).exclude(status=499),
    "failed_over": lambda rows: rows.filter(attempt__gt=1),
    "client_left": lambda rows: rows.filter(status=499),
}
TEXT_FILTERS = ("provider", "model")
LONGEST_FILTER = 300
PERHAPS_AN_ID = re.compile(r"[A-Za-z0-9_.:-]{1,128}")
MOST_WORDS = 50
MOST_OFFERED = 500


@staff_only
@require_GET
def requests(request: HttpRequest) -> HttpResponse:
    pasted = request.GET.get("id", "").strip()[:LONGEST_FILTER]
    if pasted and (meant := _meant(pasted)):
        return redirect("dashboard_request", meant)
    filters = {
        name: request.GET.get(name, "").strip()[:LONGEST_FILTER] for name in ("provider", "model", "key", "team")
    }
    filters["status"] = chosen(request, "status", STATUSES, "all")
    span = request.GET.get("span", "")
    filters["span"] = span if _days(span) is not None else chosen(request, "span", RANGES, "24h")
    before = whole_number(request, "before", 0, most=999_999_999)
    rows = _filtered(filters)
    if before:
        rows = rows.filter(pk__lt=before)
    # One more than is shown tells whether there is a next page; counting all of a ledger would take seconds.
    found = list(rows.order_by("-id")[: PAGE + 1])
    shown = found[:PAGE]
    last = shown[-1].pk if len(found) > PAGE else None
    # Rows are numbered as they were booked, several workers' not quite in order of time.
    shown.sort(key=lambda row: row.created_at, reverse=True)
    context = {
        "rows": with_names(shown),
        "filters": filters,
        "unknown_id": pasted,
        "next": last,
        "first_page": not before,
        "days": filters["span"] not in RANGES,
        "providers": _offered(
            [(name, name) for name in Provider.objects.values_list("name", flat=True)], filters["provider"]
        ),
        "keys": _offered(_named(ApiKey), filters["key"], ApiKey),
        "teams": _offered(_named(Team), filters["team"], Team),
        "filtered": any(filters[name] for name in ("provider", "model", "key", "team")) or filters["status"] != "all",
    }
    return render(request, "dashboard/requests.html", context)


def _meant(pasted: str) -> str | None:
    """The id of a request that is known, by itself or somewhere in what was pasted, such as a header or a line of the log."""
    words = [word.strip(".:") for word in PERHAPS_AN_ID.findall(pasted)[:MOST_WORDS]]
    booked = set(UsageRecord.objects.filter(request_id__in=words).values_list("request_id", flat=True))
    state = live.current()
    return next((word for word in words if word in booked or (state is not None and state.decision(word))), None)


def _named(model: type[ApiKey | Team]) -> list[tuple[str, str]]:
    rows = model._default_manager.values_list("pk", "name").order_by("name")[:MOST_OFFERED]
    return [(str(pk), name) for pk, name in rows]


def _offered(
    listed: list[tuple[str, str]], wanted: str, model: type[ApiKey | Team] | None = None
) -> list[tuple[str, str]]:
    """What is filtered by is offered, even if it is deleted or beyond the list: else the next submit would drop the filter."""
    if not wanted or wanted in dict(listed):
        return listed
    name = wanted
    if model is not None:
        name = owner_names(model, [int(wanted)]).get(int(wanted), f"#{wanted}")
    return [*listed, (wanted, name)]


def _days(span: str) -> tuple[datetime, datetime] | None:
    """Of `2026-01-01..2026-01-31`: days in UTC, the last one included, as the usage page links to; None for anything else."""
    first, _to, last = span.partition("..")
    try:
        start, end = (datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=UTC) for day in (first, last))
        return start, end + timedelta(days=1)
    except (ValueError, OverflowError):
        return None


def _filtered(filters: dict[str, str]) -> QuerySet[UsageRecord]:
    rows = UsageRecord.objects.filter(final=True)
    if (days := _days(filters["span"])) is not None:
        rows = rows.filter(created_at__gte=days[0], created_at__lt=days[1])
    else:
        rows = rows.filter(created_at__gte=timezone.now() - RANGES[filters["span"]].span)
    for name in TEXT_FILTERS:
        if filters[name]:
            rows = rows.filter(**{name: filters[name]})
    for name in ("key", "team"):
        if filters[name]:
            if not (filters[name].isascii() and filters[name].isdigit() and len(filters[name]) < 18):
                raise BadRequest(name)
            rows = rows.filter(**{f"{name}_id": int(filters[name])})
    return STATUSES[filters["status"]](rows)


def with_names(rows: list[UsageRecord]) -> list[dict[str, Any]]:
    """Rows with the names of their owners."""
    keys = owner_names(ApiKey, (row.key_id for row in rows))
    teams = owner_names(Team, (row.team_id for row in rows))
    return [
        {
            "row": row,
            "key": keys.get(row.key_id or 0, ""),
            "team": teams.get(row.team_id or 0, ""),
            "outcome": "ok" if row.status < 400 else "idle" if row.status == 499 else "bad",
            "cost_usd": None if row.cost_nano_usd is None else row.cost_nano_usd / 1e9,
        }
        for row in rows
    ]


@staff_only
@require_GET
def one_request(request: HttpRequest, request_id: str) -> HttpResponse:
    newest = UsageRecord.objects.filter(request_id=request_id).order_by("-id").first()
    attempts = (
        list(UsageRecord.objects.filter(call_id=newest.call_id).order_by("attempt")) if newest is not None else []
    )
    state, late = live.current(), False
    try:
        remembered = state.decision(request_id) if state is not None else None
    except WorkerBusy:
        if newest is None:
            # Nobody can say that there is none.
            raise
        remembered, late = None, True
    if newest is None and remembered is None:
        raise Http404
    final = next((row for row in attempts if row.final), None)
    context = {
        "request_id": request_id,
        "late": late,
        "final": with_names([final])[0] if final is not None else None,
        "drawing": draw(remembered, attempts, words.causes()),
    }
    return render(request, "dashboard/request.html", context)
