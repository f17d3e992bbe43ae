"""The circuit breaker of one deployment: a state machine without a clock. Times are seconds of any one monotonic clock.

    CLOSED      calls pass. Opens after `threshold` failures in a row, or when at least `rate` of at least
                `rate_minimum` outcomes within `window_s` failed.
    OPEN        nobody is invited. After `timeout_s` (± jitter, doubled by each failed trial up to `timeout_cap_s`), or
                after a passed probe, it is
    HALF_OPEN   one call at a time is invited as a trial: its first token closes, its failure opens again.

A call holds a *permit*, the number returned by `start`, which says in which period it began: a call that began before
the breaker opened says nothing about the time after. Calls sent to an OPEN deployment all the same (when most of a pool
is ejected, routing admits all of it) close the breaker when they are answered; their failures change nothing.

A stream is judged twice: its first token counts as a good outcome, its breaking off later as a bad one. Failures before
and after the first token are counted in separate rows, so that slow good streams cannot hide behind quick bad ones, nor
streams that always break off behind their good beginnings.
"""

import enum
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, TypeAlias

Override: TypeAlias = Literal["open", "closed"]


class BreakerState(enum.StrEnum):
    CLOSED = "closed"
    HALF_OPEN = "half_open"
    OPEN = "open"

    @property
    def gauge(self) -> int:
        """The value of `llm_proxy_circuit_breaker_state`: 0 closed, 1 half-open, 2 open."""
        return {"closed": 0, "half_open": 1, "open": 2}[self.value]


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerPolicy:
    threshold: int = 5
    timeout_s: float = 60.0
    timeout_cap_s: float = 300.0
    jitter: float = 0.1
    window_s: float = 30.0
    rate: float = 0.5
    rate_minimum: int = 20
    ramp_s: float = 30.0
    """After closing, traffic returns over this time; opening again within it goes on doubling the timeout."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerChange:
    """`cause` is a sentence for operators. `open_for_s` is None unless the breaker opened for a limited time."""

    before: BreakerState
    after: BreakerState
    cause: str
    open_for_s: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedBreaker:
    """What workers tell each other. `version` counts changes (a Lamport clock: a change is one more than all seen), so
    clocks that jump or differ decide nothing but how long an OPEN one still waits, and that is capped on arrival."""

    version: int
    open_until_epoch_s: float | None = None
    trips: int = 0
    override: Override | None = None
    cause: str = ""


def merge(mine: SharedBreaker, theirs: SharedBreaker) -> SharedBreaker:
    """The later version; of two equal ones the more closed to traffic, so that every order of merging ends the same."""
    return max(mine, theirs, key=_rank)


def _rank(shared: SharedBreaker) -> tuple[int, int, float, int, str]:
    override = {"open": 2, "closed": 0, None: 1}[shared.override]
    until = -1.0 if shared.open_until_epoch_s is None else shared.open_until_epoch_s
    return shared.version, override, until, shared.trips, shared.cause


class OutcomeWindow:
    """Good and bad outcomes of the last `span_s` seconds, in ten slices; `good` and `bad` are the sums at `roll`."""

    __slots__ = ("_index", "_slice_s", "_slices", "bad", "good", "slice_ends_at")

    SLICES = 10

    def __init__(self, span_s: float) -> None:
        self._slice_s = span_s / self.SLICES
        self.clear()

    def clear(self) -> None:
        self.good = 0
        self.bad = 0
        self._index = 0
        self._slices: deque[list[int]] = deque([[0, 0, 0]])
        self.slice_ends_at = float("-inf")

    def add(self, *, good: bool, now: float) -> None:
        if now >= self.slice_ends_at:
            self.roll(now)
        if good:
            self.good += 1
            self._slices[-1][1] += 1
        else:
            self.bad += 1
            self._slices[-1][2] += 1

    def roll(self, now: float) -> None:
        """Forgets slices older than the span. A clock never runs backwards here; if it did, nothing would be lost."""
        index = int(now // self._slice_s)
        if index > self._index:
            self._index = index
            self._slices.append([index, 0, 0])
            while self._slices[0][0] <= index - self.SLICES:
                _, good, bad = self._slices.popleft()
                self.good -= good
                self.bad -= bad
        self.slice_ends_at = (self._index + 1) * self._slice_s

    def error_rate(self, now: float) -> float:
        """The bad share, 0.0 when nothing happened."""
        if now >= self.slice_ends_at:
            self.roll(now)
        return self.bad / (self.good + self.bad) if self.bad else 0.0


class Breaker:
    """`draw` returns a number in [0, 1) for the jitter; `on_change` is told every change of state or override.

    `open_until` is None while CLOSED. `override` is an operator's decision: "open" holds the deployment out, "closed"
    keeps it in whatever happens, None leaves it to the machine. `period` is the permit of a call that begins CLOSED.
    """

    __slots__ = (
        "_draw",
        "_early_failures",
        "_late_failures",
        "_trial_running",
        "_trips",
        "_version",
        "cause",
        "last_failure_at",
        "on_change",
        "open_until",
        "override",
        "period",
        "policy",
        "ramp_until",
        "window",
    )

    def __init__(
        self,
        policy: BreakerPolicy,
        *,
        draw: Callable[[], float],
        on_change: Callable[[BreakerChange], None] | None = None,
    ) -> None:
        self.policy = policy
        self.window = OutcomeWindow(policy.window_s)
        self.open_until: float | None = None
        self.override: Override | None = None
        self.ramp_until = float("-inf")
        self.cause = ""
        self.last_failure_at: float | None = None
        self._draw = draw
        self.on_change = on_change
        self.period = 1
        self._version = 0
        self._trips = 0
        self._early_failures = 0
        self._late_failures = 0
        self._trial_running = False

    # ------------------------------------------------------------------------------------------------- questions

    def state(self, now: float) -> BreakerState:
        if self.override is not None:
            return BreakerState.OPEN if self.override == "open" else BreakerState.CLOSED
        if self.open_until is None:
            return BreakerState.CLOSED
        return BreakerState.OPEN if now < self.open_until else BreakerState.HALF_OPEN

    def permits(self, now: float) -> bool:
        """Whether a call is invited now: always when CLOSED, never when OPEN, one at a time when HALF_OPEN."""
        state = self.state(now)
        return state is BreakerState.CLOSED or (state is BreakerState.HALF_OPEN and not self._trial_running)

    @property
    def failure_count(self) -> int:
        """The longer of the two rows of failures."""
        return max(self._early_failures, self._late_failures)

    def ramp(self, now: float) -> float:
        """The share of its traffic that a deployment should get after recovery: from 0.1 to 1.0 over `ramp_s`."""
        if now >= self.ramp_until:
            return 1.0
        return 1.0 - 0.9 * (self.ramp_until - now) / self.policy.ramp_s

    # ---------------------------------------------------------------------------------------------------- calls

    def start(self, now: float) -> int:
        """A call begins. Its permit is negative when it is the trial. Never refuses: see `permits`."""
        if self.open_until is None:
            return self.period
        if self.state(now) is BreakerState.HALF_OPEN and not self._trial_running:
            self._trial_running = True
            return -self.period
        return self.period

    def answered(self, permit: int, now: float) -> int:
        """The first token arrived. Returns the permit to go on with."""
        if abs(permit) != self.period:
            return permit
        if self.open_until is not None:
            self._close(now, "a trial was answered" if permit < 0 else "a call was answered while open")
            permit = self.period
        self._early_failures = 0
        self.window.add(good=True, now=now)
        return permit

    def succeeded(self, permit: int, now: float, *, answered: bool = False) -> None:
        """The call completed; `answered` when its first token was reported before."""
        if not answered:
            permit = self.answered(permit, now)
        if permit == self.period:
            self._late_failures = 0

    def failed(self, permit: int, now: float, cause: str, *, answered: bool = False) -> None:
        """The call failed in a way that speaks against the deployment."""
        self.last_failure_at = now
        if abs(permit) != self.period:
            return
        if permit < 0:
            self._open(now, f"the trial failed: {cause}")
        elif self.open_until is None:
            self._count_failure(now, cause, answered=answered)

    def abandoned(self, permit: int) -> None:
        """The call ended without a verdict: the client left, or the failure was not the deployment's."""
        if permit == -self.period:
            self._trial_running = False

    def probe_passed(self) -> None:
        """An active probe passed: the wait is over, the next call is a trial. A probe closes nothing on its own."""
        if self.open_until is not None:
            self.open_until = float("-inf")

    # ------------------------------------------------------------------------------------------------ operators

    def hold_open(self, now: float) -> None:
        self._set_override("open", now, "held open by an operator")

    def force_close(self, now: float) -> None:
        self._set_override("closed", now, "forced closed by an operator")

    def reset(self, now: float) -> None:
        """Back to the beginning: no override, CLOSED, nothing counted."""
        before = self.state(now)
        self._forget()
        self._trips = 0
        self.override = None
        self.open_until = None
        self.ramp_until = float("-inf")
        self._changed(before, now, "reset by an operator")

    # ------------------------------------------------------------------------------------------ other workers

    def export(self, now: float, epoch_now: float) -> SharedBreaker:
        until = None if self.open_until is None else epoch_now + max(self.open_until - now, 0.0)
        return SharedBreaker(
            version=self._version,
            open_until_epoch_s=until,
            trips=self._trips,
            override=self.override,
            cause=self.cause,
        )

    def adopt(self, theirs: SharedBreaker, now: float, epoch_now: float) -> bool:
        """Takes over what another worker knows when `merge` prefers it; True when that changed something here."""
        mine = self.export(now, epoch_now)
        # An OPEN one exports a deadline that rounding moves about; the same version and override is the same news.
        if (theirs.version, theirs.override) == (mine.version, mine.override) and (
            (theirs.open_until_epoch_s is None) == (self.open_until is None)
        ):
            return False
        if merge(mine, theirs) is mine:
            return False
        before = self.state(now)
        was_open = self.open_until is not None
        self._forget()
        self._trips = theirs.trips
        self.override = theirs.override
        if theirs.open_until_epoch_s is None:
            self.open_until = None
            self.ramp_until = now + self.policy.ramp_s if was_open else self.ramp_until
        else:
            cap = max(self.policy.timeout_cap_s, self.policy.timeout_s) * (1 + self.policy.jitter)
            self.open_until = now + min(max(theirs.open_until_epoch_s - epoch_now, 0.0), cap)
        self._changed(before, now, f"another worker: {theirs.cause}", version=theirs.version)
        return True

    # ---------------------------------------------------------------------------------------------- transitions

    def _count_failure(self, now: float, cause: str, *, answered: bool) -> None:
        if answered:
            self._late_failures += 1
        else:
            self._early_failures += 1
        window, policy = self.window, self.policy
        window.add(good=False, now=now)
        if self.override is not None:
            return
        if self.failure_count >= policy.threshold:
            self._open(now, f"{self.failure_count} failures in a row: {cause}")
        elif (total := window.good + window.bad) >= policy.rate_minimum and window.bad >= policy.rate * total:
            self._open(now, f"{window.bad} of {total} calls failed within {policy.window_s:g} s: {cause}")

    def _open(self, now: float, cause: str) -> None:
        before = self.state(now)
        policy = self.policy
        if self.open_until is None and now >= self.ramp_until:
            self._trips = 0
        cap = max(policy.timeout_cap_s, policy.timeout_s)
        open_for_s = min(policy.timeout_s * 2.0 ** min(self._trips, 32), cap)
        open_for_s *= 1 - policy.jitter + 2 * policy.jitter * self._draw()
        self._trips += 1
        self._forget()
        self.open_until = now + open_for_s
        self._changed(before, now, cause, open_for_s=open_for_s)

    def _close(self, now: float, cause: str) -> None:
        before = self.state(now)
        self._forget()
        self.open_until = None
        self.ramp_until = now + self.policy.ramp_s
        self._changed(before, now, cause)

    def _set_override(self, override: Override, now: float, cause: str) -> None:
        before = self.state(now)
        self.override = override
        if override == "closed":
            self._forget()
            self.open_until = None
        self._changed(before, now, cause)

    def _forget(self) -> None:
        """A new period: calls that are running now have no say in it."""
        self.period += 1
        self._early_failures = 0
        self._late_failures = 0
        self._trial_running = False
        self.window.clear()

    def _changed(
        self,
        before: BreakerState,
        now: float,
        cause: str,
        *,
        open_for_s: float | None = None,
        version: int | None = None,
    ) -> None:
        self._version = self._version + 1 if version is None else version
        self.cause = cause
        after = self.state(now)
        if self.on_change is not None and (after is not before or version is None):
            self.on_change(BreakerChange(before=before, after=after, cause=cause, open_for_s=open_for_s))
