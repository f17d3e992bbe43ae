"""Beat goes on with its last schedule while SQL is away, and reads a new one when it is back."""

import datetime

import pytest
from django.conf import settings
from django.db import OperationalError
from django.utils.module_loading import import_string
from django_celery_beat.models import IntervalSchedule, PeriodicTask

from proxy_site.celery import app

pytestmark = pytest.mark.django_db(transaction=True)


def away() -> list[PeriodicTask]:
    raise OperationalError("the connection is lost")


def planned(name: str) -> None:
    interval = IntervalSchedule.objects.create(every=7, period="seconds")
    PeriodicTask.objects.create(name=name, task="tests.note", interval=interval)


@pytest.fixture
def scheduler():
    return import_string(settings.CELERY_BEAT_SCHEDULER.replace(":", "."))(app=app, lazy=True)


def test_a_database_that_is_away_does_not_end_it(scheduler, monkeypatch):
    planned("made before")
    first = dict(scheduler.schedule)
    assert "made before" in first
    scheduler._last_full_sync = datetime.datetime.min
    with monkeypatch.context() as broken:
        broken.setattr(scheduler, "enabled_models", away)
        assert dict(scheduler.schedule) == first
    planned("made meanwhile")
    assert "made meanwhile" in scheduler.schedule


def test_one_that_never_read_anything_ends_and_is_started_again(scheduler, monkeypatch):
    monkeypatch.setattr(scheduler, "enabled_models", away)
    with pytest.raises(OperationalError):
        assert scheduler.schedule
