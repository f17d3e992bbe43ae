"""Tells monitoring of finished calls: from the pipeline's own objects to the plain values of `monitoring.finished_call`."""

import time
from collections.abc import Callable, Sequence

from accounts.errors import AccessDenied
from accounts.records import Principal, UsageSource
from monitoring.finished_call import NO_PROVIDER, OTHER, FinishedAttempt, FinishedCall
from providers.types import Usage
from providers.values import blank, quick_tuple
from routing.call import Attempt, Call
from routing.errors import ClientFacing

Observe = Callable[[Sequence[FinishedCall]], None]


class Reports:
    """`observe` is set by composition; nothing is told before that. So is `later`, which calls back a moment later:
    then calls are reported together, several at a time. One by one, each report would find the processor's caches full
    of the call around it, and cost three times as much.
    """

    def __init__(self) -> None:
        self.observe: Observe | None = None
        self.later: Callable[[Callable[[], None]], object] | None = None
        self._ended: list[tuple[list[Attempt], FinishedCall]] = []
        """With the attempts, some of which still end. The calls are let go: with all that was sent, they would wait in the
        processor's caches."""
        self.limited: Callable[[str], None] | None = None
        self.expecting: dict[str, Callable[[FinishedCall], None]] = {}
        """Who waits for one certain call, by request id."""

    def finished(self, call: Call, finished: FinishedCall) -> None:
        if self.observe is None:
            return
        ended = self._ended
        ended.append((call.attempts, finished))
        if self.later is None or self.expecting:
            self.flush()
        elif len(ended) == 1:
            self.later(self.flush)

    def flush(self) -> None:
        """Tells of all that ended since the last time."""
        ended, self._ended = self._ended, []
        for attempts, finished in ended:
            _add_attempts(finished, attempts)
        if self.observe is not None:
            self.observe([finished for _, finished in ended])
        if self.expecting:
            for _, finished in ended:
                if (waiting := self.expecting.get(finished.request_id)) is not None:
                    waiting(finished)

    def refused(
        self, error: ClientFacing, *, request_id: str, endpoint: str, duration_s: float, principal: Principal | None
    ) -> None:
        """A request that reached no provider because something was wrong with it, its key or its allowance."""
        if self.observe is None:
            return
        denied = error if isinstance(error, AccessDenied) else None
        if self.limited is not None and denied is not None and denied.status == 429:
            self.limited(denied.kind)
        finished = FinishedCall(
            request_id=request_id,
            endpoint=endpoint,
            status=error.status,
            ended_at=time.time(),
            duration_s=duration_s,
            model=(denied.model if denied is not None else None) or OTHER,
            error_type=error.code or error.type,
            key_id=principal.key_id if principal is not None else None,
            key_name=principal.name if principal is not None else "",
            team=(principal.team or None) if principal is not None else None,
        )
        self.observe([finished])


def finished_call(
    call: Call,
    last: Attempt | None,
    status: int,
    usage: Usage,
    source: UsageSource,
    cost_nano_usd: int | None,
    error_type: str | None,
    finish_reason: str | None,
) -> FinishedCall:
    """`last` is the attempt that answered, or was made last. Its attempts are added when it is told of: until then they end."""
    principal, request, condensed = call.principal, call.request, call.condensed
    if last is not None:
        deployment = last.deployment
        provider, name, first_token_s = deployment.provider.name, deployment.name, last.first_token_s
    else:
        provider, name, first_token_s = NO_PROVIDER, "", None
    given, made, cached, written, reasoning, _, _, _, _, _, searches = usage
    trace_id, parent_span_id = call.options.trace
    finished = blank(FinishedCall)
    finished.request_id = call.request_id
    finished.endpoint = call.options.endpoint
    finished.status = status
    finished.ended_at = time.time()
    finished.duration_s = time.monotonic() - call.started_at
    finished.provider = provider
    finished.deployment = name
    finished.model = request.model
    finished.stream = request.stream
    finished.error_type = error_type
    finished.input_tokens = given
    finished.output_tokens = made
    finished.cached_tokens = cached
    finished.cache_write_tokens = written
    finished.reasoning_tokens = reasoning
    finished.searches = searches
    finished.cost_nano_usd = cost_nano_usd
    finished.first_token_s = first_token_s
    finished.overhead_s = None
    finished.attempts = ()
    finished.cache = call.cache or None
    finished.condensed = condensed.result if condensed is not None else None
    finished.key_id = principal.key_id
    finished.key_name = principal.name
    finished.team = principal.team or None
    finished.revision = call.table.revision
    finished.finish_reason = finish_reason
    finished.usage_source = source
    finished.trace_id = trace_id
    finished.parent_span_id = parent_span_id
    return finished


def _add_attempts(finished: FinishedCall, attempts: Sequence[Attempt]) -> None:
    """And the time spent here: until the attempt that answered was begun, as far as no other took it, and after its end."""
    made = []
    upstream = 0.0
    for attempt in attempts:
        deployment = attempt.deployment
        # One that still runs is what the client is being answered from.
        running = attempt.outcome == "running"
        upstream += finished.duration_s - attempt.started_at if running else attempt.duration_s
        made.append(
            quick_tuple(
                FinishedAttempt,
                (
                    deployment.provider.name,
                    deployment.name,
                    attempt.outcome,
                    attempt.status,
                    attempt.started_at,
                    attempt.duration_s,
                    attempt.first_token_s,
                ),
            )
        )
    if made:
        finished.attempts = tuple(made)
        overhead = finished.duration_s - upstream
        finished.overhead_s = overhead if overhead > 0.0 else 0.0
