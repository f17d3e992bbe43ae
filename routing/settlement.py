"""What each end of a call costs and who is told: builds the ledger's records and one summary for metrics, log and pages.

The charge rules are the table of docs/accounting.md, one method each. Only the attempt that answered the client is
charged; the others are recorded as provider cost.
"""

import time
from collections.abc import Awaitable, Sequence

from accounts.admission import Accounts
from accounts.pricing import cost_nano_usd, dearest
from accounts.records import AttemptIntent, CallRecord, Tokens, UsageSource
from providers.adapters.base import Delivered
from providers.errors import UpstreamError
from providers.specs import DeploymentSpec
from providers.types import Usage
from routing.attempts import Won
from routing.call import Attempt, Call, CallSummary
from routing.errors import ClientFacing
from routing.estimation import DEFAULT_OUTPUT_TOKENS, count_tokens, measured
from routing.rates import RateBook
from routing.reporting import Reports

NOTHING = Usage()
CLIENT_LEFT = ("client_gone", "cancelled")


class Settlement:
    def __init__(self, accounts: Accounts) -> None:
        self.reports = Reports()
        self._accounts = accounts
        self._rates = RateBook()

    def reserve(self, call: Call) -> Awaitable[None]:
        """Holds the most this call can cost at its dearest candidate, in each budget of its key."""
        _, most_input, output = call.estimate
        most, tokens = 0, 0
        known = True
        for deployment in _reachable(call):
            most_output = output if output is not None else deployment.max_output_tokens or DEFAULT_OUTPUT_TOKENS
            if most_input + most_output > tokens:
                tokens = most_input + most_output
            rates = self._rates.at(deployment.prices, most_input)
            if rates is None:
                known = False
            elif (cost := dearest(rates, most_input, most_output)) > most:
                most = cost
        return self._accounts.reserve(call.admission, cost_nano_usd=most if known else None, tokens=tokens)

    def started(self, call: Call, attempt: Attempt) -> None:
        """Before anything is sent upstream: enough is written down to book the attempt should this process die."""
        deployment = attempt.deployment
        self._accounts.attempt_started(
            call.admission,
            tuple.__new__(
                AttemptIntent,
                (
                    attempt.number,
                    deployment.provider.name,
                    deployment.name,
                    call.request.model,
                    deployment.upstream_model,
                    call.options.endpoint,
                    call.request.stream,
                    call.estimate.likely_input,
                    self._rates.at(deployment.prices, call.estimate.likely_input),
                    call.table.revision,
                ),
            ),
        )

    def progress(self, call: Call) -> None:
        """Now and then while a stream runs: what was delivered so far, should this process die before its end."""
        won = call.won
        if won is not None and won.stream is not None and not call.concluded:
            tokens = count_tokens(won.stream.delivered_text())
            self._accounts.delivered(call.admission, attempt=won.attempt.number, output_tokens=tokens)

    # -------------------------------------------------------------------------------------- the ends of a call

    def delivered(self, call: Call, won: Won, answer: Delivered) -> Usage:
        """A complete answer: what the provider counted, or else what we count."""
        usage = answer.usage or _counted(call, answer.text)
        source: UsageSource = "counted" if answer.usage is None else "provider"
        self._conclude(call, won=won, status=200, usage=usage, source=source, finish=answer.finish_reason)
        return usage

    def streamed(self, call: Call, won: Won) -> Usage:
        """A stream that reached its end: as a complete answer."""
        assert won.stream is not None
        usage, source = _stream_usage(call, won)
        self._conclude(call, won=won, status=200, usage=usage, source=source, finish=won.stream.finish_reason)
        return usage

    def cached(self, call: Call) -> None:
        """An answer from the cache: on the record, and free of charge."""
        self._conclude(call, won=None, status=200, usage=NOTHING, source="provider")

    def broken(self, call: Call, won: Won, error: UpstreamError) -> None:
        """A stream that failed after its first token: the prompt and what was delivered."""
        usage, source = _cut_usage(call, won)
        self._conclude(call, won=won, status=error.status, error=error, usage=usage, source=source)

    def failed(self, call: Call, error: ClientFacing) -> None:
        """No attempt answered: free of charge."""
        self._conclude(call, won=None, status=error.status, error=error, usage=NOTHING, source="estimated")

    def interrupted(self, call: Call, *, status: int, error: ClientFacing | None) -> None:
        """Ended by the client or by us: what was delivered; the prompt if the client left while an upstream worked."""
        won = call.won
        usage: Usage
        source: UsageSource
        if won is not None and won.stream is not None:
            usage, source = _cut_usage(call, won)
        elif status == 499 and call.attempts and call.attempts[-1].outcome in CLIENT_LEFT:
            usage, source = Usage(input_tokens=measured(call.request).likely_input), "estimated"
        else:
            usage, source = NOTHING, "estimated"
        self._conclude(call, won=won, status=status, error=error, usage=usage, source=source)

    def lost(self, call: Call) -> None:
        """A mistake of ours ended a call that had reached an upstream: on the record, and free of charge."""
        if call.attempts and not call.concluded:
            call.concluded = True
            summary = _summary(call, None, status=500, usage=NOTHING, source="estimated", cost=0)
            self._accounts.settle(call.admission, _records(summary, call.attempts[-1]))

    # ------------------------------------------------------------------------------------------------- innards

    def _conclude(
        self,
        call: Call,
        *,
        won: Won | None,
        status: int,
        usage: Usage,
        source: UsageSource,
        error: ClientFacing | UpstreamError | None = None,
        finish: str | None = None,
    ) -> None:
        if call.concluded:
            return
        call.concluded = True
        last = won.attempt if won is not None else call.attempts[-1] if call.attempts else None
        cost = self._cost(usage, last.deployment) if last is not None else 0
        summary = _summary(call, last, status=status, usage=usage, source=source, cost=cost, error=error, finish=finish)
        self._accounts.settle(call.admission, _records(summary, last))
        self.reports.finished(summary)

    def _cost(self, usage: Usage, deployment: DeploymentSpec) -> int | None:
        if usage.cost_nano_usd is not None:
            return usage.cost_nano_usd
        rates = self._rates.at(deployment.prices, usage.input_tokens)
        # The fields of a usage are those of tokens, and then what the provider says about the cost.
        return cost_nano_usd(tuple.__new__(Tokens, usage[:5]), rates) if rates is not None else None


