"""Celery worker and beat as threads of the server's process, over the in-memory broker: the embedded default.

    work = EmbeddedWork(); work.start(); …; work.finish()

`WorkController` and `beat.Service` are what Celery's own commands are made of; they are semi-internal, hence the upper
bound on Celery's version and an integration test. Tasks queued in memory are lost at exit, which is harmless: every
task here is due again at its next tick.
"""

import logging
import threading
import time
from collections.abc import Callable
from typing import Any

from celery.beat import Service
from celery.worker import WorkController
from celery.worker import state as worker_state
from django.db import connections
from django_celery_beat.schedulers import DatabaseScheduler

from proxy_site.celery import app

logger = logging.getLogger("llm_proxy.proxy_site.embedded_celery")

TASKS_AT_ONCE = 4
RESTART_AFTER_S = 5.0
FINISH_S = 10.0
BEAT_TICK_S = 1
"""The longest sleep of beat, and so of stopping it."""
CHANGES_EVERY_S = 5.0


class EmbeddedWork:
    """Starts and ends the threads. `beat` False runs tasks but no schedule (another process has it)."""

    def __init__(self, *, beat: bool = True) -> None:
        self._threads: list[_Restarted] = [_WorkerThread("celery-worker")]
        if beat:
            self._threads.append(_BeatThread("celery-beat"))

    def start(self, after: Callable[[], object] = bool) -> None:
        """Returns at once; the schedule begins within a second or two, and not before `after` has returned."""
        threading.Thread(target=self._begin, args=[after], name="celery-start", daemon=True).start()

    def _begin(self, after: Callable[[], object]) -> None:
        # One after the other: two threads that import the same modules at once may see half of them.
        after()
        app.loader.import_default_modules()
        for thread in self._threads:
            thread.start()

    def ask_to_stop(self) -> None:
        """Returns at once: call it when draining begins, and `finish` at its end."""
        for thread in reversed(self._threads):
            thread.ask_to_stop()

    def finish(self) -> None:
        """The process is about to end: running tasks may finish and beat writes down what it has started. A worker
        that only waits for tasks would take two seconds to notice, and ends with the process."""
        self.ask_to_stop()
        until = time.monotonic() + FINISH_S
        while any(thread.busy for thread in self._threads) and time.monotonic() < until:
            time.sleep(0.02)


class _Restarted(threading.Thread):
    """Runs `work` again after a failure: a database that was away must not end scheduled work for good."""

    def __init__(self, name: str) -> None:
        super().__init__(name=name, daemon=True)
        self._stopping = threading.Event()

    def run(self) -> None:
        app.set_current()
        while not self._stopping.is_set():
            try:
                self.work()
            except Exception:
                # Whatever it was, the server goes on serving, and says so here.
                logger.exception("%s failed and starts again in %.0f s", self.name, RESTART_AFTER_S)
            finally:
                connections.close_all()
            if not self._stopping.is_set():
                self._stopping.wait(RESTART_AFTER_S)

    def work(self) -> None:
        raise NotImplementedError

    def ask_to_stop(self) -> None:
        self._stopping.set()

    @property
    def busy(self) -> bool:
        """Whether the process should not end yet."""
        return self.is_alive()


class _WorkerThread(_Restarted):
    def work(self) -> None:
        worker_state.should_stop = None
        worker_state.should_terminate = None
        options: dict[str, Any] = {
            "pool_cls": "threads",
            "concurrency": TASKS_AT_ONCE,
            "hostname": "embedded@localhost",
            "without_heartbeat": True,
            "without_mingle": True,
            "without_gossip": True,
            "task_events": False,
        }
        WorkController(app=app, **options).start()

    def ask_to_stop(self) -> None:
        super().ask_to_stop()
        # The consumer's loop looks at this flag once a second and ends warmly.
        worker_state.should_stop = 0  # type: ignore[assignment]

    @property
    def busy(self) -> bool:
        return self.is_alive() and bool(worker_state.reserved_requests)


class _CalmScheduler(DatabaseScheduler):  # type: ignore[misc] # without types
    """Asks the database for changes of the schedule now and then, not at each tick: that was most of what beat cost. The
    rest was that it wakes 10 ms before a task is due, and then asks without a pause whether it is."""

    _asked_at = -CHANGES_EVERY_S

    def adjust(self, n: float, drift: float = 0.0) -> float:
        return n

    def schedule_changed(self) -> bool:
        now = time.monotonic()
        if now - self._asked_at < CHANGES_EVERY_S:
            return False
        self._asked_at = now
        return bool(super().schedule_changed())


class _BeatThread(_Restarted):
    _service: Service | None = None

    def work(self) -> None:
        self._service = Service(app=app, max_interval=BEAT_TICK_S, scheduler_cls=_CalmScheduler)
        # Remote control needs a broker that other processes reach.
        self._service.remote_control = False  # type: ignore[attr-defined]
        if not self._stopping.is_set():
            self._service.start()

    def ask_to_stop(self) -> None:
        super().ask_to_stop()
        if self._service is not None:
            self._service.stop()
