"""Counts calls, and answers Prometheus for the whole installation, whichever of its workers is asked.

    metrics = RequestMetrics(MetricStore(data_dir / "metrics", family_name(os.getpid()), gauges=GAUGES))
    metrics.open(); metrics.observe(calls, tallies(calls)) …; metrics.text(); metrics.close()

The `/metrics` view returns `metrics_text()` with `METRICS_CONTENT_TYPE` and needs nothing else. The hot path adds to
plain numbers (see metric_store for why); text is made when somebody asks. Labels come from configuration only: whatever
else a label could be made of is folded to `other` by a vocabulary of bounded size.
"""

import math
from collections.abc import Iterable, Mapping, Sequence

from prometheus_client import REGISTRY as DJANGO_REGISTRY
from prometheus_client import CollectorRegistry, generate_latest, multiprocess, values

from monitoring import metric_names as names
from monitoring.exposition import exposition
from monitoring.finished_call import NO_PROVIDER, NOT_A_FAILURE, OTHER, FinishedAttempt, FinishedCall
from monitoring.metric_store import MetricStore
from monitoring.tally import Tally
from monitoring.upstream_state import UpstreamStates

METRICS_CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"
HEALTH_VALUES = {"healthy": 1.0, "degraded": 0.5, "unhealthy": 0.0, "unknown": math.nan}
KNOWN_STATUSES = frozenset(
    {200, 202, 204, 400, 401, 402, 403, 404, 405, 408, 409, 413, 415, 422, 429, 499, 500, 501, 502, 503, 504, 529}
)


class Vocabulary:
    """The first `limit` words; all others become `other`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._words: set[str] = {OTHER}

    def admit(self, word: str) -> str:
        if word in self._words:
            return word
        if len(self._words) >= self._limit:
            return OTHER
        self._words.add(word)
        return word


class RequestMetrics:
    """One per worker, used by its event loop."""

    def __init__(self, store: MetricStore) -> None:
        self._store = store
        self._providers = Vocabulary(4000)
        self._endpoints = Vocabulary(16)
        self._reasons = Vocabulary(64)
        self._pairs = Vocabulary(500)
        self._plans: dict[tuple[str, str, int], _Plan] = {}
        self._overhead = _histogram(store, names.OVERHEAD, names.OVERHEAD_BUCKETS_S)
        self._sampled: set[tuple[str, ...]] = set()

    def open(self) -> None:
        self._store.open()

    def close(self) -> None:
        self._store.close()

    # ------------------------------------------------------------------------------------------------- the hot path

    def observe(self, calls: Iterable[FinishedCall], tallies: Iterable[Tally]) -> None:
        """`tallies` are of these calls."""
        for tally in tallies:
            self._add_up(tally)
        for call in calls:
            attempts = call.attempts
            if len(attempts) != 1 or attempts[0].outcome not in NOT_A_FAILURE:
                self._attempts(call)
            if call.cache is not None:
                self.count(names.CACHE, call.cache)
            if call.condensed is not None:
                self.count(names.CONDENSATIONS, call.condensed)

    def _add_up(self, tally: Tally) -> None:
        plan = self._plans.get((tally.provider, tally.endpoint, tally.status)) or self._plan(tally)
        numbers = self._store.numbers
        numbers[plan.requests] += tally.calls
        _add(numbers, plan.duration, tally.durations, tally.duration_s)
        _add(numbers, plan.response_time, tally.first_tokens, tally.first_token_s)
        _add(numbers, self._overhead, tally.overheads, tally.overhead_s)
        numbers[plan.input] += tally.input
        numbers[plan.output] += tally.output
        numbers[plan.cached] += tally.cached
        numbers[plan.reasoning] += tally.reasoning
        numbers[plan.cost] += tally.cost_nano_usd / 1e9

    def limited(self, kind: str) -> None:
        """A limit refused a call; `kind` is requests, tokens, concurrency, budget …"""
        self.count(names.LIMITED, kind)

    def count(self, metric: str, label: str) -> None:
        """One more of a counter with a single label whose words are few."""
        slot = self._store.slot(metric, self._reasons.admit(label))
        self._store.numbers[slot] += 1

    def _attempts(self, call: FinishedCall) -> None:
        """Each failed attempt is an error of its provider, and what came after it a retry, perhaps a failover."""
        attempts = call.attempts
        if not attempts and call.error_type is not None:
            self._add(names.ERRORS, NO_PROVIDER, self._reasons.admit(call.error_type))
        for position, attempt in enumerate(attempts):
            if attempt.outcome in NOT_A_FAILURE:
                continue
            provider, reason = self._providers.admit(attempt.provider), self._reasons.admit(attempt.outcome)
            self._add(names.ERRORS, provider, reason)
            if position + 1 < len(attempts):
                self._add(names.RETRIES, provider, reason)
                self._failover(attempt, attempts[position + 1])

    def _failover(self, failed: FinishedAttempt, following: FinishedAttempt) -> None:
        if failed.provider == following.provider:
            return
        pair = f"{self._providers.admit(failed.provider)}\n{self._providers.admit(following.provider)}"
        admitted = self._pairs.admit(pair)
        source, _, target = (admitted if admitted is pair else f"{OTHER}\n{OTHER}").partition("\n")
        self._add(names.FAILOVERS, source, target)

    def _add(self, *key: str) -> None:
        slot = self._store.slot(*key)
        self._store.numbers[slot] += 1

    def _plan(self, tally: Tally) -> "_Plan":
        """Where the numbers of such calls are; made once for each provider, endpoint and status."""
        store = self._store
        provider = self._providers.admit(tally.provider)
        endpoint = self._endpoints.admit(tally.endpoint)
        status = tally.status if tally.status in KNOWN_STATUSES else OTHER
        plan = _Plan(store, provider, endpoint, str(status))
        if len(self._plans) < 20_000:
            self._plans[tally.provider, tally.endpoint, tally.status] = plan
        return plan

    # ------------------------------------------------------------------------------------------------------ gauges

    def sample(
        self, states: UpstreamStates, *, now: float, journal_backlog: int = 0, health_cache_size: int = 0
    ) -> None:
        """Writes down this worker's gauges. `now` is the states' own clock. Call it each second and before `text`, so
        that whichever worker is asked can tell."""
        numbers: dict[tuple[str, ...], float] = {}
        for state in states:
            provider = self._providers.admit(state.provider.spec.name)
            active, breaker = (names.ACTIVE, provider), (names.BREAKER, provider)
            numbers[active] = numbers.get(active, 0.0) + state.outstanding
            gauge = state.breaker.state(now).gauge
            numbers[breaker] = max(numbers.get(breaker, 0.0), gauge)
            numbers[names.HEALTH, provider] = HEALTH_VALUES[state.provider.health]
        # What is no longer configured is no longer shown.
        for gone in self._sampled - numbers.keys():
            self._set(gone, math.nan)
        self._sampled = set(numbers)
        for key, number in numbers.items():
            self._set(key, number)
        self._set((names.BACKLOG,), journal_backlog)
        self._set((names.CACHE_SIZE,), health_cache_size)
        self._store.write_keys()

    def _set(self, key: tuple[str, ...], number: float) -> None:
        slot = self._store.slot(*key)
        self._store.numbers[slot] = number

    # -------------------------------------------------------------------------------------------------------- text

    def text(self) -> bytes:
        """The sum over all workers in Prometheus' text format, version 0.0.4."""
        return exposition(self._store.read())


