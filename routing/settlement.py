"""What each end of a call costs and who is told: builds the ledger's records and one summary for metrics, log and pages.

The charge rules are the table of docs/accounting.md, one method each. Only the attempt that answered the client is
charged; the others are recorded as provider cost.
"""

from collections.abc import Awaitable, Sequence

from accounts.admission import Accounts
from accounts.pricing import dearest
from accounts.records import AN_HOUR, CallRecord, RecordFields, UsageSource
from monitoring.finished_call import FinishedCall
from providers.adapters.base import Delivered
from providers.errors import UpstreamError
from providers.specs import DeploymentSpec
from providers.types import Usage
from routing.attempts import Won
from routing.call import Attempt, Call
from routing.errors import ClientFacing
from routing.estimation import (
    count_tokens,
    may_fill_window,
    may_keep_for_an_hour,
    most_input_at,
    most_output_at,
    prompt_tokens,
)
from routing.rates import RateBook
from routing.reporting import Reports, finished_call

NOTHING = Usage()
CLIENT_LEFT = ("client_gone", "cancelled")


class Settlement:
    def __init__(self, accounts: Accounts) -> None:
        self.reports = Reports()
        self._accounts = accounts
        self._rates = RateBook()

    def reserve(self, call: Call) -> Awaitable[None]:
        """Holds the most this call can cost at its dearest candidate, in each budget of its key."""
        _, most_bytes, output, answers = call.estimate
        open_ended = may_fill_window(call.request)
        keeps: bool | None = None
        most, tokens = 0, 0
        known = True
        for deployment in _reachable(call):
            most_input = most_input_at(most_bytes, deployment.context_window, call.request, open_ended=open_ended)
            most_output = answers * most_output_at(output, deployment.max_output_tokens)
            if most_input + most_output > tokens:
                tokens = most_input + most_output
            rates = self._rates.at(deployment.prices, most_input)
            if rates is None:
                known = False
                continue
            if keeps is None and rates[AN_HOUR] is not None:
                keeps = may_keep_for_an_hour(call.request)
            if (cost := dearest(rates, most_input, most_output, keeps is not False)) > most:
                most = cost
        return self._accounts.reserve(call.admission, cost_nano_usd=most, tokens=tokens, unpriced=not known)

    def started(self, call: Call, attempt: Attempt) -> None:
        """Before anything is sent upstream: enough is written down to book the attempt should this process die."""
        deployment, likely_input = attempt.deployment, call.estimate.likely_input
        self._accounts.attempt_started(
            call.admission,
            (
                attempt.number,
                deployment.provider.name,
                deployment.name,
                call.request.model,
                deployment.upstream_model,
                call.options.endpoint,
                call.request.stream,
                likely_input,
                self._rates.at(deployment.prices, likely_input),
                call.table.revision,
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
        usage, source = _told_or_counted(call, answer.usage, answer.text)
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
            usage, source = Usage(input_tokens=prompt_tokens(call.request)), "estimated"
        else:
            usage, source = NOTHING, "estimated"
        self._conclude(call, won=won, status=status, error=error, usage=usage, source=source)

    def lost(self, call: Call) -> None:
        """A mistake of ours ended a call that had reached an upstream: on the record, and free of charge."""
        if call.attempts and not call.concluded:
            call.concluded = True
            last = call.attempts[-1]
            ended = finished_call(call, last, 500, NOTHING, "estimated", 0, None, None)
            self._accounts.settle(call.admission, self._records(call, ended, last))

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
        if won is not None and won.attempt.deployment.always_searches and not usage.searches:
            usage = usage._replace(searches=1)
        # Nothing costs nothing, also where nobody knows the price.
        cost = 0 if last is None or usage is NOTHING else self._rates.cost(usage, last.deployment.prices)
        error_type = None if status == 200 else _error_type(status, error)
        ended = finished_call(call, last, status, usage, source, cost, error_type, finish)
        self._accounts.settle(call.admission, self._records(call, ended, last))
        self.reports.finished(call, ended)

    def _records(self, call: Call, ended: FinishedCall, last: Attempt | None) -> tuple[RecordFields, ...]:
        """One record per attempt; the last one is final and carries usage and cost."""
        if last is None or (len(call.attempts) == 1 and last.spent is None):
            return (_final(call, ended, last),)
        return tuple([self._one_of_several(call, ended, each, last) for each in call.attempts])

    def _one_of_several(self, call: Call, ended: FinishedCall, attempt: Attempt, last: Attempt) -> RecordFields:
        spent = None
        if attempt.spent is not None:
            spent = self._rates.cost(attempt.spent, attempt.deployment.prices)
        return _final(call, ended, attempt, spent) if attempt is last else _failed(call, ended, attempt, spent)


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
    usage = won.stream.usage
    if usage is not None and usage.output_tokens and usage.input_tokens:
        return usage, "provider"
    return _told_or_counted(call, usage, won.stream.delivered_text())


def _told_or_counted(call: Call, usage: Usage | None, text: str) -> tuple[Usage, UsageSource]:
    """Some servers count the prompt alone, and say that what they generated was nothing; or leave out a prompt that they had
    in their cache."""
    if usage is None:
        return _counted(call, text), "counted"
    # By place: a named tuple's field takes ten times as long to read.
    prompt, output = usage[:2]
    if (prompt and (output or not text)) or usage.cost_nano_usd is not None or usage.billed is not None:
        return usage, "provider"
    told = usage._replace(
        input_tokens=prompt or prompt_tokens(call.request), output_tokens=output or count_tokens(text)
    )
    return told, "counted"


def _cut_usage(call: Call, won: Won) -> tuple[Usage, UsageSource]:
    """Of a stream that did not reach its end: what a provider told on the way may leave out what came after it."""
    usage, source = _stream_usage(call, won)
    assert won.stream is not None
    counted = _counted(call, won.stream.delivered_text())
    if usage.output_tokens < counted.output_tokens:
        prompt = usage.input_tokens or counted.input_tokens
        output = counted.output_tokens
        return usage._replace(input_tokens=prompt, output_tokens=output, cost_nano_usd=None, billed=None), "counted"
    return usage, source


def _counted(call: Call, text: str) -> Usage:
    return Usage(input_tokens=prompt_tokens(call.request), output_tokens=count_tokens(text))


def _final(call: Call, ended: FinishedCall, attempt: Attempt | None, spent: int | None = None) -> RecordFields:
    number, provider, name, upstream_model, first_token_ms = 0, "", "", "", None
    if attempt is not None:
        deployment = attempt.deployment
        number, upstream_model = attempt.number, deployment.upstream_model
        provider, name = deployment.provider.name, deployment.name
        if attempt.first_token_s is not None:
            # Of its provider alone: what was waited for others before is theirs.
            first_token_ms = int((attempt.first_token_s - attempt.started_at) * 1000)
    tags, cost = call.options.tags, ended.cost_nano_usd
    # A plain tuple, which is written without being asked for its fields.
    return (
        number,
        ended.status,
        ended.usage_source,
        provider,
        name,
        ended.model,
        upstream_model,
        ended.endpoint,
        ended.stream,
        True,
        ended.error_type or "",
        call.cache,
        ",".join(sorted(tags)) if tags else "",
        ended.revision,
        ended.searches,
        ended.input_tokens,
        ended.output_tokens,
        ended.cached_tokens,
        ended.cache_write_tokens,
        ended.reasoning_tokens,
        cost,
        cost if spent is None or (cost is not None and cost > spent) else spent,
        int(ended.duration_s * 1000),
        first_token_ms,
    )


def _failed(call: Call, ended: FinishedCall, attempt: Attempt, spent: int | None) -> CallRecord:
    """An attempt that did not answer the client: on the record, and free of charge. `spent` nano-USD it cost us, where
    anybody knows."""
    # One that we ended ourselves, such as the slower of two, is no failure of its upstream's.
    status = attempt.status or (499 if attempt.outcome in CLIENT_LEFT else 502)
    return CallRecord._make(_final(call, ended, attempt))._replace(
        status=status,
        final=False,
        searches=0,
        input_tokens=0,
        output_tokens=0,
        cached_tokens=0,
        cache_write_tokens=0,
        reasoning_tokens=0,
        cost_nano_usd=0,
        provider_cost_nano_usd=spent,
        error_code=attempt.outcome,
        duration_ms=int(attempt.duration_s * 1000),
    )
