"""Bounded concurrency with a bounded, first-come-first-served line. The only part of upstream state that waits.

One event loop, no locks. `try_acquire` never jumps the line: a free slot belongs to whoever waits longest.
"""

import asyncio
from collections import deque


class Slots:
    """`limit` calls run at once, as many more may wait. Each acquired slot is released exactly once."""

    __slots__ = ("_waiting", "in_use", "limit")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.in_use = 0
        self._waiting: deque[asyncio.Future[bool]] = deque()

    @property
    def saturated(self) -> bool:
        """No slot is free and the line is full: whoever comes now is sent elsewhere."""
        return self.in_use >= self.limit and len(self._waiting) >= self.limit

    def try_acquire(self) -> bool:
        if self.in_use >= self.limit or self._waiting:
            return False
        self.in_use += 1
        return True

    async def acquire(self, timeout_s: float) -> bool:
        """Waits at most `timeout_s` for a slot; False when none came in time or the line is full."""
        if self.try_acquire():
            return True
        if timeout_s <= 0 or self.saturated:
            return False
        loop = asyncio.get_running_loop()
        turn: asyncio.Future[bool] = loop.create_future()
        self._waiting.append(turn)
        timer = loop.call_later(timeout_s, self._give_up, turn)
        try:
            return await turn
        except asyncio.CancelledError:
            # The slot may have been handed over in the same tick as the cancellation: it must not be lost.
            if turn.done() and not turn.cancelled() and turn.result():
                self.release()
            elif turn in self._waiting:
                self._waiting.remove(turn)
            raise
        finally:
            timer.cancel()

    def release(self) -> None:
        self.in_use -= 1
        if self._waiting:
            self._admit()

    def resize(self, limit: int) -> None:
        """A smaller limit takes effect as running calls end; a larger one at once."""
        self.limit = limit
        self._admit()

    def _admit(self) -> None:
        while self._waiting and self.in_use < self.limit:
            turn = self._waiting.popleft()
            if not turn.done():
                self.in_use += 1
                turn.set_result(True)

    def _give_up(self, turn: asyncio.Future[bool]) -> None:
        if not turn.done():
            self._waiting.remove(turn)
            turn.set_result(False)
