from typing import Any

import pytest
from django.conf import settings
from django.db import connection
from django_prometheus.db import execute_total

from proxy_site.databases.postgresql.base import DatabaseWrapper


@pytest.mark.django_db
def test_every_cursor_is_of_one_class_and_counts_its_statements() -> None:
    with connection.cursor() as first, connection.cursor() as second:
        counted = execute_total.labels(connection.alias, connection.vendor)
        before = counted._value.get()
        first.execute("SELECT 1")
        second.execute("SELECT 2")
        assert counted._value.get() == before + 2
        assert type(first.cursor) is type(second.cursor)


def test_every_connection_to_postgresql_makes_cursors_of_one_class() -> None:
    of: dict[str, Any] = {**settings.DATABASES["default"], "NAME": "any", "OPTIONS": {}, "USER": "", "PASSWORD": ""}
    wrapper = DatabaseWrapper({**of, "HOST": "", "PORT": ""}, "default")
    assert wrapper.get_connection_params()["cursor_factory"] is wrapper.get_connection_params()["cursor_factory"]
