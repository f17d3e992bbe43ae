"""The arithmetic of rate limits. Pure: time is an argument, in whole microseconds of any steady clock.

A window is cut into 60 steps; what was let through is counted per step, and a step counts until it has wholly left the
window. So in *every* stretch of `window_s` seconds, however placed, at most `limit` are let through. (A token bucket
or fixed windows would let through up to twice as many across a border.) The price: room comes back up to 1/60 of the
window later than with exact time stamps. The script in `redis_limit_store` does the same sums.
"""

from collections import deque
from typing import TypeAlias

STEPS = 60


def step_us(window_s: int) -> int:
    """Length of one step; 60 of them are at least the window."""
    return -(-window_s * 1_000_000 // STEPS)


class SlidingWindow:
    """Counts of one (scope, kind). Time never runs backwards: an earlier `now` is taken as the latest one seen."""

    __slots__ = ("_counts", "_latest", "step", "total")

    def __init__(self, window_s: int) -> None:
        self.step = step_us(window_s)
        self.total = 0
        self._counts: deque[list[int]] = deque()
        self._latest = 0

    @property
    def empty(self) -> bool:
        return not self._counts

    def advance(self, now_us: int) -> int:
        """Forgets what has left the window and returns the current step's number."""
        latest = now_us // self.step
        if latest > self._latest:
            self._latest = latest
        else:
            latest = self._latest
        counts = self._counts
        while counts and counts[0][0] < latest - STEPS:
            self.total -= counts.popleft()[1]
        return latest

    def take(self, amount: int, limit: int, now_us: int) -> int | None:
        """Counts this amount now, and says in which step; None, and nothing is counted, when it does not fit."""
        latest = now_us // self.step
        if latest != self._latest:
            # Within one step nothing leaves the window.
            latest = self.advance(now_us)
        total = self.total + amount
        if total > limit:
            return None
        self.total = total
        counts = self._counts
        last = counts[-1] if counts else None
        if last is not None and last[0] == latest:
            last[1] += amount
        else:
            counts.append([latest, amount])
        return latest

    def put_back(self, amount: int) -> None:
        """What the last `take` has counted, in the same moment: as if it had not been."""
        last = self._counts[-1]
        last[1] -= amount
        self.total -= amount
        if not last[1]:
            self._counts.pop()

    def correct(self, bucket: int, difference: int) -> None:
        """Changes what was counted in `bucket`, if that is still in the window."""
        for entry in reversed(self._counts):
            if entry[0] == bucket:
                entry[1] += difference
                self.total += difference
                return

    def wait_us(self, amount: int, limit: int, now_us: int) -> int | None:
        """How long until `amount` fits; 0 when it fits now, None when it never will."""
        self.advance(now_us)
        excess = self.total + amount - limit
        if excess <= 0:
            return 0
        if amount > limit:
            return None
        for bucket, count in self._counts:
            excess -= count
            if excess <= 0:
                return self.leaves_us(bucket) - now_us
        return None

    def reset_us(self, now_us: int) -> int:
        """How long until everything counted has left the window."""
        self.advance(now_us)
        return self.leaves_us(self._counts[-1][0]) - now_us if self._counts else 0

    def leaves_us(self, bucket: int) -> int:
        """When what was counted in `bucket` has left the window."""
        return (bucket + STEPS + 1) * self.step


RuleState: TypeAlias = tuple[int, int, float]
"""One rule after a decision: its limit, what remains of it, and in how many seconds all of it is there again."""


def divided(limit: int, parts: int) -> int:
    """The share of one of `parts` workers, never more than `limit` in sum unless the limit is smaller than `parts`."""
    return max(1, limit // parts)
