"""SQL in threads that Django's request cycle does not know."""

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import close_old_connections


@contextmanager
def borrowed_connection() -> Iterator[None]:
    """Around what a thread asks SQL, or above the function that does: its connection goes back to the pool (PostgreSQL),
    or is closed when it is a minute old (SQLite). A thread that ends without this takes its connection of the pool along."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
