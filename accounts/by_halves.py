"""Writing many rows at once although SQL may be unable to hold one of them."""

from collections.abc import Callable, Sequence
from typing import TypeVar

from django.db import DataError, IntegrityError

Row = TypeVar("Row")

UNSTORABLE = (DataError, IntegrityError, OverflowError, ValueError)


def write_by_halves(
    rows: Sequence[Row], write: Callable[[Sequence[Row]], int], leave_out: Callable[[Row, Exception], None]
) -> int:
    """The sum of what `write` returns. What SQL cannot hold at all (a value out of range, half a surrogate pair) is found
    by halving and given to `leave_out`, so that one such row does not keep out all others."""
    try:
        return write(rows)
    except UNSTORABLE as error:
        if len(rows) < 2:
            leave_out(rows[0], error)
            return 0
    middle = len(rows) // 2
    return sum(write_by_halves(half, write, leave_out) for half in (rows[:middle], rows[middle:]))
