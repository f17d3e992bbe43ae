"""Stores prompts and answers of those who have it switched on: redacted first, off the hot path, for a limited time.

The hot path hands over what it has anyway; a thread takes secrets and personal data out and writes rows in batches. What
does not fit, or cannot be written because the database is away, is dropped and counted. Calls that nobody was answered
(the client left) are not stored.
"""

import asyncio
import logging
import time
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import orjson
from django.db import DatabaseError

from accounts.borrowed_connection import borrowed_connection
from accounts.header_lines import HeaderLines
from accounts.records import CEILING
from accounts.retention import delete_in_portions
from accounts.task_ending import end
from providers.dialects.openai_chat.usage import read_usage, write_usage
from providers.types import JsonObject, Operation
from routing.call import Call
from routing.errors import ClientFacing, error_body
from routing.models import PayloadRecord
from routing.recording import FrameKeeper
from routing.redaction import redact_json
from routing.replay import assemble

logger = logging.getLogger("llm_proxy.routing.payload_log")

LARGEST_BYTES = 1024 * 1024
"""Of a request or an answer; what is larger is recorded without its text."""
WAITING_BYTES = 64 * 1024 * 1024
BATCH = 500
INTERVAL_S = 1.0


class Payload(NamedTuple):
    """`request` is never changed by anybody; `response` a JSON body, or a stream's frames. `size` bytes are held by both:
    what the call goes on with may be a smaller request."""

    call: Call
    request: JsonObject
    size: int
    status: int
    response: bytes
    streamed: bool
    at: float


def concerns(call: Call) -> bool:
    """Whether this call is to be stored. Asked for every request."""
    mine = call.principal.payload_logging
    return call.table.policy.payload_logging.enabled if mine is None else mine


class PayloadLog:
    """`write` runs in a thread and raises `DatabaseError` when it cannot."""

    def __init__(
        self, *, write: Callable[[Sequence[Payload]], None] | None = None, interval_s: float = INTERVAL_S
    ) -> None:
        self.dropped = 0
        self._write = write or write_payloads
        self._interval_s = interval_s
        self._waiting: list[Payload] = []
        self._bytes = 0
        self._task: asyncio.Task[None] | None = None

    def listen(self, call: Call) -> None:
        """From now on, what the client of this call is answered is noted too."""
        call.sink = PayloadRecorder(call, self.add)

    def add(self, payload: Payload) -> None:
        if self._bytes + payload.size > WAITING_BYTES:
            self.dropped += 1
            return
        self._bytes += payload.size
        self._waiting.append(payload)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="payload-log")

    async def aclose(self) -> None:
        await end(self._task)
        await self._flush()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(self._interval_s)
            await self._flush()

    async def _flush(self) -> None:
        waiting, self._waiting, self._bytes = self._waiting, [], 0
        for start in range(0, len(waiting), BATCH):
            batch = waiting[start : start + BATCH]
            try:
                await asyncio.to_thread(borrowed_connection()(self._write), batch)
            except DatabaseError as error:
                self.dropped += len(batch)
                logger.warning("prompts and answers cannot be stored: %s", type(error).__name__)
            except Exception:
                # A mistake in one batch must not end the storing of all later ones.
                self.dropped += len(batch)
                logger.exception("prompts and answers could not be stored")


class PayloadRecorder(FrameKeeper):
    def __init__(self, call: Call, add: Callable[[Payload], None]) -> None:
        super().__init__(call.sink)
        self._call = call
        self._request = call.request.body
        self._request_bytes = call.request.size_bytes
        self._add = add

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        self._note(status, body)
        await self._inner.reply(status, body, headers)

    async def finish(self, frames: bytes = b"") -> None:
        self._keep(frames)
        self._note(200, b"".join(self._frames or ()), streamed=True)
        await self._inner.finish(frames)

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        self._note(error.status, orjson.dumps(error_body(error)))
        await self._inner.fail(error, headers)

    def _note(self, status: int, response: bytes, *, streamed: bool = False) -> None:
        if len(response) > LARGEST_BYTES:
            response = b""
        self._add(
            Payload(
                call=self._call,
                request=self._request,
                size=self._request_bytes + len(response) + 1000,
                status=status,
                response=response,
                streamed=streamed,
                at=time.time(),
            )
        )


# ----------------------------------------------------------------------------------------------- in the thread


def write_payloads(batch: Sequence[Payload]) -> None:
    PayloadRecord.objects.bulk_create([record_of(payload) for payload in batch])


def record_of(payload: Payload) -> PayloadRecord:
    """The row, redacted. Not saved."""
    call = payload.call
    counts: Counter[str] = Counter()
    answer = _answer(payload)
    usage = read_usage(answer.get("usage")) if answer else None
    attempt = call.won.attempt if call.won is not None else None
    principal = call.principal
    return PayloadRecord(
        request_id=call.request_id[:128],
        created_at=datetime.fromtimestamp(payload.at, UTC),
        key_id=principal.key_id,
        key_name=principal.name[:200],
        team_id=principal.team_id,
        team=principal.team[:200],
        model=call.request.model[:256],
        endpoint=call.options.endpoint,
        stream=call.request.stream,
        status=payload.status,
        provider=attempt.deployment.provider.name[:100] if attempt is not None else "",
        upstream_model=attempt.deployment.upstream_model[:256] if attempt is not None else "",
        cache=call.cache,
        # Bounded: one row that no column holds would take the others of its batch with it.
        input_tokens=min(usage.input_tokens, CEILING) if usage is not None else 0,
        output_tokens=min(usage.output_tokens, CEILING) if usage is not None else 0,
        request=_text(redact_json(payload.request, counts)),
        response=_text(redact_json(answer, counts)) if answer else "",
        redactions=counts.total(),
    )


def _answer(payload: Payload) -> Any:
    if not payload.response:
        return None
    if not payload.streamed:
        return orjson.loads(payload.response)
    answer = assemble(payload.response, chat=payload.call.request.operation is Operation.CHAT)
    won = payload.call.won
    if "usage" not in answer and won is not None and won.stream is not None and won.stream.usage is not None:
        answer["usage"] = write_usage(won.stream.usage)
    return answer


def _text(value: Any) -> str:
    """Compact JSON; empty when it is too large. PostgreSQL stores no NUL character, not even an escaped one in JSON
    columns, so this is text."""
    text = orjson.dumps(value)
    return "" if len(text) > LARGEST_BYTES else text.decode()


def delete_old_payloads(*, days: int, now: datetime) -> int:
    """How many went."""
    return delete_in_portions(PayloadRecord.objects.filter(created_at__lt=now - timedelta(days=days)))
