"""What a server does that is asked to end, or to reload, while it still starts."""

import os
import signal
import types
from collections.abc import Iterator
from contextlib import contextmanager

END = (signal.SIGTERM, signal.SIGINT)
_hang_up_before = signal.getsignal(signal.SIGHUP)


def end_at_once() -> None:
    """Until the server takes over the signals, which it does when there is something to drain. Not by an exception: it may
    come up anywhere in an import, and be lost there. What is begun in the database is undone by the database."""
    for number in END:
        signal.signal(number, _end)


def _end(signum: int, frame: types.FrameType | None) -> None:
    os._exit(0)


def reload_never() -> None:
    """What starts now reads all there is to reload anyway."""
    signal.signal(signal.SIGHUP, signal.SIG_IGN)


def hang_up_as_before() -> None:
    """For a server that cannot reload."""
    signal.signal(signal.SIGHUP, _hang_up_before)


@contextmanager
def asked_later() -> Iterator[None]:
    """What is asked meanwhile is done afterwards. Children born in here are never asked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, END)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, END)
