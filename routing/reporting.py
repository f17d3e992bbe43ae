"""Tells monitoring of finished calls: from the pipeline's own objects to the plain values of `monitoring.finished_call`."""

import time
from collections.abc import Callable

from accounts.errors import AccessDenied
from accounts.records import Principal
from monitoring.finished_call import FinishedAttempt, FinishedCall
from routing.call import Attempt, Call, CallSummary
from routing.errors import ClientFacing

Observe = Callable[[FinishedCall], None]


class Reports:
    """`observe` is set by composition; nothing is told before that. So is `later`, which calls back a moment later:
    then calls are reported together, several at a time. One by one, each report would find the processor's caches full
    of the call around it, and cost three times as much.
    """

    def __init__(self) -> None:
        self.observe: Observe | None = None
        self.later: Callable[[Callable[[], None]], object] | None = None
        self._ended: list[CallSummary] = []
        self.limited: Callable[[str], None] | None = None
        self.expecting: dict[str, Observe] = {}
        """Who waits for one certain call, by request id."""

    def finished(self, summary: CallSummary) -> None:
        if self.observe is None:
            return
        ended = self._ended
        ended.append(summary)
        if self.later is None or self.expecting:
            self.flush()
        elif len(ended) == 1:
            self.later(self.flush)

    def flush(self) -> None:
        """Tells of all that ended since the last time."""
        ended, self._ended = self._ended, []
        if self.observe is not None:
            for summary in ended:
                self._report(summary, self.observe)

    def _report(self, summary: CallSummary, observe: Observe) -> None:
        call, usage = summary.call, summary.usage
        attempts = call.attempts
        last = attempts[-1] if attempts else None
        provider, deployment = (
            (last.deployment.provider.name, last.deployment.name) if last is not None else ("none", "")
        )
        principal = call.principal
        given, made, cached, written, reasoning, _ = usage
        # By position: with a keyword for each of 27 fields it would take three times as long.
        finished = FinishedCall(
            call.request_id,
            call.options.endpoint,
            summary.status,
            summary.ended_at,
            summary.duration_s,
            provider,
            deployment,
            call.request.model,
            call.request.stream,
            summary.error_type,
            given,
            made,
            cached,
            written,
            reasoning,
            summary.cost_nano_usd,
            summary.first_token_s,
            _overhead(call, summary),
            tuple([_attempt(attempt) for attempt in attempts]),
            call.cache or None,
            call.condensed.result if call.condensed is not None else None,
            principal.key_id,
            principal.name,
            principal.team or None,
            call.table.revision,
            summary.finish_reason,
            summary.usage_source,
        )
        observe(finished)
        if self.expecting and (waiting := self.expecting.get(call.request_id)) is not None:
            waiting(finished)

    def refused(
        self, error: ClientFacing, *, request_id: str, endpoint: str, duration_s: float, principal: Principal | None
    ) -> None:
        """A request that reached no provider because something was wrong with it, its key or its allowance."""
        if self.observe is None:
            return
        if self.limited is not None and isinstance(error, AccessDenied) and error.status == 429:
            self.limited(error.kind)
        self.observe(
            FinishedCall(
                request_id=request_id,
                endpoint=endpoint,
                status=error.status,
                ended_at=time.time(),
                duration_s=duration_s,
                error_type=error.code or error.type,
                key_id=principal.key_id if principal is not None else None,
                key_name=principal.name if principal is not None else "",
                team=(principal.team or None) if principal is not None else None,
            )
        )


def _attempt(attempt: Attempt) -> FinishedAttempt:
    deployment = attempt.deployment
    # The class's own constructor costs twice as much.
    return tuple.__new__(
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


def _overhead(call: Call, summary: CallSummary) -> float | None:
    """The time until the attempt that answered was begun, as far as no other attempt took it, and what followed its end."""
    if not call.attempts:
        return None
    upstream = 0.0
    for attempt in call.attempts:
        # One that still runs is what the client is being answered from.
        upstream += summary.duration_s - attempt.started_at if attempt.outcome == "running" else attempt.duration_s
    return max(summary.duration_s - upstream, 0.0)
