"""Writes breaker changes and put-aside credentials into SQL, off the hot path: a hook fills a bounded queue, a task
empties it twice a second."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from django.db import DatabaseError, transaction

from accounts.borrowed_connection import borrowed_connection
from accounts.by_halves import write_by_halves
from monitoring.breaker import BreakerChange
from monitoring.deployment_state import UpstreamEvent
from monitoring.models import BreakerEvent, UpstreamEventKind
from monitoring.upstream_state import UpstreamStates

logger = logging.getLogger("llm_proxy.monitoring.event_recorder")

WRITE_EVERY_S = 0.5
KEPT_WHILE_SQL_IS_DOWN = 5000


@borrowed_connection()
def write_rows(rows: Sequence[BreakerEvent]) -> None:
    with transaction.atomic():
        write_by_halves(rows, _write, _leave_out)


def _write(rows: Sequence[BreakerEvent]) -> int:
    with transaction.atomic():
        return len(BreakerEvent.objects.bulk_create(rows))


def _leave_out(row: BreakerEvent, error: Exception) -> None:
    logger.error("an upstream event cannot be written and is left out: %s", error)


class EventRecorder:
    """`clock` is Unix time. `foreign` says that the change at hand was made by another worker, which records it."""

    def __init__(
        self,
        states: UpstreamStates,
        *,
        clock: Callable[[], float],
        foreign: Callable[[], bool] = lambda: False,
        write: Callable[[Sequence[BreakerEvent]], None] = write_rows,
    ) -> None:
        self._states = states
        self._clock = clock
        self._foreign = foreign
        self._write = write
        self._waiting: deque[BreakerEvent] = deque(maxlen=KEPT_WHILE_SQL_IS_DOWN)
        self._closing = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        self._states.hooks.append(self.note)
        self._task = asyncio.create_task(self._keep_writing(), name="event-recorder")

    async def aclose(self) -> None:
        if self.note in self._states.hooks:
            self._states.hooks.remove(self.note)
        self._closing.set()
        if self._task is not None:
            # Not cancelled: a write that runs in its thread would end unseen.
            await asyncio.gather(self._task, return_exceptions=True)
        await self.flush()

    def note(self, event: UpstreamEvent) -> None:
        if self._foreign():
            return
        change = event.change
        row = BreakerEvent(
            at=datetime.fromtimestamp(self._clock(), UTC),
            provider_id=event.provider_id,
            provider_name=event.provider,
            deployment_id=event.deployment_id,
            deployment_name=event.deployment,
        )
        if isinstance(change, BreakerChange):
            row.kind = UpstreamEventKind.BREAKER
            row.before, row.after = change.before.value, change.after.value
            row.cause, row.for_s = change.cause[:300], change.open_for_s
            logger.warning("breaker of %s: %s → %s, %s", event.deployment, change.before, change.after, change.cause)
        else:
            row.kind = UpstreamEventKind.CREDENTIAL
            row.cause, row.for_s = f"{change.name}: {change.reason}"[:300], change.for_s
            logger.warning(
                "credential %s of %s put aside for %.0f s: %s", change.name, event.provider, change.for_s, change.reason
            )
        self._waiting.append(row)

    async def flush(self) -> None:
        """Writes what is waiting; keeps it when SQL is away."""
        rows = [self._waiting.popleft() for _ in range(len(self._waiting))]
        if not rows:
            return
        try:
            await asyncio.to_thread(self._write, rows)
        except DatabaseError as error:
            logger.warning("upstream events cannot be written yet: %s", error)
            self._waiting.extendleft(reversed(rows))

    async def _keep_writing(self) -> None:
        while not self._closing.is_set():
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(WRITE_EVERY_S):
                    await self._closing.wait()
            await self.flush()
