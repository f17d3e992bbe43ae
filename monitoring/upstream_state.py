"""What one worker knows about its upstreams right now, keyed by ids, so that it outlives every rebuild of the table.

Per deployment: breaker, time to first token, calls running, outcomes of the last 30 s, health, an operator's mark.
Per provider: concurrency slots and the credentials' cool-downs. Nothing here knows Prometheus, Redis or Django: whoever
wants to hear of changes appends a callable to `hooks`.

A call: `on_start` → (`on_first_token`) → one of `on_success`, `on_failure`, `on_cancel`. What comes after the
first of the last three is ignored, so a `finally: on_cancel(flight)` is safe.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Literal, NamedTuple, TypeAlias

from monitoring.breaker import Breaker, BreakerChange, BreakerPolicy
from monitoring.credential_state import CredentialChange, CredentialPool
from monitoring.slots import Slots
from providers.errors import UpstreamError
from providers.specs import CredentialSpec, DeploymentSpec, ProviderSpec

Health: TypeAlias = Literal["unknown", "healthy", "degraded", "unhealthy"]
Mark: TypeAlias = Literal["disabled", "draining"]

SMOOTHING = 0.2
"""Weight of the newest time to first token in its moving average."""
STALE_AFTER_S = 10.0
HALF_LIFE_S = 30.0
"""A time to first token that nobody refreshed fades by half in each, so that a once slow upstream is tried again."""
PASSIVE_WINS_S = 30.0
"""A deployment that answered a real call within this time is not unhealthy, whatever a probe says."""


class Candidate(NamedTuple):
    """A deployment as it stands at one instant: the raw inputs of a plan, kept as they are in its record.

    `bar` is the word for why live state keeps it out, or None; `yields` says that the bar gives way when too much of a
    pool would be out. `ramp` below 1.0 is the share of traffic due to it while it recovers. A named tuple because
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
    deployment_id: int | None
    deployment: str | None
    change: BreakerChange | CredentialChange


Hook: TypeAlias = Callable[[UpstreamEvent], None]


class ProviderState:
    __slots__ = ("credentials", "health", "slots", "spec")

    def __init__(self, spec: ProviderSpec) -> None:
        self.spec = spec
        self.health: Health = "unknown"
        self.slots = Slots(spec.max_concurrency, spec.max_concurrency)
        self.credentials = CredentialPool(spec.credentials, needed=spec.needs_credential)

    def sync(self, spec: ProviderSpec) -> None:
        if spec is not self.spec:
            self.spec = spec
            self.slots.resize(spec.max_concurrency, spec.max_concurrency)
            self.credentials.sync(spec.credentials, needed=spec.needs_credential)


class DeploymentState:
    """`outstanding` are the calls running now. `flagged` is true when mark, health or override needs a closer look."""

    __slots__ = (
        "breaker",
        "flagged",
        "health",
        "last_success_at",
        "mark",
        "outstanding",
        "provider",
        "spec",
        "ttft_at",
        "ttft_s",
    )

    def __init__(self, spec: DeploymentSpec, provider: ProviderState, breaker: Breaker) -> None:
        self.spec = spec
        self.provider = provider
        self.breaker = breaker
        self.outstanding = 0
        self.ttft_s: float | None = None
        self.ttft_at = 0.0
        self.health: Health = "unknown"
        self.mark: Mark | None = None
        self.last_success_at = float("-inf")
        self.flagged = False

    def refresh(self) -> None:
        self.flagged = bool(
            self.mark or self.breaker.override or self.health == "unhealthy" or self.provider.health == "unhealthy"
        )

    def candidate(self, deployment: DeploymentSpec, now: float) -> Candidate:
        """`deployment` is the caller's own table's spec, which may be newer than the one first seen."""
        breaker, provider = self.breaker, self.provider
        bar, yields = None, False
        if (
            breaker.open_until is not None
            or self.flagged
            or now < provider.credentials.free_at
            or provider.slots.in_use >= provider.slots.limit
        ):
            bar, yields = self.bar(now)
        ttft_s = self.ttft_s
        if ttft_s is not None and now - self.ttft_at > STALE_AFTER_S:
            ttft_s *= 0.5 ** ((now - self.ttft_at - STALE_AFTER_S) / HALF_LIFE_S)
        window = breaker.window
        error_rate = window.error_rate(now) if window.bad else 0.0
        ramp = 1.0 if now >= breaker.ramp_until else breaker.ramp(now)
        # The class's own constructor costs twice as much.
        return tuple.__new__(Candidate, (deployment, bar, yields, self.outstanding, ttft_s, error_rate, ramp))

    def bar(self, now: float) -> tuple[str | None, bool]:
        """Why no call should be sent here now, and whether that gives way when too much of a pool is out."""
        breaker, credentials = self.breaker, self.provider.credentials
        if self.mark is not None:
            return self.mark, False
        if breaker.override == "open":
            return "held_open", False
        if now < credentials.usable_at:
            return credentials.bar(now), False
        if self.provider.slots.saturated:
            return "saturated", False
        if not breaker.permits(now):
            return "breaker_open", True
        if now < credentials.free_at:
            return credentials.bar(now), True
        if "unhealthy" in (self.health, self.provider.health):
            return "unhealthy", True
        return None, False


