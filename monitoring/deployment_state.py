"""The live state of one deployment and one provider, and what routing sees of it at one instant. `now` is given."""

from typing import Literal, NamedTuple, TypeAlias

from monitoring.breaker import Breaker, BreakerChange, BreakerState, Override
from monitoring.credential_state import CredentialChange, CredentialPool
from monitoring.slots import Slots
from providers.specs import DeploymentSpec, ProviderSpec
from providers.values import quick_tuple, value

Health: TypeAlias = Literal["unknown", "healthy", "degraded", "unhealthy"]

SMOOTHING = 0.2
"""Weight of the newest time to first token in its moving average."""
STALE_AFTER_S = 10.0
HALF_LIFE_S = 30.0
"""A time to first token that nobody refreshed fades by half in each, so that a once slow upstream is tried again."""


class Candidate(NamedTuple):
    """A deployment as it stands at one instant: the raw inputs of a plan, kept as they are in its record.

    `bar` is the word for why live state keeps it out, or None; `yields` says that the bar gives way when too much of a
    pool would be out. `ttft_s` is the usual time to the first token, or to the whole answer of calls that do not stream.
    `ramp` below 1.0 is the share of traffic due to it while it recovers. A named tuple because
    one is made per candidate and request, at half the price of a dataclass.
    """

    deployment: DeploymentSpec
    bar: str | None = None
    yields: bool = False
    outstanding: int = 0
    ttft_s: float | None = None
    error_rate: float = 0.0
    ramp: float = 1.0


class UpstreamEvent(NamedTuple):
    """What hooks are told. `change` says what happened; names are for people, ids for machines."""

    provider_id: int
    provider: str
    deployment_id: int
    deployment: str
    change: BreakerChange | CredentialChange


@value
class UpstreamSnapshot:
    """A deployment's state for status pages. `bar` is why plans leave it out now; times of failure are seconds since 1970,
    `opens_in_s` until an OPEN breaker lets a trial through."""

    deployment_id: int
    deployment: str
    provider_id: int
    provider: str
    bar: str | None
    breaker: BreakerState
    override: Override | None
    failure_count: int
    last_failure_at: float | None
    opens_in_s: float | None
    cause: str
    outstanding: int
    ttft_s: float | None
    answer_s: float | None
    error_rate: float
    health: Health


class ProviderState:
    __slots__ = ("credentials", "health", "slots", "spec")

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec
        self.health: Health = "unknown"
        self.slots = Slots(spec.max_concurrency)
        self.credentials = CredentialPool(spec.credentials, needed=spec.needs_credential)

    def sync(self, spec: ProviderSpec) -> None:
        if spec is not self.spec:
            self.spec = spec
            self.slots.resize(spec.max_concurrency)
            self.credentials.sync(spec.credentials, needed=spec.needs_credential)


class DeploymentState:
    """`outstanding` are the calls running now. `flagged` is true when health or override needs a closer look."""

    __slots__ = (
        "answer_at",
        "answer_s",
        "breaker",
        "credentials",
        "flagged",
        "health",
        "last_success_at",
        "outstanding",
        "provider",
        "slots",
        "spec",
        "ttft_at",
        "ttft_s",
    )

    def __init__(self, spec: DeploymentSpec, provider: ProviderState, breaker: Breaker) -> None:
        self.spec = spec
        self.breaker = breaker
        self.belong_to(provider)
        self.outstanding = 0
        self.ttft_s: float | None = None
        self.ttft_at = 0.0
        self.answer_s: float | None = None
        self.answer_at = 0.0
        self.health: Health = "unknown"
        self.last_success_at = float("-inf")
        self.flagged = False

    def belong_to(self, provider: ProviderState) -> None:
        self.provider = provider
        self.credentials = provider.credentials
        self.slots = provider.slots

    def measured(self, seconds: float, now: float, *, stream: bool) -> None:
        if stream:
            average = self.ttft_s
            self.ttft_s = seconds if average is None else average + SMOOTHING * (seconds - average)
            self.ttft_at = now
        else:
            average = self.answer_s
            self.answer_s = seconds if average is None else average + SMOOTHING * (seconds - average)
            self.answer_at = now

    def refresh(self) -> None:
        self.flagged = bool(self.breaker.override or self.health == "unhealthy" or self.provider.health == "unhealthy")

    def candidate(self, deployment: DeploymentSpec, now: float, stream: bool) -> Candidate:
        """`deployment` is the caller's own table's spec, which may be newer than the one first seen."""
        breaker, slots = self.breaker, self.slots
        bar, yields = None, False
        if (
            breaker.open_until is not None
            or self.flagged
            or now < self.credentials.free_at
            or slots.in_use >= slots.limit
        ):
            bar, yields = self.bar(now)
        ttft_s, at = (self.ttft_s, self.ttft_at) if stream else (self.answer_s, self.answer_at)
        if ttft_s is not None and now - at > STALE_AFTER_S:
            ttft_s *= 0.5 ** ((now - at - STALE_AFTER_S) / HALF_LIFE_S)
        window = breaker.window
        error_rate = window.error_rate(now) if window.bad else 0.0
        ramp = 1.0 if now >= breaker.ramp_until else breaker.ramp(now)
        return quick_tuple(Candidate, (deployment, bar, yields, self.outstanding, ttft_s, error_rate, ramp))

    def bar(self, now: float) -> tuple[str | None, bool]:
        """Why no call should be sent here now, and whether that gives way when too much of a pool is out."""
        breaker, credentials = self.breaker, self.credentials
        if breaker.override == "open":
            return "held_open", False
        if now < credentials.usable_at:
            return credentials.bar(now), False
        if self.slots.saturated:
            return "saturated", False
        if not breaker.permits(now):
            return "breaker_open", True
        if now < credentials.free_at:
            return credentials.bar(now), True
        if "unhealthy" in (self.health, self.provider.health):
            return "unhealthy", True
        return None, False

    def snapshot(self, now: float, epoch_now: float) -> UpstreamSnapshot:
        breaker, provider = self.breaker, self.provider
        failed_at, open_until = breaker.last_failure_at, breaker.open_until
        return UpstreamSnapshot(
            deployment_id=self.spec.id,
            deployment=self.spec.name,
            provider_id=provider.spec.id,
            provider=provider.spec.name,
            bar=self.bar(now)[0],
            breaker=breaker.state(now),
            override=breaker.override,
            failure_count=breaker.failure_count,
            last_failure_at=None if failed_at is None else epoch_now - (now - failed_at),
            opens_in_s=None if open_until is None else max(open_until - now, 0.0),
            cause=breaker.cause,
            outstanding=self.outstanding,
            ttft_s=self.ttft_s,
            answer_s=self.answer_s,
            error_rate=breaker.window.error_rate(now),
            health=provider.health if self.health == "unknown" else self.health,
        )


class Flight:
    """One running call. The gateway passes it back; it reads nothing but `first_token_s`."""

    __slots__ = ("credential_id", "first_token_s", "over", "permit", "state")

    def __init__(self, state: DeploymentState, credential_id: int, permit: int) -> None:
        self.state = state
        self.credential_id = credential_id
        self.permit = permit
        self.first_token_s: float | None = None
        self.over = False
