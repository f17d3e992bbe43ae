"""What one worker knows about its upstreams right now, keyed by ids, so that it outlives every rebuild of the table.

Per deployment: breaker, time to first token, calls running, outcomes of the last 30 s, health.
Per provider: concurrency slots and the credentials' cool-downs. Nothing here knows Prometheus, Redis or Django: whoever
wants to hear of changes appends a callable to `hooks`.

A call: `on_start` → (`on_first_token`) → one of `on_success`, `on_failure`, `on_cancel`. What comes after the
first of the last three is ignored, so a `finally: on_cancel(flight)` is safe.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeAlias

from monitoring.breaker import Breaker, BreakerChange, BreakerPolicy, SharedBreaker
from monitoring.credential_state import OUT_OF_QUOTA, REJECTED, CredentialChange
from monitoring.deployment_state import (
    Candidate,
    DeploymentState,
    Flight,
    Health,
    ProviderState,
    UpstreamEvent,
    UpstreamSnapshot,
)
from monitoring.slots import Slots
from providers.errors import UpstreamError
from providers.specs import CredentialSpec, DeploymentSpec, ProviderSpec

Hook: TypeAlias = Callable[[UpstreamEvent], None]

USUAL_POLICY = BreakerPolicy()
PASSIVE_WINS_S = 30.0
"""A deployment that answered a real call within this time is not unhealthy, whatever a probe says."""


class UpstreamStates:
    """`clock` is monotonic seconds, `draw` a number in [0, 1)."""

    def __init__(self, clock: Callable[[], float], draw: Callable[[], float]) -> None:
        self.hooks: list[Hook] = []
        self._clock = clock
        self._draw = draw
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
            state.belong_to(self._providers[deployment.provider.id])
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

    def candidates(self, deployments: Sequence[DeploymentSpec], *, stream: bool = True) -> tuple[Candidate, ...]:
        """The pool as it stands now; `stream` chooses which of the two times is compared."""
        now = self._clock()
        states = self._deployments
        # A loop of its own: a comprehension would be a function that is made for each call.
        found = []
        for deployment in deployments:
            state = states.get(deployment.id) or self._begin(deployment)
            found.append(state.candidate(deployment, now, stream))
        return tuple(found)

    def bar(self, deployment: DeploymentSpec) -> tuple[str | None, bool]:
        """Asked again just before an attempt: much may have happened since the plan was made."""
        return self.state(deployment).bar(self._clock())

    def told(self, deployment: DeploymentSpec, bar: str) -> str:
        """A bar as a client and the request's record are told of it: of what was refused also until when it rests."""
        if bar not in (REJECTED, OUT_OF_QUOTA):
            return bar
        left_s = self.provider(deployment.provider).credentials.usable_at - self._clock()
        return f"{bar}, next try in {max(1, -int(-left_s // 1))} s"

    def rest_s(self, deployments: Iterable[DeploymentSpec]) -> float | None:
        """Seconds until the first of these has a credential again when all of them wait for one that cools; else None."""
        now = self._clock()
        pools = [self.provider(deployment.provider).credentials for deployment in deployments]
        if not pools or any(pool.bar(now) != "credential_cooling" for pool in pools):
            return None
        return min(pool.free_at for pool in pools) - now

    def pick_credential(self, provider: ProviderSpec) -> CredentialSpec | None:
        """None when all are barred. A provider without credentials has `ANONYMOUS`."""
        state = self._providers.get(provider.id) or self.provider(provider)
        return state.credentials.pick(self._clock(), self._draw)

    def slots(self, provider: ProviderSpec) -> Slots:
        return (self._providers.get(provider.id) or self.provider(provider)).slots

    # --------------------------------------------------------------------------------------------------- calls

    def on_start(self, deployment: DeploymentSpec, credential: CredentialSpec) -> Flight:
        """Claims the trial when the breaker is HALF_OPEN and has none running. Never refuses."""
        state = self._deployments.get(deployment.id) or self._begin(deployment)
        state.outstanding += 1
        breaker = state.breaker
        permit = breaker.period if breaker.open_until is None else breaker.start(self._clock())
        return Flight(state, credential.id, permit)

    def on_first_token(self, flight: Flight, seconds: float, *, stream: bool = True) -> None:
        """`seconds` from the start of the attempt to its first semantic event, or to its whole answer."""
        if flight.over or flight.first_token_s is not None:
            return
        flight.first_token_s = seconds
        state = flight.state
        now = self._clock()
        state.measured(seconds, now, stream=stream)
        flight.permit = state.breaker.answered(flight.permit, now)

    def on_success(self, flight: Flight) -> None:
        if flight.over:
            return
        flight.over = True
        state = flight.state
        state.outstanding -= 1
        state.last_success_at = now = self._clock()
        state.breaker.succeeded(flight.permit, now, answered=flight.first_token_s is not None)
        state.credentials.succeeded(flight.credential_id)
        if state.flagged:
            self._passive_wins(state)

    def on_failure(self, flight: Flight, error: UpstreamError) -> None:
        if flight.over:
            return
        flight.over = True
        state = flight.state
        state.outstanding -= 1
        now = self._clock()
        change = state.credentials.failed(flight.credential_id, error, now)
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

    # ------------------------------------------------------------------------------------------------ operators

    def hold_open(self, deployment_id: int) -> None:
        """These three do nothing when there is no such deployment here."""
        self._operate(deployment_id, Breaker.hold_open)

    def force_close(self, deployment_id: int) -> None:
        self._operate(deployment_id, Breaker.force_close)

    def reset(self, deployment_id: int) -> None:
        self._operate(deployment_id, Breaker.reset)

    # ---------------------------------------------------------------------------------------- status and sharing

    def snapshots(self, epoch_now: float) -> tuple[UpstreamSnapshot, ...]:
        now = self._clock()
        return tuple(state.snapshot(now, epoch_now) for state in self._deployments.values())

    def export_breakers(self, epoch_now: float) -> dict[int, SharedBreaker]:
        """What other workers should know, by deployment id; breakers that never changed are left out."""
        now = self._clock()
        exported = {key: state.breaker.export(now, epoch_now) for key, state in self._deployments.items()}
        return {key: shared for key, shared in exported.items() if shared.version}

    def adopt_breakers(self, theirs: Mapping[int, SharedBreaker], epoch_now: float) -> None:
        """Takes over what other workers know better; ids that are not configured here are ignored."""
        now = self._clock()
        for deployment_id, shared in theirs.items():
            state = self._deployments.get(deployment_id)
            if state is not None and state.breaker.adopt(shared, now, epoch_now):
                state.refresh()

    # ------------------------------------------------------------------------------------------------- innards

    def _operate(self, deployment_id: int, action: Callable[[Breaker, float], None]) -> None:
        state = self._deployments.get(deployment_id)
        if state is not None:
            action(state.breaker, self._clock())
            state.refresh()

    def _begin(self, deployment: DeploymentSpec) -> DeploymentState:
        breaker = Breaker(self._policy_of(deployment.provider), draw=self._draw)
        state = DeploymentState(deployment, self.provider(deployment.provider), breaker)
        breaker.on_change = lambda change: self._tell(state, change)
        self._deployments[deployment.id] = state
        return state

    def _policy_of(self, provider: ProviderSpec) -> BreakerPolicy:
        """One shared value where the provider has the defaults."""
        policy = USUAL_POLICY
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
