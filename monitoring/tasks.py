"""Scheduled work as Celery tasks: shells around functions, safe to repeat and to lose."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from celery import shared_task

from monitoring import checks, rollups
from monitoring.checks import CHECK_ALL

_running: dict[str, threading.Lock] = {}


@shared_task(name=CHECK_ALL)
def check_providers() -> int:
    """One round over all providers; how many results there were."""
    with _alone(CHECK_ALL) as first:
        return len(checks.check_all(interval_s=checks.check_interval_s())) if first else 0


@shared_task(name="monitoring.check_troubled")
def check_troubled() -> int:
    with _alone("monitoring.check_troubled") as first:
        return len(checks.check_troubled()) if first else 0


@shared_task(name="monitoring.roll_up")
def roll_up() -> int:
    return rollups.roll_up()


@shared_task(name="monitoring.forget_old")
def forget_old() -> dict[str, int]:
    return rollups.forget_old()


@contextmanager
def _alone(name: str) -> Iterator[bool]:
    """False while an earlier round of this process still runs: a slow round is not joined by the next."""
    lock = _running.setdefault(name, threading.Lock())
    first = lock.acquire(blocking=False)
    try:
        yield first
    finally:
        if first:
            lock.release()
