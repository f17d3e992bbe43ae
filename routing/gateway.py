"""The pipeline of one call: admit → reserve → plan → attempts → deliver → settle. Both doors (HTTP, WebSocket) use it.

Read next: `routing.walk` for the way from a route to an answer, `routing.attempts` for one try, `routing.settlement` for
what is charged, and `providers.adapters.base` for dialects.
"""

import asyncio
import time
from collections.abc import Awaitable
from functools import partial

from accounts.admission import Accounts, Admission
from accounts.errors import AccessDenied
from accounts.header_lines import HeaderLines
from accounts.records import Principal
from monitoring.upstream_state import UpstreamStates
from providers.adapters.base import ClientStream, Delivered
from providers.dialects.openai_chat.usage import tell_usage
from providers.errors import UpstreamError
from providers.identity_cache import IdentityCache
from providers.transport import Transport
from providers.types import ClientRequest, Operation
from routing.active_calls import ActiveCalls
from routing.answer_store import AnswerStore
from routing.attempts import Attempts, Won, idle_timeout, read_to_end
from routing.call import Call, CallOptions, ClientSink
from routing.condensing import Condensing, gave_up
from routing.decision_keeping import DecisionKeeper
from routing.decisions import Decision, DecisionRing
from routing.deployment_headers import deployment_headers
from routing.errors import DeadlineExceeded, RequestError, ShuttingDown, UnknownModel
from routing.estimation import Estimate, estimate
from routing.failures import failure_headers, forget_frames
from routing.payload_log import PayloadLog
from routing.payload_log import concerns as stores_payload
from routing.response_cache import ResponseCache, concerns
from routing.settlement import Settlement
from routing.streaming import pass_on
from routing.summaries import summarise
from routing.table import Route, RoutingTable
from routing.table_refresh import TableRefresher
from routing.walk import AllFailed, Walk

DONE_FRAME = b"data: [DONE]\n\n"
ONE_ATTEMPT: HeaderLines = b"x-llm-proxy-attempts: 1\r\n"


