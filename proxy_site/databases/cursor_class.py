from functools import lru_cache
from typing import Any

from django_prometheus.db.common import ExportingCursorWrapper


@lru_cache
def counting_cursor(cursor_class: type, alias: str, vendor: str) -> Any:
    """`cursor_class`, with each statement counted and timed."""
    return ExportingCursorWrapper(cursor_class, alias, vendor)
