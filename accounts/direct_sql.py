"""SQL past the ORM and past Django's cursors, for what runs once per call. Inside `transaction.atomic()` only."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

from django.db import connection

# Of each value that is neither a number nor a text sqlite3 asks for an adapter, and then the value itself, which raises an
# error that is dropped: for the three of a ledger row this took two thirds of the time in which SQLite writes it.
sqlite3.register_adapter(bool, int)
sqlite3.register_adapter(type(None), lambda nothing: nothing)


@contextmanager
def cursor() -> Iterator[Any]:
    """The driver's own cursor; what it raises arrives as Django's exceptions."""
    with connection.wrap_database_errors, closing(connection.connection.cursor()) as found:
        yield found


def on_postgres() -> bool:
    return connection.vendor == "postgresql"


def placeholder() -> str:
    return "%s" if on_postgres() else "?"


def placeholders(count: int) -> str:
    return ", ".join([placeholder()] * count)


def for_update() -> str:
    """SQLite has one writer, and a transaction of ours is it from its beginning."""
    return " FOR UPDATE" if on_postgres() else ""