class Gateway:
    """One per worker. `open` and `aclose` belong to the worker's lifespan."""

    def __init__(
        self,
        *,
        transport: Transport,
        states: UpstreamStates,
        tables: TableRefresher,
        accounts: Accounts,
        answers: AnswerStore | None = None,
    ) -> None:
        self.accounts = accounts
        self.settlement = Settlement(accounts)
        self.active = ActiveCalls(self.settlement.progress)
        self.decisions = DecisionRing()
        self.kept = DecisionKeeper()
        self.draining = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._names = IdentityCache(deployment_headers)
        self._tables = tables
        self._attempts = Attempts(transport=transport, states=states, announce=self.settlement.started)
        self._walk = Walk(attempts=self._attempts, states=states)
        self.cache = ResponseCache(self.settlement, answers)
        self.payloads = PayloadLog()
        self.condensing = Condensing(self._walk, partial(summarise, self.answer))

    @property
    def table(self) -> RoutingTable:
        return self._tables.current

    def open(self) -> None:
        # Who asks for its task without naming it asks the kernel for the process's number each time.
        self._loop = asyncio.get_running_loop()
        self.active.open()
        self.kept.open()

    def drain(self, deadline_s: float) -> None:
        """From now on unready; calls that come all the same are answered."""
        self.draining = True
        self.active.drain(deadline_s)

    async def aclose(self) -> None:
        await self.active.aclose()
        await self.cache.aclose()
        await self.payloads.aclose()
        await self.kept.aclose()

    # ------------------------------------------------------------------------------------------------- one call

    async def answer(
        self,
        request: ClientRequest,
        *,
        request_id: str,
        principal: Principal,
        options: CallOptions,
        sink: ClientSink,
    ) -> None:
        """Answers through `sink`, whatever happens. Raises `AccessDenied` and `RequestError` only before anything was
        sent or spent; the caller writes those."""
        route = self.route(request, principal)
        size = estimate(request)
        likely_input, _, output, answers = size
        try:
            admission = await self.accounts.admit(
                principal, request_id=request_id, tokens=likely_input + (output or 0) * answers
            )
        except AccessDenied as denied:
            denied.model = request.model
            raise
        call = self._begin(request, request_id, admission, route, size, options, sink)
        self.active.add(call)
        self.decisions.add(call.decision)
        unwatch = sink.watch(call.client_gone)
        try:
            await self._way(call)
        except asyncio.CancelledError:
            await self._interrupted(call)
        except AccessDenied as denied:
            denied.model = request.model
            raise
        finally:
            unwatch()
            self.active.discard(call)
            self.settlement.lost(call)
            self.accounts.release(admission)
            self.kept.finished(call.decision)

    def route(self, request: ClientRequest, principal: Principal) -> tuple[RoutingTable, Route]:
        """Where its model leads now. Raises `UnknownModel`, also for one that this key may not use."""
        table = self._tables.current
        route = table.route(request.model)
        if route is None or not principal.allows_model(request.model):
            raise unknown_model(request.model)
        return table, route

    def _begin(
        self,
        request: ClientRequest,
        request_id: str,
        admission: Admission,
        found: tuple[RoutingTable, Route],
        size: Estimate,
        options: CallOptions,
        sink: ClientSink,
    ) -> Call:
        table, route = found
        now = time.monotonic()
        patience = table.policy.request_timeout_s
        if options.timeout_s is not None and options.timeout_s < patience:
            patience = options.timeout_s
        principal = admission.principal
        decision = Decision(request_id, request.model, table.revision, time.time(), principal.tenant)
        # By position: with a keyword for each it would take twice as long.
        return Call(
            request, request_id, principal, admission, table, route, options, size, sink, now, now + patience, now,
            decision, asyncio.current_task(self._loop),
        )  # fmt: skip

    def _way(self, call: Call) -> Awaitable[None]:
        """Through the cache, where it is on."""
        call.head = call.admission.headers + b"x-llm-proxy-revision: %d\r\n" % call.table.revision
        if stores_payload(call):
            self.payloads.listen(call)
        return self.cache.answer(call, self._run) if concerns(call) else self._run(call)

    async def _run(self, call: Call) -> None:
        try:
            if call.principal.budgets:
                await self.settlement.reserve(call)
            begun = self.condensing.recall(call)
            try:
                won = await self._walk.find(call)
            except AllFailed as failed:
                found = self.condensing.helps(call, failed)
                if found is None:
                    raise
                won = await self.condensing.shorten(call, found, failed, begun)
            call.won = won
        except AllFailed as failed:
            gave_up(call)
            self.settlement.failed(call, failed.verdict)
            await call.sink.fail(failed.verdict, self._head(call) + failed.headers)
            return
        try:
            if won.delivered is not None:
                await self._deliver(call, won, won.delivered)
            elif won.stream is not None:
                await self._stream(call, won, won.stream)
        finally:
            if not won.over:
                self._attempts.abandon(call, won)

    def _deliver(self, call: Call, won: Won, delivered: Delivered) -> Awaitable[None]:
        self._attempts.complete(call, won)
        # Booked before it is sent: a client that has its answer has paid for it, whatever happens to this process.
        usage, body = self.settlement.delivered(call, won, delivered), delivered.body
        if delivered.usage is None:
            body = tell_usage(body, usage, of_embeddings=call.request.operation is Operation.EMBEDDINGS)
        return call.sink.reply(200, body, self._head(call))

    async def _stream(self, call: Call, won: Won, stream: ClientStream) -> None:
        """From the first semantic event on: no retry; a failure becomes an error event."""
        sink, response = call.sink, won.response
        assert response is not None
        if not sink.started:
            await sink.start(self._head(call))
        try:
            frames = await pass_on(call, stream, response, won.frames, idle_timeout(won.attempt.deployment))
        except UpstreamError as error:
            self._attempts.fail(call, won, error)
            self.settlement.broken(call, won, error)
            await sink.fail(error)
            forget_frames(error)
            return
        usage = self.settlement.streamed(call, won)
        if call.request.include_usage and stream.usage is None and frames.endswith(DONE_FRAME):
            frames = frames[: -len(DONE_FRAME)] + stream.usage_frame(usage) + DONE_FRAME
        await sink.finish(frames)
        call.answered()
        await read_to_end(response)
        self._attempts.complete(call, won)

    # ----------------------------------------------------------------------------------------------- odd endings

    async def _interrupted(self, call: Call) -> None:
        """Turns a cancellation of ours into what it means; anybody else's goes on."""
        task = asyncio.current_task()
        if call.interrupted is None or task is None:
            self.settlement.interrupted(call, status=499, error=None)
            raise asyncio.CancelledError
        task.uncancel()
        error = _interruption_error(call)
        self.settlement.interrupted(call, status=error.status if error else 499, error=error)
        if error is not None:
            await call.sink.fail(error, self._head(call) + failure_headers(error))

    def _head(self, call: Call) -> HeaderLines:
        """The response headers that tell what happened; complete once an attempt has won or all have failed."""
        if not call.attempts:
            return call.head
        names, attempts = self._names.get(call.attempts[-1].deployment), len(call.attempts)
        return call.head + names + (ONE_ATTEMPT if attempts == 1 else b"x-llm-proxy-attempts: %d\r\n" % attempts)


def _interruption_error(call: Call) -> RequestError | None:
    if call.interrupted == "deadline":
        return DeadlineExceeded(call.told_too_late)
    if call.interrupted == "shutdown":
        return ShuttingDown("The gateway is shutting down and could not finish this request.")
    return None


def unknown_model(name: str) -> UnknownModel:
    return UnknownModel(f"The model '{name[:256]}' does not exist or this key has no access to it.", param="model")
