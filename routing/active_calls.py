"""The calls one worker is answering now, and the one sweep that keeps their promises about time.

A timer per call for its deadline and its keep-alive comments would cost more than the sweep: one pass each 100 ms over
the calls that are running.
"""

import asyncio
import contextlib
import itertools
import time
from collections.abc import Callable

from accounts.task_ending import end
from routing.call import Call

SWEEP_INTERVAL_S = 0.1
PROGRESS_EVERY = 5
"""Sweeps between two notes of what a stream has delivered."""
KEEP_ALIVE_S = 15.0
KEEP_ALIVE = b": keep-alive\n\n"


class ActiveCalls:
    """`progress` is called for each streaming call twice a second."""

    def __init__(self, progress: Callable[[Call], None]) -> None:
        self._progress = progress
        self._calls: set[Call] = set()
        self._comments: set[asyncio.Task[None]] = set()
        self._sweeper: asyncio.Task[None] | None = None
        self.drain_deadline: float | None = None

    def __len__(self) -> int:
        return len(self._calls)

    def open(self) -> None:
        self._sweeper = asyncio.create_task(self._sweep(), name="call-sweeper")

    def add(self, call: Call) -> None:
        self._calls.add(call)

    def discard(self, call: Call) -> None:
        self._calls.discard(call)

    def drain(self, deadline_s: float) -> None:
        """Calls still running after `deadline_s` end with an error event."""
        self.drain_deadline = time.monotonic() + deadline_s

    async def aclose(self) -> None:
        """Waits for what is running, up to the drain deadline, then interrupts the rest and waits for it to end."""
        while self._calls and (self.drain_deadline is None or time.monotonic() < self.drain_deadline + 5):
            await asyncio.sleep(0.05)
        await end(self._sweeper, *self._comments)

    async def _sweep(self) -> None:
        for sweep in itertools.count():
            await asyncio.sleep(SWEEP_INTERVAL_S)
            now = time.monotonic()
            draining_is_over = self.drain_deadline is not None and now >= self.drain_deadline
            for call in tuple(self._calls):
                if call.request.stream and sweep % PROGRESS_EVERY == 0:
                    self._progress(call)
                if draining_is_over:
                    call.interrupt("shutdown")
                elif now >= call.deadline:
                    call.interrupt("deadline")
                elif call.request.stream and call.task is not None and now - call.written_at >= KEEP_ALIVE_S:
                    call.written_at = now
                    self._comment(call)

    def _comment(self, call: Call) -> None:
        task = asyncio.create_task(self._write_comment(call), name="keep-alive-comment")
        self._comments.add(task)
        task.add_done_callback(self._comments.discard)

    @staticmethod
    async def _write_comment(call: Call) -> None:
        # A client that went away is noticed, and dealt with, by the call's own task.
        with contextlib.suppress(OSError):
            if not call.sink.started:
                await call.sink.start(call.head)
            await call.sink.write(KEEP_ALIVE)
