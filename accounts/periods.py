"""Calendar periods of budgets, in UTC. Pure."""

from datetime import UTC, datetime, timedelta
from typing import Literal


def period_of(kind: Literal["day", "month"], moment: float) -> tuple[str, float]:
    """The period that `moment` (epoch seconds) falls into and the moment it ends: `2026-07-31` or `2026-07`."""
    day = datetime.fromtimestamp(moment, UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    if kind == "day":
        return day.strftime("%Y-%m-%d"), (day + timedelta(days=1)).timestamp()
    first = day.replace(day=1)
    return first.strftime("%Y-%m"), (first + timedelta(days=32)).replace(day=1).timestamp()
