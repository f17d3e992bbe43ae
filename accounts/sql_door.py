"""The only way from the event loop to SQL in this app: a few threads, a deadline, and a breaker for a frozen server.

A job that misses its deadline is not stopped (a thread cannot be); the caller gets `SqlUnavailable` and the job's
result, when it comes after all, still goes to its `late` callback. While the breaker is open nothing is queued behind
stuck threads; one probe a second finds out when the server is back.
"""

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from time import monotonic
from typing import TypeVar

from django.db import DatabaseError, InterfaceError, connection

from accounts.borrowed_connection import borrowed_connection
from accounts.outages import Breaker
from accounts.task_ending import no_news

Result = TypeVar("Result")


class SqlUnavailable(Exception):
    """SQL failed, did not answer in time, or is known to be down."""


class SqlDoor:
    """`threads` bounds the connections of one worker that this door uses."""

    def __init__(self, *, name: str, threads: int = 1, on_change: Callable[[bool], None] | None = None) -> None:
        self._executor = ThreadPoolExecutor(threads, thread_name_prefix=f"accounts-{name}")
        self._breaker = Breaker()
        self._on_change = on_change or (lambda _up: None)
        self._stuck = 0
        self._threads = threads

    @property
    def up(self) -> bool:
        return not self._breaker.open

    async def run(
        self, job: Callable[[], Result], *, timeout_s: float | None, late: Callable[[Result], object] | None = None
    ) -> Result:
        """Runs `job` in a thread. Raises SqlUnavailable; a programming error in `job` is raised as it is."""
        if self._stuck >= self._threads or not self._breaker.permits(monotonic()):
            raise SqlUnavailable("the database does not answer")
        future = self._executor.submit(_in_connection, job)
        answer = asyncio.wrap_future(future)
        try:
            result = await asyncio.wait_for(asyncio.shield(answer), timeout_s)
        except TimeoutError:
            # Its caller is told now that the database does not answer.
            answer.add_done_callback(no_news)
            self._missed(future, asyncio.get_running_loop(), late)
            raise SqlUnavailable("the database did not answer in time") from None
        except (DatabaseError, InterfaceError) as error:
            self._failed()
            raise SqlUnavailable(f"the database failed: {type(error).__name__}") from error
        self._succeeded()
        return result

    def close(self) -> None:
        self._executor.shutdown(wait=False, cancel_futures=True)

    def _missed(
        self, future: "Future[Result]", loop: asyncio.AbstractEventLoop, late: Callable[[Result], object] | None
    ) -> None:
        self._failed()
        self._stuck += 1

        def arrived(done: "Future[Result]") -> None:
            self._stuck -= 1
            if done.cancelled() or done.exception() is not None:
                return
            self._succeeded()
            if late is not None:
                late(done.result())

        def hand_over(done: "Future[Result]") -> None:
            if not loop.is_closed():
                loop.call_soon_threadsafe(arrived, done)

        future.add_done_callback(hand_over)

    def _failed(self) -> None:
        if self._breaker.failed(monotonic()):
            self._on_change(False)

    def _succeeded(self) -> None:
        if self._breaker.succeeded():
            self._on_change(True)


def _in_connection(job: Callable[[], Result]) -> Result:
    """Gives the thread's connection back when the job ends, and drops one that broke."""
    with borrowed_connection():
        try:
            return job()
        except (DatabaseError, InterfaceError):
            connection.close()
            raise
