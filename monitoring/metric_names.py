"""Every metric of the gateway by name, kind, labels and help text, and how the numbers of several workers become one."""

from collections.abc import Callable, Sequence
from typing import Literal, NamedTuple, TypeAlias

Kind: TypeAlias = Literal["counter", "gauge", "histogram"]

LATENCY_BUCKETS_S = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 20.0, 30.0, 60.0, 120.0, 300.0)
OVERHEAD_BUCKETS_S = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0)

REQUESTS = "llm_proxy_requests_total"
ERRORS = "llm_proxy_errors_total"
TOKENS = "llm_proxy_tokens_total"
COST = "llm_proxy_cost_usd_total"
RETRIES = "llm_proxy_retries_total"
FAILOVERS = "llm_proxy_failovers_total"
CACHE = "llm_proxy_cache_total"
CONDENSATIONS = "llm_proxy_condensations_total"
LIMITED = "llm_proxy_limited_total"
DURATION = "llm_proxy_request_duration_seconds"
RESPONSE_TIME = "llm_proxy_response_time_seconds"
OVERHEAD = "llm_proxy_overhead_seconds"
ACTIVE = "llm_proxy_active_connections"
BREAKER = "llm_proxy_circuit_breaker_state"
CACHE_SIZE = "llm_proxy_health_check_cache_size"
HEALTH = "llm_proxy_provider_health"
BACKLOG = "llm_proxy_journal_backlog"


class MetricSpec(NamedTuple):
    """`across` makes one number of those of several workers."""

    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str
    buckets: tuple[float, ...] = ()
    across: Callable[[Sequence[float]], float] = sum


METRICS = (
    MetricSpec(REQUESTS, "counter", ("provider", "endpoint", "status"), "Calls answered, by HTTP status."),
    MetricSpec(ERRORS, "counter", ("provider", "error_type"), "Failed attempts at a provider, and calls that reached none."),
    MetricSpec(TOKENS, "counter", ("provider", "operation"), "Tokens; cached is part of input, reasoning of output."),
    MetricSpec(COST, "counter", ("provider",), "What calls cost, in US dollars, where prices are known."),
    MetricSpec(RETRIES, "counter", ("provider", "reason"), "Attempts made because one at this provider failed."),
    MetricSpec(FAILOVERS, "counter", ("from", "to"), "Calls that moved on to another provider."),
    MetricSpec(CACHE, "counter", ("result",), "Response cache: hit, miss or bypass."),
    MetricSpec(CONDENSATIONS, "counter", ("result",), "Conversations condensed to fit a context window."),
    MetricSpec(LIMITED, "counter", ("kind",), "Calls refused by a limit or a budget."),
    MetricSpec(
        DURATION, "histogram", ("provider", "endpoint"), "Whole calls, from the request to the end of the answer.",
        LATENCY_BUCKETS_S,
    ),
    MetricSpec(RESPONSE_TIME, "histogram", ("provider",), "From an attempt's start to its first token.", LATENCY_BUCKETS_S),
    MetricSpec(OVERHEAD, "histogram", (), "Time spent in the gateway itself, per call.", OVERHEAD_BUCKETS_S),
    MetricSpec(ACTIVE, "gauge", ("provider",), "Calls running at a provider."),
    MetricSpec(
        BREAKER, "gauge", ("provider",), "0 closed, 1 half-open, 2 open: the worst of a provider's deployments.", across=max
    ),
    MetricSpec(CACHE_SIZE, "gauge", (), "Probe results that are still fresh.", across=max),
    MetricSpec(HEALTH, "gauge", ("provider",), "1 healthy, 0.5 degraded, 0 unhealthy; absent while unknown.", across=max),
    MetricSpec(BACKLOG, "gauge", (), "Usage written to the journal and not yet booked in SQL."),
)  # fmt: skip
GAUGES = frozenset(metric.name for metric in METRICS if metric.kind == "gauge")
