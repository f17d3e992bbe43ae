"""`/dashboard/usage/`: what was used and what it cost, by team, key, tag, model, provider or day, with charts and CSV."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from accounts.usage_reports import GROUPS, UsageReport, usage_report
from monitoring.views.pages import chosen, staff_only

DEFAULT_DAYS = 30
LONGEST = timedelta(days=366)
# A line takes a millisecond to write, and nobody reads thousands of them. Every day of the longest range has its line.
MOST_LINES = 400


@staff_only
@require_GET
def usage(request: HttpRequest) -> HttpResponse:
    group = chosen(request, "by", GROUPS, "team")
    start, end = _range(request)
    report = usage_report(group_by=group, start=start, end=end)  # type: ignore[arg-type]
    if request.GET.get("format") == "csv":
        name = f"usage-by-{group}-{start:%Y%m%d}-{end - timedelta(seconds=1):%Y%m%d}.csv"
        # With the mark without which Excel takes UTF-8 for the machine's own code, and é for two other letters.
        return HttpResponse(
            report.as_csv().encode("utf-8-sig"),
            content_type="text/csv; charset=utf-8",
            headers={"Content-Disposition": f'attachment; filename="{name}"'},
        )
    days = report if group == "day" else usage_report(group_by="day", start=start, end=end)
    context = {
        "by": group,
        "groups": _group_names(),
        "start": start.date(),
        "end": (end - timedelta(seconds=1)).date(),
        "lines": _lines(report)[:MOST_LINES],
        "found": len(report.lines),
        "total": report.total,
        "by_day": _by_day(days, start, end),
        "words": {"cost": _("cost, US dollars"), "input": _("input tokens"), "output": _("output tokens")},
    }
    return render(request, "dashboard/usage.html", context)


def _group_names() -> list[tuple[str, str]]:
    return [
        ("team", _("Team")), ("key", _("Key")), ("tag", _("Tag")), ("model", _("Model")), ("provider", _("Provider")),
        ("day", _("Day")),
    ]  # fmt: skip


def _range(request: HttpRequest) -> tuple[datetime, datetime]:
    """Whole days in UTC, as the sums are kept; the last one included."""
    today = timezone.now().astimezone(UTC).date()
    last = min(_day(request.GET.get("to", ""), today), today)
    first = min(_day(request.GET.get("from", ""), last - timedelta(days=DEFAULT_DAYS - 1)), last)
    first = max(first, last - LONGEST)
    start = datetime(first.year, first.month, first.day, tzinfo=UTC)
    return start, datetime(last.year, last.month, last.day, tzinfo=UTC) + timedelta(days=1)


def _day(text: str, default: date) -> date:
    try:
        return max(date.fromisoformat(text), date(2000, 1, 1))
    except ValueError:
        return default


def _lines(report: UsageReport) -> list[dict[str, Any]]:
    """With the share of the dearest, or of the busiest where nothing has a price."""
    by_cost = report.total.cost_nano_usd > 0
    sizes = [line.cost_nano_usd if by_cost else line.requests for line in report.lines]
    most = max(sizes, default=0) or 1
    names = {
        ("key", "0"): _("(no key)"), ("team", "0"): _("(no team)"), ("tag", ""): _("(no tag)"),
        ("provider", ""): _("(none)"),
    }  # fmt: skip
    return [
        {
            "line": line,
            "name": names.get((report.group_by, line.group), line.name or _("(none)")),
            "share": round(100 * size / most, 1),
            "error_percent": round(100 * line.errors / line.requests, 2) if line.requests else 0,
        }
        for line, size in zip(report.lines, sizes, strict=True)
    ]


def _by_day(report: UsageReport, start: datetime, end: datetime) -> list[list[float]]:
    """`[Unix time, US dollars, input tokens, output tokens]` for every day."""
    known = {line.group[:10]: line for line in report.lines}
    days = []
    at = start
    while at < end:
        line = known.get(at.date().isoformat())
        amounts = [line.cost_usd, line.input_tokens, line.output_tokens] if line is not None else [0.0, 0, 0]
        days.append([at.timestamp(), *amounts])
        at += timedelta(days=1)
    return days
