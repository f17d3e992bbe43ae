"""Streams that are read together: what comes faster than two milliseconds apart, while many are passed on.

A read of the socket, with the acknowledgement that it sends, and the write that follows it cost the same for one event and
for ten; of a stream whose events come without a pause they were half of all CPU. So a connection that was read twice within
a moment is not read again before another has passed. Nobody waits who can tell: the first piece of a stream is always
passed on at once, and so is all that comes as slowly as a model writes, or while few streams run and CPU is not short
(docs/adr/0018-streams-read-together.md).
"""

import asyncio
import weakref
from typing import Final, Protocol

from providers.http1.per_loop import PerLoop

REST_S: Final = 0.002
SOON_S: Final = 2 * REST_S
"""What comes within this time after the last piece comes fast: the rest itself, and what the event loop adds to it."""
CROWD: Final = 16
"""With fewer streams at once none rests: each would end later, and the processor be idle meanwhile."""


class Reader(Protocol):
    """Both do nothing to one that is so already, or whose connection is gone."""

    def pause(self) -> None: ...
    def resume(self) -> None: ...


class Gatherer:
    """Which connections of one event loop rest. `streams` is how many are passed on now."""

    __slots__ = ("__weakref__", "_loop", "_resting", "streams")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self._resting: list[Reader] = []
        self.streams = 0

    def rest(self, reader: Reader) -> None:
        """To be called when a piece came `SOON_S` after another at most. One timer stands for all that begin to rest
        while it runs, so a rest may be shorter, and is never longer."""
        if self.streams < CROWD:
            return
        reader.pause()
        self._resting.append(reader)
        if len(self._resting) == 1 and (loop := self._loop()) is not None:
            loop.call_later(REST_S, self._go_on)

    def _go_on(self) -> None:
        resting, self._resting = self._resting, []
        for reader in resting:
            reader.resume()


gatherer_of = PerLoop(Gatherer)
