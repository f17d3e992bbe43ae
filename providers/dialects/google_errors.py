"""What Google's services add to an error as `details`: a list of objects told apart by their `@type`. Pure."""

from typing import Any

from providers.dialects.retry_after import duration_s
from providers.lenient import objects


def reason_in(details: Any) -> str | None:
    """`{"@type": "…ErrorInfo", "reason": "API_KEY_INVALID"}`."""
    return next((each for entry in objects(details) if isinstance(each := entry.get("reason"), str) and each), None)


def wait_s_in(details: Any) -> float | None:
    """`{"@type": "…RetryInfo", "retryDelay": "34s"}`. None for a limit per day, whose delay says nothing: it is as short."""
    if any(_is_daily(violation) for entry in objects(details) for violation in objects(entry.get("violations"))):
        return None
    delays = (entry.get("retryDelay") for entry in objects(details))
    return next((duration_s(delay) for delay in delays if isinstance(delay, str)), None)


def _is_daily(violation: dict[str, Any]) -> bool:
    """`{"quotaId": "GenerateRequestsPerDayPerProjectPerModel-FreeTier", …}`."""
    return "PerDay" in str(violation.get("quotaId"))
