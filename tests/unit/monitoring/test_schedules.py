from importlib import import_module

import pytest
from celery.signals import beat_init
from django.apps import apps
from django_celery_beat.models import IntervalSchedule, PeriodicTask
from django_celery_beat.schedulers import ModelEntry

import monitoring.tasks  # noqa: F401 - registers them
from monitoring.schedules import SEEDED, default_schedules, follow_settings, seed
from proxy_site.celery import app
from routing.intervals import DISCOVERY_NAME
from routing.models import GatewaySettings

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def migrated(db: None) -> None:
    """As a new installation is. A test that committed its rows may have emptied the table."""
    PeriodicTask.objects.all().delete()
    import_module("monitoring.migrations.0002_schedules").forwards(apps, None)


def test_a_new_installation_has_every_schedule_and_each_task_exists():
    rows = {row.name: row for row in PeriodicTask.objects.select_related("interval")}
    for schedule in default_schedules(health_check_interval_s=60):
        assert rows[schedule.name].interval.every == schedule.every_s
        assert schedule.task in app.tasks


def test_a_new_installation_checks_its_providers_at_once_and_does_all_else_when_it_is_due():
    rows = PeriodicTask.objects.filter(name__in=[each.name for each in default_schedules(health_check_interval_s=60)])
    due = {row.name for row in rows if ModelEntry(row, app=app).is_due().is_due}
    assert due == {"Check all providers"}


def test_seeding_again_changes_nothing_that_was_edited():
    row = PeriodicTask.objects.get(name="Check all providers")
    row.enabled = False
    row.interval = IntervalSchedule.objects.create(every=7, period="seconds")
    row.save()
    seed(PeriodicTask, IntervalSchedule, default_schedules(health_check_interval_s=60))
    row.refresh_from_db()
    assert (row.enabled, row.interval.every) == (False, 7)


def test_a_changed_setting_is_followed_until_somebody_edits_the_row():
    follow_settings(default_schedules(health_check_interval_s=20))
    row = PeriodicTask.objects.get(name="Check all providers")
    assert (row.interval.every, row.description) == (20, SEEDED.format(every_s=20))
    row.interval = IntervalSchedule.objects.create(every=7, period="seconds")
    row.save()
    follow_settings(default_schedules(health_check_interval_s=30))
    row.refresh_from_db()
    assert row.interval.every == 7


def test_a_scheduler_that_starts_keeps_the_intervals_of_the_configuration(settings):
    settings.SET_IN_ENVIRONMENT = frozenset()
    GatewaySettings.objects.update_or_create(
        pk=1, defaults={"process": {"health_check_interval": 15, "provider_discovery_interval": 90}}
    )
    import_module("routing.migrations.0003_discovery_schedule").forwards(apps, None)
    beat_init.send(sender=None)
    every = dict(PeriodicTask.objects.values_list("name", "interval__every"))
    assert (every["Check all providers"], every[DISCOVERY_NAME]) == (15, 90)
