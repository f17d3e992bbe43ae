"""How long an upstream asks to wait, in every form it says so. Pure: an HTTP date counts from the answer's own date."""

import math
import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime

_UNITS_S = {"ms": 0.001, "s": 1.0, "sec": 1.0, "second": 1.0, "m": 60.0, "minute": 60.0, "h": 3600.0, "hour": 3600.0}
_GO_DURATION = re.compile(r"(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?(?:(\d+(?:\.\d+)?)ms)?")
_IN_TEXT = re.compile(
    r"(?:try again|retry)(?: again)? (?:in|after) "
    r"(\d+h\d+m[\d.]+s|\d+m[\d.]+s|\d+(?:\.\d+)?\s?(?:ms|seconds?|sec|s|minutes?|m|hours?|h))\b",
    re.IGNORECASE,
)
_AMOUNT = re.compile(r"([\d.]+)\s?([a-z]+?)s?$", re.IGNORECASE)


def retry_after_s(headers: Mapping[str, str], message: str = "") -> float | None:
    """Seconds from `retry-after-ms`, `retry-after` (seconds, Go duration, HTTP date) or the error's text.

    None if unsaid. A value that is negative, not finite or not understood counts as unsaid; a date in the past is 0.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    raw = headers.get("retry-after", "").strip()
    if raw:
        seconds = _number(raw)
        if seconds is None:
            seconds = duration_s(raw)
        return seconds if seconds is not None else _until(raw, headers.get("date", ""))
    found = _IN_TEXT.search(message)
    return _spoken(found[1]) if found else None


def duration_s(text: str) -> float | None:
    """`6m0s`, `12ms`, `1.5s` → seconds."""
    found = _GO_DURATION.fullmatch(text.strip())
    if not found or not any(found.groups()):
        return None
    hours, minutes, seconds, milliseconds = (float(group or 0) for group in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) and value >= 0 else None


def _until(text: str, date: str) -> float | None:
    try:
        return max(0.0, (parsedate_to_datetime(text) - parsedate_to_datetime(date)).total_seconds())
    except (TypeError, ValueError):
        return None


def _spoken(text: str) -> float | None:
    exact = duration_s(text.replace(" ", ""))
    if exact is not None:
        return exact
    found = _AMOUNT.fullmatch(text.strip().lower())
    unit = _UNITS_S.get(found[2].rstrip("s") or "s") if found else None
    amount = _number(found[1]) if found else None
    return amount * unit if amount is not None and unit is not None else None
