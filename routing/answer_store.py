"""Where cached answers are kept: in the worker's memory, or in Redis for all workers.

A store that fails answers that it has nothing: the cache may cost a call, it never costs an answer.
"""

from collections import OrderedDict
from collections.abc import Sequence
from time import monotonic
from typing import Protocol

from routing.cached_answers import CachedAnswer

DEFAULT_BYTES = 128 * 1024 * 1024


class AnswerStore(Protocol):
    async def aclose(self) -> None: ...

    async def get(self, keys: Sequence[bytes]) -> list[CachedAnswer | None]:
        """In the order of the keys; expired ones are not there."""

    def at_hand(self, key: bytes) -> CachedAnswer | None:
        """What can be told without waiting; None says nothing about what `get` will find."""

    async def put(self, answers: Sequence[tuple[bytes, CachedAnswer]], *, ttl_s: float, max_entries: int) -> None:
        """Keeps them for `ttl_s` seconds; beyond `max_entries` the least recently used leave."""

    async def clear(self) -> int:
        """Forgets everything; returns how many answers that were."""


class MemoryAnswerStore:
    """Never suspends. `max_bytes` holds beside `max_entries`."""

    def __init__(self, *, max_bytes: int = DEFAULT_BYTES) -> None:
        self._max_bytes = max_bytes
        self._entries: OrderedDict[bytes, tuple[CachedAnswer, float]] = OrderedDict()
        self.bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    async def aclose(self) -> None:
        """Nothing to do."""

    async def get(self, keys: Sequence[bytes]) -> list[CachedAnswer | None]:
        now = monotonic()
        return [self._get(key, now) for key in keys]

    def at_hand(self, key: bytes) -> CachedAnswer | None:
        return self._get(key, monotonic())

    def _get(self, key: bytes, now: float) -> CachedAnswer | None:
        found = self._entries.get(key)
        if found is None:
            return None
        answer, expires_at = found
        if expires_at <= now:
            self._remove(key)
            return None
        self._entries.move_to_end(key)
        return answer

    async def put(self, answers: Sequence[tuple[bytes, CachedAnswer]], *, ttl_s: float, max_entries: int) -> None:
        expires_at = monotonic() + ttl_s
        for key, answer in answers:
            self._remove(key)
            self._entries[key] = (answer, expires_at)
            self.bytes += answer.size
        while self._entries and (len(self._entries) > max_entries or self.bytes > self._max_bytes):
            self._remove(next(iter(self._entries)))

    async def clear(self) -> int:
        count = len(self._entries)
        self._entries.clear()
        self.bytes = 0
        return count

    def _remove(self, key: bytes) -> None:
        found = self._entries.pop(key, None)
        if found is not None:
            self.bytes -= found[0].size
