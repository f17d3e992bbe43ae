"""The end of background tasks."""

import asyncio
from collections.abc import Iterable
from typing import Any

AGAIN_S = 0.5


async def end(tasks: Iterable["asyncio.Task[Any]"]) -> None:
    """Cancels tasks until they have ended. Once is not always enough: Redis' client waits with `asyncio.wait_for`, which on
    Python 3.11 loses a cancellation that arrives together with what it waited for; a loop around it would go on for ever,
    and a worker that waits for its loop would never end."""
    all_of_them = tuple(tasks)
    pending = set(all_of_them)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    await asyncio.gather(*all_of_them, return_exceptions=True)
