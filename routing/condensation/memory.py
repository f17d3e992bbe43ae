"""Conversations that were shortened before, so that their next turn starts from the short form. Pure: time is given.

A conversation grows at its end. When one was too long, each that begins with it is too long as well; it gets the short
form of that beginning at once, which saves a refused call and, with summaries, a second summary of the same.
"""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from typing import NamedTuple

import orjson

from providers.types import JsonObject

MOST_ENTRIES = 256
MOST_BYTES = 64 * 1024 * 1024
Scope = tuple[object, ...]
"""Whose conversation it is, and all that decides which windows there are for it."""


class _Entry(NamedTuple):
    length: int
    messages: tuple[JsonObject, ...]
    expires_at: float
    size: int


class ConversationMemory:
    """The newest MOST_ENTRIES, as long as their JSON takes MOST_BYTES: an image stays whole in a short form, too. Falsy
    while there are none. `now` is seconds of any steady clock."""

    def __init__(self) -> None:
        self._bytes = 0
        self._entries: OrderedDict[tuple[Scope, bytes], _Entry] = OrderedDict()
        self._lengths: dict[Scope, dict[int, int]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def keep(
        self, scope: Scope, messages: Sequence[JsonObject], short: Sequence[JsonObject], *, ttl_s: float, now: float
    ) -> None:
        if ttl_s <= 0:
            return
        digest = _digests(messages, {len(messages)})[len(messages)]
        self._forget((scope, digest))
        size = sum(len(orjson.dumps(message)) for message in short)
        if size > MOST_BYTES:
            return
        while len(self._entries) >= MOST_ENTRIES or self._bytes + size > MOST_BYTES:
            self._forget(next(iter(self._entries)))
        self._bytes += size
        self._entries[scope, digest] = _Entry(len(messages), tuple(short), now + ttl_s, size)
        lengths = self._lengths.setdefault(scope, {})
        lengths[len(messages)] = lengths.get(len(messages), 0) + 1

    def recall(self, scope: Scope, messages: Sequence[JsonObject], *, now: float) -> list[JsonObject] | None:
        """The conversation with the longest known beginning in its short form."""
        lengths = self._lengths.get(scope)
        if not lengths:
            return None
        wanted = {length for length in lengths if length <= len(messages)}
        for length, digest in sorted(_digests(messages, wanted).items(), reverse=True):
            entry = self._entries.get((scope, digest))
            if entry is None:
                continue
            if entry.expires_at <= now:
                self._forget((scope, digest))
                continue
            self._entries.move_to_end((scope, digest))
            return [*entry.messages, *messages[length:]]
        return None

    def _forget(self, key: tuple[Scope, bytes]) -> None:
        entry = self._entries.pop(key, None)
        if entry is None:
            return
        self._bytes -= entry.size
        lengths = self._lengths[key[0]]
        lengths[entry.length] -= 1
        if not lengths[entry.length]:
            del lengths[entry.length]
        if not lengths:
            del self._lengths[key[0]]


def _digests(messages: Sequence[JsonObject], wanted: set[int]) -> dict[int, bytes]:
    """By number of messages: a digest of so many from the start, for the numbers wanted."""
    state = hashlib.blake2b(digest_size=16)
    found: dict[int, bytes] = {}
    for number, message in enumerate(messages[: max(wanted, default=0)], start=1):
        written = orjson.dumps(message, option=orjson.OPT_SORT_KEYS)
        state.update(len(written).to_bytes(8, "big"))
        state.update(written)
        if number in wanted:
            found[number] = state.copy().digest()
    return found
