"""What all connections of one event loop share: made when it is first asked for, and gone with the loop."""

import asyncio
import weakref
from collections.abc import Callable
from typing import Generic, TypeVar

Shared = TypeVar("Shared")


class PerLoop(Generic[Shared]):
    """`make` takes the loop. What it makes is kept as long as the loop is, so it must not keep the loop."""

    def __init__(self, make: Callable[[asyncio.AbstractEventLoop], Shared]) -> None:
        self._make = make
        self._of: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, Shared] = weakref.WeakKeyDictionary()

    def __call__(self, loop: asyncio.AbstractEventLoop) -> Shared:
        shared = self._of.get(loop)
        if shared is None:
            shared = self._of[loop] = self._make(loop)
        return shared