class _Plan:
    __slots__ = ("cached", "cost", "duration", "input", "output", "reasoning", "requests", "response_time")

    def __init__(self, store: MetricStore, provider: str, endpoint: str, status: str) -> None:
        self.requests = store.slot(names.REQUESTS, provider, endpoint, status)
        self.duration = _histogram(store, names.DURATION, names.LATENCY_BUCKETS_S, provider, endpoint)
        self.response_time = _histogram(store, names.RESPONSE_TIME, names.LATENCY_BUCKETS_S, provider)
        self.input = store.slot(names.TOKENS, provider, "input")
        self.output = store.slot(names.TOKENS, provider, "output")
        self.cached = store.slot(names.TOKENS, provider, "cached")
        self.reasoning = store.slot(names.TOKENS, provider, "reasoning")
        self.cost = store.slot(names.COST, provider)


def _histogram(store: MetricStore, metric: str, buckets: Sequence[float], *labels: str) -> tuple[int, ...]:
    """The places of the buckets (each counts its own, not those below), of what exceeds them all, and of the sum."""
    bounds = [*(repr(bound) for bound in buckets), "+Inf", "sum"]
    return tuple(store.slot(metric, *labels, bound) for bound in bounds)


def _add(numbers: "memoryview[float]", slots: tuple[int, ...], counts: Mapping[int, int], total: float) -> None:
    for bucket, count in counts.items():
        numbers[slots[bucket]] += count
    numbers[slots[-1]] += total


# ------------------------------------------------------------------------------------------------- the /metrics view

_installed: list[RequestMetrics] = []


def install(metrics: RequestMetrics | None) -> None:
    """Makes `metrics` the one that `metrics_text` shows in this process; None takes it away."""
    _installed[:] = [] if metrics is None else [metrics]


def metrics_text() -> bytes:
    """What `/metrics` answers: the gateway's own metrics of all workers, then Django's and the process's.

    With several workers Django's own are summed too if PROMETHEUS_MULTIPROC_DIR was set before they started.
    """
    ours: Iterable[bytes] = [metrics.text() for metrics in _installed]
    return b"".join([*ours, generate_latest(_django_registry())])


def _django_registry() -> CollectorRegistry:
    if not getattr(values.ValueClass, "_multiprocess", False):
        return DJANGO_REGISTRY
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return registry
