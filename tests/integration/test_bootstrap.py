"""Whether anything has to be migrated is told by names alone, and never wrongly."""

import pytest
from django.db import connection
from django.db.migrations.executor import MigrationExecutor
from django.db.migrations.recorder import MigrationRecorder

from proxy_site.bootstrap import _all_applied

pytestmark = pytest.mark.django_db


def planned() -> bool:
    executor = MigrationExecutor(connection)
    return bool(executor.migration_plan(executor.loader.graph.leaf_nodes()))


def test_a_migrated_database_needs_nothing():
    assert _all_applied()
    assert not planned()


@pytest.mark.parametrize("app", ["routing", "accounts", "axes", "django_celery_beat"])
def test_a_single_missing_migration_is_noticed(app):
    applied = sorted(name for label, name in MigrationRecorder(connection).applied_migrations() if label == app)
    MigrationRecorder(connection).record_unapplied(app, applied[-1])
    assert planned()
    assert not _all_applied()


def test_a_database_of_a_later_version_needs_nothing():
    MigrationRecorder(connection).record_applied("routing", "9999_from_the_future")
    assert _all_applied()
