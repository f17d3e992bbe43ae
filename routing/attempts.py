"""One attempt at one deployment: sent, judged by what comes back, and ended. The walk decides which is next.

An attempt *wins* with a complete answer, or with the first semantic event of a stream; from then on nothing is retried.
Each attempt ends in exactly one of `complete`, `fail` and `abandon`, which give back its slot and judge the upstream.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from email.utils import formatdate

from monitoring.deployment_state import Flight
from monitoring.slots import Slots
from monitoring.upstream_state import UpstreamStates
from providers.adapters import adapter_for
from providers.adapters.base import Adapter, ClientStream, Delivered
from providers.adapters.embedding_parts import join, parts_of, sum_of
from providers.dialects.redaction import conceal
from providers.errors import BadAnswer, UpstreamError, UpstreamTimeout, knowing_the_secret
from providers.specs import CredentialSpec, DeploymentSpec
from providers.transport import Transport, UpstreamResponse
from providers.types import ClientRequest, Operation, Usage
from routing.call import Attempt, Call
from routing.condensation import overflow_by_keyword
from routing.estimation import prompt_tokens
from routing.quoting import fit_to_keep

EMBEDDINGS = Operation.EMBEDDINGS
ANSWER_LIMIT_BYTES = 64 * 1024 * 1024
ERROR_LIMIT_BYTES = 256 * 1024
SLOT_WAIT_S = 1.0
END_OF_BODY_S = 1.0


class CandidateUnusable(Exception):
    """This candidate was not tried at all: its provider is at its concurrency limit, or its credentials are barred."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(slots=True, eq=False)
class Won:
    """The attempt whose answer goes to the client. Exactly one of `delivered` and `stream` is set; a `stream` comes
    with its open `response` and the `frames` that are ready to be sent."""

    attempt: Attempt
    flight: Flight
    slots: Slots
    delivered: Delivered | None = None
    stream: ClientStream | None = None
    response: UpstreamResponse | None = None
    frames: bytes = b""
    over: bool = False


class Attempts:
    """`announce` is told of each attempt before its first byte is sent."""

    def __init__(
        self, *, transport: Transport, states: UpstreamStates, announce: Callable[[Call, Attempt], None]
    ) -> None:
        self._transport = transport
        self._states = states
        self._announce = announce

    async def make(self, call: Call, deployment: DeploymentSpec) -> Won:
        """One attempt at one deployment. Raises `UpstreamError` when it fails and `CandidateUnusable` when it cannot
        be made; the upstream has then been judged and everything given back."""
        provider = deployment.provider
        slots = self._states.slots(provider)
        if not slots.try_acquire() and not await slots.acquire(SLOT_WAIT_S):
            raise CandidateUnusable("saturated")
        credential = self._states.pick_credential(provider)
        if credential is None:
            slots.release()
            pool = self._states.provider(provider).credentials
            raise CandidateUnusable(pool.bar(time.monotonic()) or "no_credential")
        attempts = call.attempts
        attempt = Attempt(len(attempts) + 1, deployment, credential, time.monotonic() - call.started_at)
        attempts.append(attempt)
        won = Won(attempt, self._states.on_start(deployment, credential), slots)
        request = call.request
        try:
            if request.operation is EMBEDDINGS:
                await self._embed(call, won, credential)
            else:
                await self._send(call, won, credential, request)
        except UpstreamError as raised:
            conceal(raised, _sent(attempt))
            error = overflow_by_keyword(raised, call.table.policy.condensation.error_keywords)
            if isinstance(error, UpstreamTimeout) and call.ran_out_of_its_own_time:
                # It wanted its answer sooner than this gateway would have given up: that says nothing about the upstream.
                error = UpstreamTimeout(call.told_too_late, phase=error.phase)
                self.abandon(call, won)
            else:
                self.fail(call, won, error)
            if error is raised:
                raise
            raise error from raised
        except BaseException:
            self.abandon(call, won)
            raise
        attempt.first_token_s = first = time.monotonic() - call.started_at
        self._states.on_first_token(won.flight, first - attempt.started_at, stream=request.stream)
        return won

    async def _send(self, call: Call, won: Won, credential: CredentialSpec, request: ClientRequest) -> None:
        deployment = won.attempt.deployment
        adapter = adapter_for(deployment.provider.kind).serving(request, deployment)
        prepared = adapter.prepare(request, deployment, credential.secret)
        timeout_s = _patience(call, deployment)
        if won.response is None:
            self._announce(call, won.attempt)
        else:
            won.response.close()
        response = await self._transport.send(deployment.provider.endpoint, prepared, timeout_s=timeout_s)
        won.response = response
        won.attempt.status = response.status
        if not 200 <= response.status < 300:
            raise knowing_the_secret(await _refusal(adapter, response, deployment, timeout_s), credential.secret)
        if request.stream:
            won.stream = adapter.open_stream(request, deployment)
            won.frames = await _until_semantic(won.stream, response, timeout_s)
        else:
            body = await response.read(limit=ANSWER_LIMIT_BYTES, timeout_s=timeout_s)
            won.delivered = adapter.read_answer(request, deployment, response.headers, body)

    async def _embed(self, call: Call, won: Won, credential: CredentialSpec) -> None:
        """Asks for as many inputs at a time as the provider takes, one request after the other, since the attempt has one
        slot. Whichever fails, the whole attempt has failed; what the others cost is kept."""
        adapter = adapter_for(won.attempt.deployment.provider.kind)
        answers: list[Delivered] = []
        spent: list[Usage] = []
        try:
            for request in parts_of(call.request, adapter.most_inputs):
                await self._send(call, won, credential, request)
                assert won.delivered is not None
                answers.append(won.delivered)
                spent.append(won.delivered.usage or Usage(input_tokens=prompt_tokens(request)))
        except BaseException:
            won.attempt.spent = sum_of(spent) if spent else None
            raise
        if len(answers) > 1:
            won.delivered = join(answers)

    # -------------------------------------------------------------------------------------------------- endings

    def complete(self, call: Call, won: Won) -> None:
        if self._close(call, won, "success"):
            self._states.on_success(won.flight)

    def fail(self, call: Call, won: Won, error: UpstreamError) -> None:
        if self._close(call, won, error.reason):
            conceal(error, _sent(won.attempt))
            won.attempt.message = fit_to_keep(error.message, call.request.body)
            won.attempt.status = error.upstream_status or won.attempt.status
            self._states.on_failure(won.flight, error)

    def abandon(self, call: Call, won: Won) -> None:
        """Ended for a reason of the client's or ours: no verdict about the upstream."""
        if self._close(call, won, call.interrupted or "cancelled"):
            self._states.on_cancel(won.flight)

    @staticmethod
    def _close(call: Call, won: Won, outcome: str) -> bool:
        if won.over:
            return False
        won.over = True
        if won.response is not None:
            won.response.close()
        won.slots.release()
        won.attempt.outcome = outcome
        won.attempt.duration_s = time.monotonic() - call.started_at - won.attempt.started_at
        call.decision.attempts.append(won.attempt)
        return True


