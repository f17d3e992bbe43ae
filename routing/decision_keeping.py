"""Which decisions outlive the ring, and the task that writes them: failures, failovers, a sample, and what somebody read.

The hot path only appends to a bounded list; rows are made and written in batches by a thread. What does not fit, or
cannot be written because the database is away, is dropped and counted: decisions explain, they do not account.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Literal, NamedTuple, TypeAlias

from django.db import DatabaseError

from accounts.borrowed_connection import borrowed_connection
from accounts.task_ending import end
from routing.decisions import Decision
from routing.models import RouteDecisionRecord

logger = logging.getLogger("llm_proxy.routing.decision_keeping")

SAMPLE = 0.01
BATCH = 1000
INTERVAL_S = 2.0
RETENTION = timedelta(days=7)
PRUNE_EVERY = 1800
"""In intervals: once an hour."""
UNTOLD = frozenset({"success", "client_gone", "cancelled"})
"""Ends of a lone attempt that need no explanation."""

Why: TypeAlias = Literal["failure", "sample", "asked"]


class Kept(NamedTuple):
    decision: Decision
    why: Why


class DecisionKeeper:
    """`write` runs in a thread and raises `DatabaseError` when it cannot; `draw` is a number in [0, 1)."""

    def __init__(
        self, *, write: Callable[[Sequence[Kept]], None] | None = None, draw: Callable[[], float] = random.random
    ) -> None:
        self.dropped = 0
        self._write = write or write_decisions
        self._draw = draw
        self._waiting: list[Kept] = []
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        self._task = asyncio.create_task(self._run(), name="decision-keeper")

    async def aclose(self) -> None:
        await end(self._task)
        await self._flush()

    def finished(self, decision: Decision) -> None:
        """A request is over."""
        attempts = decision.attempts
        if decision.plans and (len(attempts) != 1 or attempts[0].outcome not in UNTOLD):
            self._add(Kept(decision, "failure"))
        elif self._draw() < SAMPLE and decision.plans:
            self._add(Kept(decision, "sample"))

    def asked_for(self, decision: Decision) -> None:
        """Somebody read it: they may want to show it to others."""
        if decision.attempts:
            self._add(Kept(decision, "asked"))

    def _add(self, kept: Kept) -> None:
        if len(self._waiting) < BATCH:
            self._waiting.append(kept)
        else:
            self.dropped += 1

    async def _run(self) -> None:
        rounds = 0
        while True:
            await asyncio.sleep(INTERVAL_S)
            await self._flush()
            if rounds % PRUNE_EVERY == 0:
                await self._try(prune_decisions)
            rounds += 1

    async def _flush(self) -> None:
        batch, self._waiting = self._waiting, []
        if batch and not await self._try(lambda: self._write(batch)):
            self.dropped += len(batch)

    @staticmethod
    async def _try(work: Callable[[], None]) -> bool:
        try:
            await asyncio.to_thread(borrowed_connection()(work))
        except DatabaseError as error:
            logger.warning("decisions cannot be written: %s", error)
            return False
        return True


def write_decisions(batch: Sequence[Kept]) -> None:
    """Once for each request, however often it is kept."""
    rows = [
        RouteDecisionRecord(
            request_id=decision.request_id,
            tenant=decision.tenant,
            model=decision.model[:200],
            revision=decision.revision,
            kept_for=why,
            decided_at=datetime.fromtimestamp(decision.started_at, UTC),
            decision=decision.render(),
        )
        for decision, why in batch
    ]
    RouteDecisionRecord.objects.bulk_create(rows, batch_size=200, ignore_conflicts=True)


def prune_decisions() -> None:
    RouteDecisionRecord.objects.filter(decided_at__lt=datetime.now(UTC) - RETENTION).delete()
