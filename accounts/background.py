"""The background tasks of one worker: following changes, draining the journal, renewing leases, replaying orphans."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from time import time

from accounts.authentication import KeyTable
from accounts.budgets import BudgetBook
from accounts.by_halves import write_by_halves
from accounts.journal import Journal, Orphan, orphans, whole_lines
from accounts.key_source import ChangeNote, Changes, KeySource
from accounts.ledger import book, end_leases, sweep_leases
from accounts.models import AccountChange, ApiKey
from accounts.records import AccountsSettings
from accounts.settlements import ledger_rows, replay
from accounts.sql_door import SqlDoor, SqlUnavailable
from accounts.task_ending import end

log = logging.getLogger("llm_proxy.accounts.background")
TICK_S = 1.0
# A revoked key must open no door a second later, and reading what changed takes its time too.
FOLLOW_S = 0.5
DRAIN_S = 0.9
SLOW_TICK_S = 30.0
BATCH = 2_000


class Background:
    def __init__(
        self,
        *,
        worker: str,
        directory: Path,
        journal: Journal,
        keys: KeyTable,
        source: KeySource,
        budgets: BudgetBook,
        lookups: SqlDoor,
        sweep: Callable[[], None],
    ) -> None:
        self._worker = worker
        self._directory = directory
        self._journal = journal
        self._keys = keys
        self._source = source
        self._budgets = budgets
        self._lookups = lookups
        self._writer = SqlDoor(name="ledger", threads=1)
        self._sweep = sweep
        self._settings = AccountsSettings()
        self._tasks: list[asyncio.Task[None]] = []
        self._draining = asyncio.Lock()
        self._last_used_written = time()
        self._full = False

    def configure(self, settings: AccountsSettings) -> None:
        self._settings = settings

    def start(self) -> None:
        self._tasks = [
            asyncio.create_task(self._every(FOLLOW_S, self._follow), name="accounts-follow"),
            asyncio.create_task(self._every(TICK_S, self._renew), name="accounts-renew"),
            asyncio.create_task(self._every(DRAIN_S, self.drain), name="accounts-drain"),
            asyncio.create_task(self._every(SLOW_TICK_S, self._housekeeping, at_once=True), name="accounts-slow"),
        ]

    async def stop(self, *, timeout_s: float) -> bool:
        """Says whether what this worker had leased is given back."""
        given_back = False
        await end(*self._tasks)
        try:
            async with asyncio.timeout(timeout_s):
                await self.drain()
                # Nobody could replay these; of what of them is in the file, a replay finds the rows and makes none.
                if lines := self._journal.unwritten():
                    await self._book(lines)
                await self._budgets.tick(give_all_back=True)
                if self._journal.drained_up:
                    await self._writer.run(lambda: end_leases(worker=self._worker), timeout_s=None)
                    given_back = True
                await self._write_last_used()
        except (SqlUnavailable, TimeoutError):
            log.warning("the database does not answer: what is not booked stays in the journal")
        self._writer.close()
        return given_back

    async def drain(self) -> None:
        """Books everything that was settled before the call. Raises SqlUnavailable."""
        async with self._draining:
            # Not what is settled meanwhile: under load it would run after it in ever smaller batches, at thrice the cost.
            until = self._journal.end()
            while not self._journal.drained_to(until):
                batch = self._journal.read()
                if batch.lines:
                    await self._book(batch.lines)
                self._journal.drained(batch)

    async def _book(self, lines: Sequence[bytes]) -> None:
        """Without a deadline: the outcome must be known before the position moves."""
        await self._writer.run(lambda: book_or_set_aside(lines, self._directory), timeout_s=None)

    async def _every(self, seconds: float, work: Callable[[], Awaitable[None]], *, at_once: bool = False) -> None:
        if not at_once:
            await asyncio.sleep(seconds)
        while True:
            try:
                await work()
            except SqlUnavailable:
                pass  # the door has said so, once
            except Exception:
                # A mistake in one round must not end all later ones: an undrained journal ends in refused calls.
                log.exception("a background task failed and goes on")
            await asyncio.sleep(seconds)

    async def _follow(self) -> None:
        self._say_whether_full()
        note = await self._lookups.run(
            self._source.changes, timeout_s=self._settings.sql_timeout_s, late=self._to_reread
        )
        asked = self._to_reread(note)
        rows = await self._lookups.run(lambda: self._source.read(asked), timeout_s=None) if asked else {}
        changed = bool(note.keys or note.teams or note.everybody)
        self._keys.apply(Changes(any=changed, asked=asked, rows=rows))
        self._sweep()

    def _say_whether_full(self) -> None:
        """Once for each change."""
        if self._journal.full == self._full:
            return
        self._full = not self._full
        if self._full:
            log.error("the journal in %s is full, or its disk is: calls are refused", self._directory)
        else:
            log.warning("the journal has room again: calls are served")

    def _to_reread(self, note: ChangeNote) -> tuple[str, ...]:
        return self._keys.to_reread(set(note.keys), set(note.teams), note.everybody)

    async def _renew(self) -> None:
        await self._budgets.tick()

    async def _housekeeping(self) -> None:
        await self._writer.run(lambda: replay_orphans(self._directory), timeout_s=None)
        await self._writer.run(lambda: _tidy(self._settings.lease_grace_s), timeout_s=None)
        await self._write_last_used()

    async def _write_last_used(self) -> None:
        now = time()
        used = self._keys.last_used(self._last_used_written)
        if used:
            await self._writer.run(lambda: _store_last_used(used), timeout_s=None)
        self._last_used_written = now


def book_or_set_aside(lines: Sequence[bytes], directory: Path) -> int:
    """Books `s` lines; those that are damaged, or that SQL cannot hold at all, go into `rejected.jsonl`."""

    def set_aside(line: bytes, error: Exception) -> None:
        log.error("a call cannot be booked (%s); it is kept in %s", type(error).__name__, directory / "rejected.jsonl")
        with (directory / "rejected.jsonl").open("a", encoding="utf-8") as file:
            file.write(json.dumps(line.decode("utf-8", "replace")) + "\n")

    return write_by_halves(lines, lambda some: book(ledger_rows(some)), set_aside)


def replay_orphans(directory: Path) -> int:
    """Books the journals of workers that are gone and takes their leases back; returns how many rows were new."""
    rows = 0
    for orphan in orphans(directory):
        try:
            rows += _replay(orphan)
        finally:
            orphan.close()
    return rows


def _replay(orphan: Orphan) -> int:
    lines = [line for path in orphan.paths() for line in whole_lines(path.read_bytes())]
    calls, damaged = replay(lines)
    rows = sum(
        book_or_set_aside(calls[start : start + BATCH], orphan.directory) for start in range(0, len(calls), BATCH)
    )
    end_leases(worker=orphan.worker)
    orphan.delete()
    log.warning(
        "replayed the journal of worker %s: %d calls, %d new rows, %d damaged lines",
        orphan.worker, len(calls), rows, damaged,
    )  # fmt: skip
    return rows


def _tidy(grace_s: float) -> None:
    sweep_leases(grace_s=grace_s)
    # Changes older than this were seen by every worker that is alive.
    AccountChange.objects.filter(created_at__lt=datetime.fromtimestamp(time() - 3600, UTC)).delete()


def _store_last_used(used: dict[int, float]) -> None:
    for key_id, moment in used.items():
        ApiKey.objects.filter(pk=key_id).update_quietly(last_used_at=datetime.fromtimestamp(moment, UTC))