def _sent(attempt: Attempt) -> tuple[str, ...]:
    """What the upstream was sent of our own, and may quote."""
    return attempt.credential.secret, *attempt.deployment.provider.secrets


async def _until_semantic(stream: ClientStream, response: UpstreamResponse, timeout_s: float) -> bytes:
    """Reads until the stream says something (content, a tool call, a finish). Raises what makes failing over right."""
    deadline = time.monotonic() + timeout_s
    pieces: list[bytes] = []
    while True:
        data = await response.chunk(max(deadline - time.monotonic(), 0.001))
        frames = stream.feed(data) if data else stream.close()
        if frames:
            pieces.append(frames)
        if stream.failure is not None and not stream.started:
            raise stream.failure
        if stream.started or stream.ended:
            return pieces[0] if len(pieces) == 1 else b"".join(pieces)
        if not data:
            raise BadAnswer("The provider's stream ended before it said anything.")


async def _refusal(
    adapter: Adapter, response: UpstreamResponse, deployment: DeploymentSpec, timeout_s: float
) -> UpstreamError:
    body = await response.read(limit=ERROR_LIMIT_BYTES, timeout_s=timeout_s)
    # A Retry-After date is relative to the answer's own clock; without one, to ours.
    headers = {"date": formatdate(usegmt=True), **response.headers}
    return adapter.read_error(response.status, headers, body, provider=deployment.provider.name)


def _patience(call: Call, deployment: DeploymentSpec) -> float:
    """How long an upstream may stay silent before it counts as failed: to its first token, or to a whole answer; at most
    what the call has left."""
    provider = deployment.provider
    if not call.request.stream:
        timeout_s = provider.answer_timeout_s
    else:
        timeout_s = provider.reasoning_first_token_timeout_s if deployment.reasoning else provider.first_token_timeout_s
    left_s = call.deadline - time.monotonic()
    return timeout_s if timeout_s <= left_s else max(left_s, 0.001)


async def read_to_end(response: UpstreamResponse) -> None:
    """Takes the end of a body whose last event was already passed on: only then can its connection be used again. An
    upstream that keeps the body open is not waited for."""
    with contextlib.suppress(UpstreamError):
        while await response.chunk(END_OF_BODY_S):
            pass


def idle_timeout(deployment: DeploymentSpec) -> float:
    """How long a stream may be silent once it has begun."""
    provider = deployment.provider
    return provider.reasoning_idle_timeout_s if deployment.reasoning else provider.idle_timeout_s
