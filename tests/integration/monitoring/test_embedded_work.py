"""Celery's worker and beat inside the server's process: what is semi-internal in Celery must not change unnoticed."""

import threading
import time

import pytest
from celery import shared_task
from celery.worker import state as worker_state
from django_celery_beat.models import IntervalSchedule, PeriodicTask, PeriodicTasks

from monitoring.logs import current_request_id
from proxy_site.embedded_celery import BEAT_TICK_S, CHANGES_EVERY_S, EmbeddedWork

pytestmark = pytest.mark.django_db(transaction=True)

seen: list[tuple[str, str]] = []


@shared_task(name="tests.note")
def note(text: str = "scheduled") -> None:
    seen.append((text, current_request_id.get()))


@shared_task(name="tests.slow")
def slow(seconds: float) -> None:
    note("slow begins")
    time.sleep(seconds)
    note("slow ends")


@shared_task(name="tests.fail")
def fail() -> None:
    raise RuntimeError("a task that fails ends itself only")


@pytest.fixture
def work(request):
    seen.clear()
    work = EmbeddedWork(beat=getattr(request, "param", True))
    yield work
    assert stopped(work)


def running() -> set[str]:
    return {"celery-start", "celery-worker", "celery-beat"} & {thread.name for thread in threading.enumerate()}


def stopped(work: EmbeddedWork) -> bool:
    """Whether all of its threads are gone, which no server waits for."""
    for name in ("celery-start", "celery-worker", "celery-beat"):
        work.ask_to_stop()
        for thread in threading.enumerate():
            if thread.name == name:
                thread.join(10.0)
    return not running()


def until(condition, within_s: float = 10.0) -> None:
    deadline = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def schedule(task: str) -> None:
    interval = IntervalSchedule.objects.create(every=1, period="seconds")
    PeriodicTask.objects.create(name=f"test {task}", task=task, interval=interval)
    PeriodicTasks.update_changed()


def test_schedules_of_the_database_run_and_everything_ends_cleanly(work):
    schedule("tests.note")
    work.start()
    until(lambda: len(seen) >= 2)
    assert running() == {"celery-worker", "celery-beat"}
    began = time.monotonic()
    assert stopped(work)
    assert time.monotonic() - began < 5


def test_a_schedule_that_changes_is_followed_by_beat_as_it_runs(work):
    work.start()
    until(lambda: "celery-beat" in running())
    time.sleep(2 * BEAT_TICK_S)
    schedule("tests.note")
    until(lambda: seen, within_s=3 * CHANGES_EVERY_S)


@pytest.mark.parametrize("work", [False], indirect=True)
def test_tasks_run_without_a_schedule_carry_the_request_id_and_survive_a_failing_one(work):
    work.start()
    token = current_request_id.set("req_42")
    fail.delay()
    note.delay("asked for")
    current_request_id.reset(token)
    until(lambda: seen)
    assert seen == [("asked for", "req_42")]


@pytest.mark.parametrize("work", [False], indirect=True)
def test_it_can_be_started_again_after_a_stop(work):
    work.start()
    assert stopped(work)
    again = EmbeddedWork(beat=False)
    again.start()
    note.delay("second life")
    until(lambda: seen)
    assert stopped(again)


def test_an_ending_process_waits_for_a_running_task(work):
    work.start()
    until(lambda: running() == {"celery-worker", "celery-beat"})
    slow.delay(1.5)
    until(lambda: seen)
    work.finish()
    assert [text for text, _ in seen] == ["slow begins", "slow ends"]
    assert not worker_state.reserved_requests


def test_an_ending_process_waits_for_no_idle_worker(work):
    schedule("tests.note")
    work.start()
    until(lambda: len(seen) >= 2)
    work.finish()
    assert running() == {"celery-worker"}
    assert PeriodicTask.objects.get(name="test tests.note").total_run_count >= 2


def test_finishing_what_never_started_is_nothing():
    EmbeddedWork().finish()
