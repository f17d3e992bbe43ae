"""What happened over hours and days, for charts: from the ledger by the minute, from its sums by the hour and day.

A range is `1h` (by the minute), `24h` and `7d` (by the hour) or `30d` (by the day). Times of calls come from the ledger's
rows, which are too many to read over days: beyond 24 h only counts, tokens, cost and the checks' times are shown.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from django.db.models import Avg, CharField, Count, F, Func, Q, QuerySet, Sum

from accounts.models import UsageDaily, UsageHourly, UsageRecord
from monitoring.models import HealthRollup, HealthSample

Step = Literal["minute", "hour", "day"]
SECONDS: dict[Step, int] = {"minute": 60, "hour": 3600, "day": 86400}
LETTERS: dict[Step, int] = {"minute": 16, "hour": 13, "day": 10}


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    name: str
    span: timedelta
    step: Step


RANGES = {
    each.name: each
    for each in (
        Range(name="1h", span=timedelta(hours=1), step="minute"),
        Range(name="24h", span=timedelta(hours=24), step="hour"),
        Range(name="7d", span=timedelta(days=7), step="hour"),
        Range(name="30d", span=timedelta(days=30), step="day"),
    )
}


class Bucket(Func):
    """The start of a time's minute, hour or day in UTC, as text. Django's Trunc runs Python per row on SQLite."""

    output_field = CharField()

    def __init__(self, column: str, step: Step) -> None:
        self.step = step
        super().__init__(F(column))

    def as_sqlite(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        return self.as_sql(compiler, connection, template=f"substr(%(expressions)s, 1, {LETTERS[self.step]})", **extra)

    def as_postgresql(self, compiler: Any, connection: Any, **extra: Any) -> Any:
        form = "YYYY-MM-DD HH24:MI"[: {"minute": 18, "hour": 15, "day": 10}[self.step]]
        template = f"to_char(%(expressions)s AT TIME ZONE 'UTC', '{form}')"
        return self.as_sql(compiler, connection, template=template, **extra)


def gateway_history(chosen: Range, *, now: datetime) -> dict[str, Any]:
    """`points` are `[Unix time, requests/s, error %, first token ms, input tokens/s, output tokens/s, cost nano-USD]`;
    what is missing in a step is null."""
    return {"step": SECONDS[chosen.step], "points": _points(chosen, now, None), "range": chosen.name}


def provider_history(name: str, provider_id: int, chosen: Range, *, now: datetime) -> dict[str, Any]:
    """The same for one provider, and `checks`: `[Unix time, response ms]` of health checks."""
    return {
        "step": SECONDS[chosen.step],
        "points": _points(chosen, now, name),
        "checks": _checks(provider_id, chosen, now),
        "range": chosen.name,
    }


def _points(chosen: Range, now: datetime, provider: str | None) -> list[list[float | None]]:
    seconds = SECONDS[chosen.step]
    found = (
        _from_rows(chosen, now, provider) if chosen.span <= timedelta(hours=24) else _from_sums(chosen, now, provider)
    )
    last = int(now.timestamp()) // seconds * seconds
    first = last - int(chosen.span.total_seconds()) + seconds
    return [[at, *_rates(found.get(at), seconds)] for at in range(first, last + 1, seconds)]


def _rates(row: dict[str, Any] | None, seconds: int) -> list[float | None]:
    if row is None:
        return [0, None, None, 0, 0, 0]
    requests = row["requests"]
    first = row.get("first")
    return [
        round(requests / seconds, 3),
        round(100 * row["errors"] / requests, 2) if requests else None,
        None if first is None else round(first),
        round((row["input"] or 0) / seconds, 1),
        round((row["output"] or 0) / seconds, 1),
        row["cost"] or 0,
    ]


def _from_rows(chosen: Range, now: datetime, provider: str | None) -> dict[int, dict[str, Any]]:
    rows = UsageRecord.objects.filter(created_at__gte=now - chosen.span)
    if provider is not None:
        rows = rows.filter(provider=provider)
    groups = (
        rows.annotate(bucket=Bucket("created_at", chosen.step))
        .order_by()
        .values("bucket")
        .annotate(
            requests=Count("pk", filter=Q(final=True) if provider is None else Q()),
            errors=Count("pk", filter=_failed(provider)),
            first=Avg("time_to_first_token_ms"),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
            cost=Sum("cost_nano_usd"),
        )
    )
    return {epoch_of(group["bucket"]): dict(group) for group in groups}


def _failed(provider: str | None) -> Q:
    """Of the gateway: calls that failed for the client. Of a provider: attempts that failed, whoever answered then."""
    return Q(final=True, status__gte=500) if provider is None else Q(status__gte=500) | Q(final=False)


def _from_sums(chosen: Range, now: datetime, provider: str | None) -> dict[int, dict[str, Any]]:
    model = UsageHourly if chosen.step == "hour" else UsageDaily
    rows: QuerySet[Any] = model._default_manager.filter(start_at__gte=now - chosen.span)
    if provider is not None:
        rows = rows.filter(provider=provider)
    # Annotations are named unlike the columns they sum up.
    groups = (
        rows.order_by()
        .values("start_at")
        .annotate(
            calls=Sum("requests"),
            failed=Sum("errors"),
            input=Sum("input_tokens"),
            output=Sum("output_tokens"),
            cost=Sum("cost_nano_usd"),
        )
    )
    return {
        int(group["start_at"].timestamp()): {**group, "requests": group["calls"], "errors": group["failed"]}
        for group in groups
    }


def _checks(provider_id: int, chosen: Range, now: datetime) -> list[list[float]]:
    since = now - chosen.span
    if chosen.step == "minute":
        samples = HealthSample.objects.filter(provider_id=provider_id, deployment_id=None, at__gte=since)
        timed = samples.exclude(response_time_s=None).order_by("at").values_list("at", "response_time_s")
        return [[round(at.timestamp()), round((seconds or 0.0) * 1000, 1)] for at, seconds in timed]
    rolled = HealthRollup.objects.filter(
        span=chosen.step, provider_id=provider_id, deployment_id=0, start_at__gte=since, timed__gt=0
    ).order_by("start_at")
    values = rolled.values_list("start_at", "response_time_sum_s", "timed")
    return [[round(at.timestamp()), round(1000 * (total or 0) / count, 1)] for at, total, count in values]


def epoch_of(bucket: str) -> int:
    form = {16: "%Y-%m-%d %H:%M", 13: "%Y-%m-%d %H", 10: "%Y-%m-%d"}[len(bucket)]
    return int(datetime.strptime(bucket, form).replace(tzinfo=UTC).timestamp())
