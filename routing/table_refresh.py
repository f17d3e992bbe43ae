"""Keeps one worker's RoutingTable current: polls the revision each second, and at once when told of a change."""

import asyncio
import logging
from collections.abc import Callable
from time import time

from django.db import DatabaseError

from accounts.task_ending import end
from routing.deployment_prices import outdated
from routing.table import EMPTY_TABLE, RoutingTable
from routing.table_loader import poll_revision, poll_table

logger = logging.getLogger("llm_proxy.routing.table_refresh")

POLL_S = 1.0


class TableRefresher:
    """Owns the current table. A database that is away leaves the last good table in force."""

    def __init__(self) -> None:
        self.current: RoutingTable = EMPTY_TABLE
        self.stale = False
        self.on_change: list[Callable[[RoutingTable], None]] = []
        self._nudged = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def open(self) -> None:
        """Loads the first table; raises when the database cannot be read."""
        self._swap(await asyncio.to_thread(poll_table))
        self._task = asyncio.create_task(self._watch(), name="table-refresher")

    async def aclose(self) -> None:
        await end(self._task)

    def nudge(self) -> None:
        """A change was announced: look now."""
        self._nudged.set()

    async def refresh(self) -> None:
        changed = await asyncio.to_thread(poll_revision) != self.current.revision
        if changed or outdated(self.current, time()):
            self._swap(await asyncio.to_thread(poll_table))
        self.stale = False

    def _swap(self, table: RoutingTable) -> None:
        self.current = table
        for listener in self.on_change:
            listener(table)

    async def _watch(self) -> None:
        while True:
            try:
                async with asyncio.timeout(POLL_S):
                    await self._nudged.wait()
            except TimeoutError:
                pass
            self._nudged.clear()
            try:
                await self.refresh()
            except DatabaseError as error:
                if not self.stale:
                    logger.warning("configuration cannot be read, the last one stays in force: %s", error)
                self.stale = True
            except Exception:
                # One unreadable row must not end the refresher; the last good table stays.
                logger.exception("configuration could not be applied, the last one stays in force")
                self.stale = True