def _summary(
    call: Call,
    last: Attempt | None,
    *,
    status: int,
    usage: Usage,
    source: UsageSource,
    cost: int | None,
    error: ClientFacing | UpstreamError | None = None,
    finish: str | None = None,
) -> CallSummary:
    error_type = _error_type(status, error)
    first = last.first_token_s if last is not None else None
    duration_s = time.monotonic() - call.started_at
    return CallSummary(call, status, error_type, usage, source, cost, time.time(), duration_s, first, finish)


def _error_type(status: int, error: ClientFacing | UpstreamError | None) -> str | None:
    """The word for what went wrong, as metrics and the ledger use it."""
    if error is not None:
        return error.code or error.type
    return "client_closed_request" if status == 499 else None


def _reachable(call: Call) -> Sequence[DeploymentSpec]:
    """Every deployment that may answer: the route's, and those of its fallbacks."""
    if not call.route.fallbacks and not call.route.context_fallbacks:
        return call.route.deployments
    found: list[DeploymentSpec] = []
    seen: set[str] = set()
    waiting = [call.route]
    while waiting:
        route = waiting.pop()
        if route.name not in seen:
            seen.add(route.name)
            found.extend(route.deployments)
            names = (*route.fallbacks, *route.context_fallbacks)
            waiting.extend(other for name in names if (other := call.table.route(name)) is not None)
    return found


def _stream_usage(call: Call, won: Won) -> tuple[Usage, UsageSource]:
    assert won.stream is not None
    if won.stream.usage is not None:
        return won.stream.usage, "provider"
    return _counted(call, won.stream.delivered_text()), "counted"


def _cut_usage(call: Call, won: Won) -> tuple[Usage, UsageSource]:
    """Of a stream that did not reach its end: what a provider told on the way may leave out what came after it."""
    usage, source = _stream_usage(call, won)
    if source == "provider":
        assert won.stream is not None
        counted = _counted(call, won.stream.delivered_text())
        if usage.output_tokens < counted.output_tokens:
            prompt = usage.input_tokens or counted.input_tokens
            cut = usage._replace(input_tokens=prompt, output_tokens=counted.output_tokens, cost_nano_usd=None)
            return cut, "counted"
    return usage, source


def _counted(call: Call, text: str) -> Usage:
    return Usage(input_tokens=measured(call.request).likely_input, output_tokens=count_tokens(text))


def _records(summary: CallSummary, last: Attempt | None) -> tuple[CallRecord, ...]:
    """One record per attempt; the last one is final and carries usage and cost."""
    if last is None:
        return (_final(summary, None),)
    attempts = summary.call.attempts
    if len(attempts) == 1:
        return (_final(summary, last),)
    return tuple([_final(summary, each) if each is last else _failed(summary, each) for each in attempts])


def _final(summary: CallSummary, attempt: Attempt | None) -> CallRecord:
    call, usage = summary.call, summary.usage
    request, options = call.request, call.options
    deployment = attempt.deployment if attempt is not None else None
    first = attempt.first_token_s if attempt is not None else None
    # By position: with keywords it would take three times as long.
    return tuple.__new__(
        CallRecord,
        (
            attempt.number if attempt is not None else 0,
            summary.status,
            summary.usage_source,
            deployment.provider.name if deployment else "",
            deployment.name if deployment else "",
            request.model,
            deployment.upstream_model if deployment else "",
            options.endpoint,
            request.stream,
            True,
            *usage[:5],
            summary.cost_nano_usd,
            summary.cost_nano_usd,
            summary.error_type or "",
            int(summary.duration_s * 1000),
            int(first * 1000) if first is not None else None,
            call.cache,
            ",".join(sorted(options.tags)) if options.tags else "",
            call.table.revision,
        ),
    )


def _failed(summary: CallSummary, attempt: Attempt) -> CallRecord:
    """An attempt that did not answer the client: on the record, and free of charge."""
    return _final(summary, attempt)._replace(
        status=attempt.status or 502,
        final=False,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        cost_nano_usd=0,
        provider_cost_nano_usd=None,
        error_code=attempt.outcome,
        duration_ms=int(attempt.duration_s * 1000),
    )