class Flight:
    """One running call. The gateway passes it back; it reads nothing but `first_token_s`."""

    __slots__ = ("credential_id", "first_token_s", "over", "permit", "state")

    def __init__(self, state: DeploymentState, credential_id: int | None, permit: int) -> None:
        self.state = state
        self.credential_id = credential_id
        self.permit = permit
        self.first_token_s: float | None = None
        self.over = False

    @property
    def is_trial(self) -> bool:
        return self.permit < 0


class UpstreamStates:
    """`clock` is monotonic seconds, `draw` a number in [0, 1)."""

    def __init__(
        self, clock: Callable[[], float], draw: Callable[[], float], *, policy: BreakerPolicy | None = None
    ) -> None:
        self.hooks: list[Hook] = []
        self._clock = clock
        self._draw = draw
        self._policy = policy or BreakerPolicy()
        self._deployments: dict[int, DeploymentState] = {}
        self._providers: dict[int, ProviderState] = {}

    # ------------------------------------------------------------------------------------------ configuration

    def sync(self, deployments: Iterable[DeploymentSpec], providers: Iterable[ProviderSpec] = ()) -> None:
        """Follows a new table: new limits and thresholds apply at once, what is no longer configured is forgotten."""
        deployments = tuple(deployments)
        wanted = {provider.id: provider for provider in providers}
        wanted.update((deployment.provider.id, deployment.provider) for deployment in deployments)
        for provider_id in self._providers.keys() - wanted.keys():
            del self._providers[provider_id]
        for provider in wanted.values():
            self.provider(provider).sync(provider)
        for deployment_id in self._deployments.keys() - {deployment.id for deployment in deployments}:
            del self._deployments[deployment_id]
        for deployment in deployments:
            state = self.state(deployment)
            state.spec = deployment
            state.provider = self._providers[deployment.provider.id]
            state.breaker.policy = self._policy_of(deployment.provider)
            state.refresh()

    def state(self, deployment: DeploymentSpec) -> DeploymentState:
        """The live state, begun when the deployment is seen for the first time."""
        state = self._deployments.get(deployment.id)
        return state if state is not None else self._begin(deployment)

    def find(self, deployment_id: int) -> DeploymentState | None:
        return self._deployments.get(deployment_id)

    def provider(self, provider: ProviderSpec) -> ProviderState:
        state = self._providers.get(provider.id)
        if state is None:
            state = self._providers[provider.id] = ProviderState(provider)
        return state

    def __iter__(self) -> Iterator[DeploymentState]:
        return iter(tuple(self._deployments.values()))

    # ------------------------------------------------------------------------------------------------ planning

    def candidates(self, deployments: Sequence[DeploymentSpec]) -> tuple[Candidate, ...]:
        now = self._clock()
        states = self._deployments
        try:
            return tuple([states[deployment.id].candidate(deployment, now) for deployment in deployments])
        except KeyError:
            return tuple([self.state(deployment).candidate(deployment, now) for deployment in deployments])

    def bar(self, deployment: DeploymentSpec) -> tuple[str | None, bool]:
        """Asked again just before an attempt: much may have happened since the plan was made."""
        return self.state(deployment).bar(self._clock())

    def pick_credential(self, provider: ProviderSpec) -> CredentialSpec | None:
        """None when all are barred, and for a provider without credentials."""
        return self.provider(provider).credentials.pick(self._clock(), self._draw)

    def slots(self, provider: ProviderSpec) -> Slots:
        return self.provider(provider).slots

    # --------------------------------------------------------------------------------------------------- calls

    def on_start(self, deployment: DeploymentSpec, credential: CredentialSpec | None) -> Flight:
        """Claims the trial when the breaker is HALF_OPEN and has none running. Never refuses."""
        state = self._deployments.get(deployment.id) or self._begin(deployment)
        state.outstanding += 1
        breaker = state.breaker
        permit = breaker.period if breaker.open_until is None else breaker.start(self._clock())
        return Flight(state, None if credential is None else credential.id, permit)

    def on_first_token(self, flight: Flight, seconds: float) -> None:
        """`seconds` from the start of the attempt to its first semantic event; for a complete answer, to headers."""
        if flight.over or flight.first_token_s is not None:
            return
        flight.first_token_s = seconds
        state = flight.state
        now = self._clock()
        average = state.ttft_s
        state.ttft_s = seconds if average is None else average + SMOOTHING * (seconds - average)
        state.ttft_at = now
        flight.permit = state.breaker.answered(flight.permit, now)

    def on_success(self, flight: Flight) -> None:
        if flight.over:
            return
        flight.over = True
        state = flight.state
        state.outstanding -= 1
        state.last_success_at = now = self._clock()
        state.breaker.succeeded(flight.permit, now, answered=flight.first_token_s is not None)
        state.provider.credentials.succeeded(flight.credential_id)
        if state.flagged:
            self._passive_wins(state)

    def on_failure(self, flight: Flight, error: UpstreamError) -> None:
        if flight.over:
            return
        flight.over = True
        state = flight.state
        state.outstanding -= 1
        now = self._clock()
        change = state.provider.credentials.failed(flight.credential_id, error, now)
        if change is not None:
            self._tell(state, change)
        if error.trips_breaker:
            state.breaker.failed(flight.permit, now, error.reason, answered=flight.first_token_s is not None)
        else:
            state.breaker.abandoned(flight.permit)

    def on_cancel(self, flight: Flight) -> None:
        """The client left, or the call ended for a reason of ours: no verdict."""
        if flight.over:
            return
        flight.over = True
        flight.state.outstanding -= 1
        flight.state.breaker.abandoned(flight.permit)

    # ---------------------------------------------------------------------------------------- news from outside

    def set_health(self, deployment_id: int, health: Health) -> None:
        """What probes found. Real answers weigh more: see PASSIVE_WINS_S."""
        state = self._deployments.get(deployment_id)
        if state is None:
            return
        if health == "unhealthy" and self._clock() - state.last_success_at < PASSIVE_WINS_S:
            health = "degraded"
        state.health = health
        state.refresh()

    def set_provider_health(self, provider_id: int, health: Health) -> None:
        provider = self._providers.get(provider_id)
        if provider is None:
            return
        deployments = [state for state in self._deployments.values() if state.provider is provider]
        recent = max((state.last_success_at for state in deployments), default=float("-inf"))
        if health == "unhealthy" and self._clock() - recent < PASSIVE_WINS_S:
            health = "degraded"
        provider.health = health
        for state in deployments:
            state.refresh()

    def probe_passed(self, deployment_id: int) -> None:
        """An OPEN breaker lets one call through as a trial; nothing is closed by a probe."""
        state = self._deployments.get(deployment_id)
        if state is not None:
            state.breaker.probe_passed()

    def set_mark(self, deployment_id: int, mark: Mark | None) -> None:
        state = self._deployments.get(deployment_id)
        if state is not None:
            state.mark = mark
            state.refresh()

    # ------------------------------------------------------------------------------------------------ operators

    def hold_open(self, deployment_id: int) -> bool:
        """These three return False when there is no such deployment here."""
        return self._operate(deployment_id, Breaker.hold_open)

    def force_close(self, deployment_id: int) -> bool:
        return self._operate(deployment_id, Breaker.force_close)

    def reset(self, deployment_id: int) -> bool:
        return self._operate(deployment_id, Breaker.reset)

    # ------------------------------------------------------------------------------------------------- innards

    def _operate(self, deployment_id: int, action: Callable[[Breaker, float], None]) -> bool:
        state = self._deployments.get(deployment_id)
        if state is None:
            return False
        action(state.breaker, self._clock())
        state.refresh()
        return True

    def _begin(self, deployment: DeploymentSpec) -> DeploymentState:
        breaker = Breaker(self._policy_of(deployment.provider), draw=self._draw)
        state = DeploymentState(deployment, self.provider(deployment.provider), breaker)
        breaker.on_change = lambda change: self._tell(state, change)
        self._deployments[deployment.id] = state
        return state

    def _policy_of(self, provider: ProviderSpec) -> BreakerPolicy:
        """One shared value where the provider has the defaults."""
        policy = self._policy
        if (provider.breaker_threshold, provider.breaker_timeout_s) == (policy.threshold, policy.timeout_s):
            return policy
        return replace(policy, threshold=provider.breaker_threshold, timeout_s=provider.breaker_timeout_s)

    def _passive_wins(self, state: DeploymentState) -> None:
        if state.health == "unhealthy":
            state.health = "degraded"
        if state.provider.health == "unhealthy":
            self.set_provider_health(state.provider.spec.id, "degraded")
        state.refresh()

    def _tell(self, state: DeploymentState, change: BreakerChange | CredentialChange) -> None:
        spec = state.spec
        event = UpstreamEvent(spec.provider.id, spec.provider.name, spec.id, spec.name, change)
        for hook in self.hooks:
            hook(event)
