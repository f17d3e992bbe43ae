"""What follows from a configured value alone, worked out once. Pure.

Specs are large frozen values: hashing one costs more than most of what is derived from it, so they are told apart by
identity. A new routing table has new specs; what belonged to old ones is dropped when there is too much of it.
"""

from collections.abc import Callable
from typing import Generic, TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class IdentityCache(Generic[Key, Value]):
    """`make` derives the value; at most `size` of them are kept."""

    def __init__(self, make: Callable[[Key], Value], *, size: int = 1024) -> None:
        self._make = make
        self._size = size
        self._known: dict[int, tuple[Key, Value]] = {}

    def get(self, key: Key) -> Value:
        known = self._known.get(id(key))
        # The key is kept as well, so its identity cannot pass to another object meanwhile.
        if known is not None and known[0] is key:
            return known[1]
        value = self._make(key)
        if len(self._known) >= self._size:
            self._known.clear()
        self._known[id(key)] = (key, value)
        return value

    def clear(self) -> None:
        self._known.clear()
