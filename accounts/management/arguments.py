"""Types of command-line arguments that several commands take."""

import math
from argparse import ArgumentTypeError
from collections.abc import Callable
from datetime import UTC, datetime, timedelta


def whole(most: int, *, least: int = 1) -> Callable[[str], int]:
    """A whole number from `least` to `most`, which is what the column holds."""

    def read(text: str) -> int:
        if not text.isdecimal() or len(text) > 20 or not least <= int(text) <= most:
            raise ArgumentTypeError(f"'{text}' is not a whole number from {least} to {most}")
        return int(text)

    return read


def hours(most: timedelta) -> Callable[[str], timedelta]:
    """A span from none to `most`."""
    limit = most.total_seconds() / 3600

    def read(text: str) -> timedelta:
        try:
            number = float(text)
        except ValueError:
            number = math.nan
        if not 0 <= number <= limit:
            raise ArgumentTypeError(f"'{text}' is not a number of hours from 0 to {limit:g}")
        return timedelta(hours=number)

    return read


def moment(text: str) -> datetime:
    """UTC unless it says otherwise."""
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ArgumentTypeError(f"'{text}' is not a date or time, such as 2026-12-31 or 2026-12-31T08:00Z") from None
