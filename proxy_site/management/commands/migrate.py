"""`manage.py migrate`: of SQLite, all or nothing; of PostgreSQL, one at a time.

Django notes a migration after it has committed its tables. Who is killed in between leaves tables that no later start can
make, and a first start is most of these moments. PostgreSQL is shared: a job, and each control plane that starts beside it,
would else make the same tables at once, and all but one of them fail.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

from django.core.management.commands import migrate
from django.db import connections, transaction
from django.db.backends.base.base import BaseDatabaseWrapper

_LOCK_NUMBER = 7_256_310_002
"""Of PostgreSQL's advisory locks; `routing.revisions` has another."""


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        database: str = options["database"]
        connection = connections[database]
        if connection.vendor != "sqlite":
            with _turn(connection):
                super().handle(*args, **options)
            return
        # Tables are made anew under others' foreign keys, and SQLite takes no word about these inside of a transaction.
        connection.disable_constraint_checking()
        try:
            with transaction.atomic(using=database):
                super().handle(*args, **options)
        finally:
            connection.enable_constraint_checking()


@contextlib.contextmanager
def _turn(connection: BaseDatabaseWrapper) -> Iterator[None]:
    """What is to be done is read only then. The lock goes with the connection at the latest."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_lock(%s)", [_LOCK_NUMBER])
    try:
        yield
    finally:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_unlock(%s)", [_LOCK_NUMBER])
