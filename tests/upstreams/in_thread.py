"""What lives in an event loop, for tests that do not."""

import asyncio
import contextlib
import threading
from collections.abc import Iterator


@contextlib.contextmanager
def in_thread(server: contextlib.AbstractAsyncContextManager[object]) -> Iterator[None]:
    """Entered, and left at the end, in a loop of its own in a thread. Call nothing async of it from the test."""
    loop, started, stop = asyncio.new_event_loop(), threading.Event(), asyncio.Event()

    async def live() -> None:
        async with server:
            started.set()
            await stop.wait()

    def run() -> None:
        loop.run_until_complete(live())
        loop.close()

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    assert started.wait(10), f"{type(server).__name__} did not start"
    try:
        yield
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join(10)
