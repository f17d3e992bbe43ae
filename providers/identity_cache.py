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
        self._known: dict[int, Value] = {}
        self._keys: list[Key] = []
        """Kept as well, so that no key's identity can pass to another object meanwhile."""

    def get(self, key: Key) -> Value:
        try:
            return self._known[id(key)]
        except KeyError:
            return self._add(key)

    def _add(self, key: Key) -> Value:
        value = self._make(key)
        if len(self._known) >= self._size:
            self.clear()
        self._keys.append(key)
        self._known[id(key)] = value
        return value

    def clear(self) -> None:
        self._known.clear()
        self._keys.clear()
