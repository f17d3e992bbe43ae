"""The end of background tasks."""

import asyncio
from typing import Any

AGAIN_S = 0.5


async def end(*tasks: "asyncio.Task[Any] | None") -> None:
    """Cancels tasks until they have ended; None stands for one that was never begun. Once is not always enough: Redis'
    client waits with `asyncio.wait_for`, which on Python 3.11 loses a cancellation that arrives together with what it waited
    for; a loop around it would go on for ever, and a worker that waits for its loop would never end."""
    begun = [task for task in tasks if task is not None]
    pending = set(begun)
    while pending:
        for task in pending:
            task.cancel()
        _, pending = await asyncio.wait(pending, timeout=AGAIN_S)
    await asyncio.gather(*begun, return_exceptions=True)


def no_news(ended: "asyncio.Future[Any]") -> None:
    """For `add_done_callback`: how it failed was said already, or is found out by who tries again."""
    if not ended.cancelled():
        ended.exception()
