"""What real calls say about providers and deployments, read from the ledger: evidence that costs nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from django.db.models import Avg, Count, Max, Q

from accounts.models import UsageRecord
from monitoring.health import CheckResult

SPEAKS_AGAINST = (
    "connect", "timeout", "error", "overloaded", "server_error", "bad_answer", "truncated", "credential", "quota",
    "upstream_error", "upstream_timeout", "upstream_overloaded", "stream_truncated",
)  # fmt: skip
"""The outcomes of attempts, and error codes of calls, that are the provider's doing."""
FEWEST_FAILURES = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Traffic:
    """Calls of a stretch of time. `last_success_at` is Unix time."""

    good: int = 0
    bad: int = 0
    last_success_at: float | None = None
    first_token_s: float | None = None

    @property
    def proves_health(self) -> bool:
        return self.good > 0 and self.bad <= self.good

    @property
    def proves_failure(self) -> bool:
        return self.bad >= FEWEST_FAILURES and self.good == 0

    def result(self, *, at: float) -> CheckResult:
        total = self.good + self.bad
        return CheckResult(
            passed=self.proves_health,
            evidence="traffic",
            at=at,
            response_time_s=self.first_token_s,
            reason="" if self.proves_health else "calls",
            message="" if self.proves_health else f"{self.bad} of {total} recent calls failed",
            last_success_at=self.last_success_at,
        )


Recent = dict[tuple[str, str], Traffic]


def recent_traffic(since: datetime) -> Recent:
    """By provider and deployment name; the empty deployment sums up its provider."""
    good = Q(final=True, status__lt=400)
    rows = (
        UsageRecord.objects.filter(created_at__gte=since)
        .exclude(provider="")
        .order_by()
        .values_list("provider", "deployment")
        .annotate(
            good=Count("pk", filter=good),
            bad=Count("pk", filter=Q(error_code__in=SPEAKS_AGAINST)),
            last=Max("created_at", filter=good),
            first=Avg("time_to_first_token_ms", filter=good),
        )
    )
    found: Recent = {}
    for provider, deployment, good_count, bad_count, last, first in rows:
        one = Traffic(
            good=good_count,
            bad=bad_count,
            last_success_at=None if last is None else last.timestamp(),
            first_token_s=None if first is None else float(first) / 1000,
        )
        found[provider, deployment] = one
        found[provider, ""] = _added(found.get((provider, ""), Traffic()), one)
    return found


def since_opening(traffic: Recent, opened: Mapping[tuple[str, str], float]) -> Recent:
    """Without those whose breaker opened (Unix time) after their last success. A breaker lets no more calls through, so
    that what is known of them is old: it would speak for an upstream that has just died, and against one that is back."""
    return {
        key: each for key, each in traffic.items() if key not in opened or (each.last_success_at or 0) > opened[key]
    }


def _added(one: Traffic, other: Traffic) -> Traffic:
    times = [each.last_success_at for each in (one, other) if each.last_success_at is not None]
    weighted = [
        (each.first_token_s, each.good) for each in (one, other) if each.first_token_s is not None and each.good
    ]
    calls = sum(count for _, count in weighted)
    return Traffic(
        good=one.good + other.good,
        bad=one.bad + other.bad,
        last_success_at=max(times, default=None),
        first_token_s=sum(seconds * count for seconds, count in weighted) / calls if calls else None,
    )


def from_epoch(seconds: float) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)
