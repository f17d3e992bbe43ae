"""What follows from a failed attempt, how long to wait, and when to stop. Pure: time and chance are arguments.

The retry budget bounds what retries add to a total outage without standing in the way of failover. It is a bucket that
each request fills by a tenth. Moving on to a candidate that nothing speaks against is always allowed, on credit if need
be: its own breaker ends it when that one fails too. Everything else (the same target again, a candidate admitted although
its breaker is open) needs cash, so that in an outage upstreams see at most 1.1 × the requests.
"""

import enum
from dataclasses import dataclass

from providers.errors import ConnectFailed, ContextOverflow, UpstreamError, UpstreamTimeout

FORGIVE_AFTER_S = 30.0
LONGEST_BACKOFF_S = 8.0
LONGEST_WAIT_S = 120.0
"""What a Retry-After is obeyed for while a client waits."""

# ------------------------------------------------------------------------------------------------------- back-off


def backoff_s(retry: int, *, base_s: float, draw: float) -> float:
    """Full jitter: uniform in [0, base·2^retry), `retry` from 0 ("Exponential Backoff And Jitter", AWS, 2015)."""
    return draw * min(base_s * 2.0 ** min(retry, 32), LONGEST_BACKOFF_S)


# ---------------------------------------------------------------------------------------------------- retry budget


class RetryBudget:
    """Tokens for retries: `ratio` comes in with each request, one goes out with each charged retry.

    It starts full at `floor` and never holds more than `ratio` × the requests in flight, or `floor` if that is more. When
    nobody wanted a token for FORGIVE_AFTER_S, it is at `floor` again, so that rare requests may be retried too.
    """

    __slots__ = ("_asked_at", "floor", "in_flight", "ratio", "tokens")

    def __init__(self, *, ratio: float = 0.1, floor: float = 3.0) -> None:
        self.ratio = ratio
        self.floor = floor
        self.tokens = floor
        self.in_flight = 0
        self._asked_at = float("inf")

    def request_started(self) -> None:
        self.in_flight += 1
        tokens, most = self.tokens + self.ratio, self.ratio * self.in_flight
        if most < self.floor:
            most = self.floor
        self.tokens = tokens if tokens < most else most

    def request_ended(self) -> None:
        self.in_flight -= 1

    def allows(self, step: "Step", now: float) -> bool:
        """Whether a step may be taken, and its price paid: charged ones in cash; moving on to a sound candidate always,
        if need be on credit; repeating what was never processed, or with another credential, for nothing."""
        if step.charged:
            return self.spend(now)
        if step.then is Then.NEXT and self.tokens > -self.in_flight:
            # What an outage's first moments cost is saved later; no more debt than the requests that can have made it,
            # and none is forgiven because those have ended meanwhile.
            self.tokens = max(self.tokens - 1.0, -float(self.in_flight))
        return True

    def spend(self, now: float) -> bool:
        """Takes one token; False when there is none. `now` is monotonic seconds."""
        if now - self._asked_at >= FORGIVE_AFTER_S:
            self.tokens = max(self.tokens, self.floor)
        self._asked_at = now
        if self.tokens < 1.0:
            return False
        self.tokens -= 1.0
        return True


# -------------------------------------------------------------------------------------------------- attempt policy


class Then(enum.StrEnum):
    """NEXT candidate; SAME deployment again (with whichever credential is available then); CONDENSE the conversation
    and plan anew; STOP and give the error to the client."""

    NEXT = "next"
    SAME = "same"
    CONDENSE = "condense"
    STOP = "stop"


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """`why` is for the decision record and the metric's `reason`."""

    then: Then
    why: str
    wait_s: float = 0.0
    charged: bool = False
    """To be paid from the retry budget; when that is refused, stop."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A failed attempt in its situation.

    `attempts` made so far, this one included, of `max_attempts`; `same_again` how many of them repeated this deployment
    after a wait; `provider_spent`: its provider has had as many as it may have of one call.
    `has_next`: another candidate may be tried, `next_is_sound`: with nothing against it. `other_credential`: this
    deployment has another one available now. `left_s`: until the deadline. `base_s`: the first wait at the same place,
    at most.
    """

    error: UpstreamError
    attempts: int
    max_attempts: int
    has_next: bool
    left_s: float
    base_s: float = 0.25
    next_is_sound: bool = True
    other_credential: bool = False
    same_again: int = 0
    provider_spent: bool = False
    stale_retried: bool = False


def what_follows(failure: Failure, *, draw: float) -> Step:
    """The failure table of the design, row by row."""
    error = failure.error
    if isinstance(error, ContextOverflow):
        return Step(then=Then.CONDENSE, why=error.reason)
    if not error.fails_over:
        return Step(then=Then.STOP, why=error.reason)
    if failure.left_s <= 0 or (isinstance(error, UpstreamTimeout) and error.phase == "total"):
        return Step(then=Then.STOP, why="deadline")
    if isinstance(error, ConnectFailed) and error.stale and not failure.stale_retried:
        return Step(then=Then.SAME, why="stale_connection")
    if failure.attempts >= failure.max_attempts:
        return Step(then=Then.STOP, why="attempts")
    return _another_target(failure) or _same_target(failure, draw)


def _another_target(failure: Failure) -> Step | None:
    error = failure.error
    rests = error.cools_credential or error.disables_credential
    if rests and failure.other_credential and not failure.provider_spent:
        return Step(then=Then.SAME, why=error.reason)
    if failure.has_next:
        return Step(then=Then.NEXT, why=error.reason, charged=not failure.next_is_sound)
    return None


def _same_target(failure: Failure, draw: float) -> Step:
    error = failure.error
    if failure.provider_spent:
        return Step(then=Then.STOP, why="attempts")
    if error.disables_credential or not _may_pass(error):
        return Step(then=Then.STOP, why=error.reason)
    if error.retry_after_s is not None:
        wait_s = error.retry_after_s
        if wait_s >= failure.left_s or wait_s > LONGEST_WAIT_S:
            return Step(then=Then.STOP, why="retry_after_too_long")
    else:
        wait_s = backoff_s(failure.same_again, base_s=failure.base_s, draw=draw)
        if wait_s >= failure.left_s:
            return Step(then=Then.STOP, why="deadline")
    return Step(then=Then.SAME, why=error.reason, wait_s=wait_s, charged=True)


def _may_pass(error: UpstreamError) -> bool:
    """Whether the same request may fare better at the same place: not when the place cannot do what was asked."""
    return error.trips_breaker or error.cools_credential
