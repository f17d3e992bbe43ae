"""The schedules a new installation begins with. They live in django-celery-beat's tables and are the admin's from then on.

Written once by a migration: `beat_schedule` in the settings would overwrite what was edited at every restart. A later
change of an interval is followed as long as nobody has edited the row (`follow_settings`).
"""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any, NamedTuple

from django.utils import timezone
from django_celery_beat.models import IntervalSchedule, PeriodicTask

SEEDED = "Seeded: every {every_s} s."


class Schedule(NamedTuple):
    name: str
    task: str
    every_s: int
    at_once: bool = False
    """Due as soon as there is a beat; others are due for the first time after their interval."""


def default_schedules(*, health_check_interval_s: int) -> tuple[Schedule, ...]:
    return (
        Schedule("Check all providers", "monitoring.check_providers", max(health_check_interval_s, 1), at_once=True),
        Schedule("Check providers in trouble", "monitoring.check_troubled", 5),
        Schedule("Roll up health history", "monitoring.roll_up", 300),
        Schedule("Forget old history", "monitoring.forget_old", 3600),
    )


def seed(tasks: Any, intervals: Any, schedules: Iterable[Schedule]) -> None:
    """Adds what is missing, by name. `tasks` and `intervals` are PeriodicTask and IntervalSchedule as a migration has them."""
    for schedule in schedules:
        if tasks.objects.filter(name=schedule.name).exists():
            continue
        interval = _interval(intervals, schedule.every_s)
        before = timezone.now() - timedelta(seconds=schedule.every_s)
        tasks.objects.create(
            name=schedule.name,
            task=schedule.task,
            interval=interval,
            description=SEEDED.format(every_s=schedule.every_s),
            expire_seconds=max(schedule.every_s, 5),
            last_run_at=before if schedule.at_once else None,
        )


def follow_settings(schedules: Iterable[Schedule]) -> None:
    """Moves rows that still are as they were seeded to the interval that the settings ask for now."""
    for schedule in schedules:
        row = PeriodicTask.objects.filter(name=schedule.name).select_related("interval").first()
        if row is None or row.interval is None or row.interval.period != "seconds":
            continue
        untouched = row.description == SEEDED.format(every_s=row.interval.every)
        if untouched and row.interval.every != schedule.every_s:
            row.interval = _interval(IntervalSchedule, schedule.every_s)
            row.description = SEEDED.format(every_s=schedule.every_s)
            row.expire_seconds = max(schedule.every_s, 5)
            row.save()


def _interval(intervals: Any, every_s: int) -> Any:
    # Not get_or_create: nothing keeps two equal intervals from existing.
    return intervals.objects.filter(every=every_s, period="seconds").first() or intervals.objects.create(
        every=every_s, period="seconds"
    )
