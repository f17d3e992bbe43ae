"""Which credential of a provider may be used now: cool-downs, disabling, and the choice by weight. No clock, no I/O.

A cool-down is *asked for* when the upstream named a time (Retry-After): nothing is sent with that credential earlier.
Without a named time, or with one that is over already, the cool-down is our guess, and a call that has no other way may
break it. A provider that takes no credential has the anonymous one, so that what it asks for is remembered too.
"""

from collections.abc import Callable
from dataclasses import dataclass

from providers.errors import QuotaExhausted, UpstreamError
from providers.specs import CredentialSpec

DISABLED_S = 300.0
OVERLOADED_COOL_S = 5.0
RATE_LIMIT_COOL_S = 1.0
RATE_LIMIT_COOL_CAP_S = 60.0
ASKED_CAP_S = 86_400.0
"""A Retry-After beyond a day is garbage, not advice."""

REJECTED = "credential_rejected"
OUT_OF_QUOTA = "credential_out_of_quota"
"""The bars of a provider that refused all its credentials."""

NEVER = float("-inf")

ANONYMOUS = CredentialSpec(id=0, name="anonymous", secret="")
"""No row has this id."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialChange:
    """A credential was put aside for `for_s` seconds."""

    credential_id: int
    name: str
    reason: str
    for_s: float


class CredentialState:
    """Available from `until` on. Before `hard_until` nothing may be sent with it at all; before `disabled_until` that
    is because it was refused, not because it was used too much."""

    __slots__ = ("disabled_until", "hard_until", "reason", "spec", "strikes", "until")

    def __init__(self, spec: CredentialSpec) -> None:
        self.spec = spec
        self.until = NEVER
        self.hard_until = NEVER
        self.disabled_until = NEVER
        self.reason = ""
        self.strikes = 0


class CredentialPool:
    """The credentials of one provider. The first of them is available from `free_at` on, and usable at need from
    `usable_at` on: -inf as long as nothing is held against it, +inf when there is none."""

    __slots__ = ("_states", "free_at", "needed", "usable_at")

    def __init__(self, specs: tuple[CredentialSpec, ...], *, needed: bool) -> None:
        self._states: dict[int, CredentialState] = {}
        self.sync(specs, needed=needed)

    def sync(self, specs: tuple[CredentialSpec, ...], *, needed: bool) -> None:
        """Follows the configuration. A credential with a new secret starts afresh."""
        old = self._states
        self._states = {}
        for spec in specs if specs or needed else (ANONYMOUS,):
            state = old.get(spec.id)
            if state is None or state.spec.secret != spec.secret:
                state = CredentialState(spec)
            state.spec = spec
            self._states[spec.id] = state
        self.needed = needed
        self._recompute()

    def pick(self, now: float, draw: Callable[[], float]) -> CredentialSpec | None:
        """One of the available, by weight; at need the guessed cool-down that ends first; None when all are barred."""
        if len(self._states) == 1:
            (state,) = self._states.values()
            return state.spec if now >= state.hard_until else None
        free = [state for state in self._states.values() if now >= state.until]
        if len(free) == 1:
            return free[0].spec
        if not free:
            usable = [state for state in self._states.values() if now >= state.hard_until]
            return min(usable, key=_until).spec if usable else None
        point = draw() * sum(state.spec.weight for state in free)
        for state in free:
            point -= state.spec.weight
            if point < 0:
                return state.spec
        return free[-1].spec

    def bar(self, now: float) -> str | None:
        """Why no credential is available now, in a plan's words."""
        if now >= self.free_at:
            return None
        states = self._states.values()
        if not states:
            return "no_credential"
        if any(now >= state.disabled_until for state in states):
            return "credential_cooling"
        return OUT_OF_QUOTA if all(state.reason == QuotaExhausted.reason for state in states) else REJECTED

    def has_other(self, credential_id: int, now: float) -> bool:
        """Whether a credential other than this one is available."""
        return any(now >= state.until for key, state in self._states.items() if key != credential_id)

    def succeeded(self, credential_id: int) -> None:
        state = self._states.get(credential_id)
        if state is not None and state.strikes:
            state.strikes = 0

    def failed(self, credential_id: int, error: UpstreamError, now: float) -> CredentialChange | None:
        """What follows for the credential: disabled for 5 min, cooled as asked or as guessed, or nothing."""
        state = self._states.get(credential_id)
        if state is None or (for_s := self._put_aside(state, error, now)) is None:
            return None
        state.reason = error.reason
        self._recompute()
        return CredentialChange(credential_id=state.spec.id, name=state.spec.name, reason=error.reason, for_s=for_s)

    @staticmethod
    def _put_aside(state: CredentialState, error: UpstreamError, now: float) -> float | None:
        if error.disables_credential:
            state.disabled_until = now + DISABLED_S
            state.until = state.hard_until = max(state.hard_until, state.disabled_until)
            return DISABLED_S
        if not error.cools_credential:
            return None
        if error.retry_after_s:
            asked_s = min(max(error.retry_after_s, 0.0), ASKED_CAP_S)
            # What the upstream says replaces what we guessed, but not what it said before.
            state.until = state.hard_until = max(state.hard_until, now + asked_s)
            return asked_s
        state.strikes += 1
        guess_s = OVERLOADED_COOL_S
        if not error.trips_breaker:
            guess_s = min(RATE_LIMIT_COOL_S * 2.0 ** min(state.strikes - 1, 16), RATE_LIMIT_COOL_CAP_S)
        state.until = max(state.until, now + guess_s)
        return guess_s

    def _recompute(self) -> None:
        states = self._states.values()
        nothing = float("inf") if self.needed else NEVER
        self.free_at = min((state.until for state in states), default=nothing)
        self.usable_at = min((state.hard_until for state in states), default=nothing)


def _until(state: CredentialState) -> float:
    return state.until
