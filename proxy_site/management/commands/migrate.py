"""`manage.py migrate`: of SQLite, all or nothing.

Django notes a migration after it has committed its tables. Who is killed in between leaves tables that no later start can
make, and a first start is most of these moments.
"""

from typing import Any

from django.core.management.commands import migrate
from django.db import connections, transaction


class Command(migrate.Command):
    def handle(self, *args: Any, **options: Any) -> None:
        database: str = options["database"]
        connection = connections[database]
        if connection.vendor != "sqlite":
            super().handle(*args, **options)
            return
        # Tables are made anew under others' foreign keys, and SQLite takes no word about these inside of a transaction.
        connection.disable_constraint_checking()
        try:
            with transaction.atomic(using=database):
                super().handle(*args, **options)
        finally:
            connection.enable_constraint_checking()
