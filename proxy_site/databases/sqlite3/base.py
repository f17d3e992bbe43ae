"""Django finds an engine by the name of this module."""

import contextlib
from pathlib import Path
from typing import Any

from django_prometheus.db.backends.sqlite3 import base

from proxy_site.databases.cursor_class import counting_cursor


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    def get_new_connection(self, conn_params: dict[str, Any]) -> Any:
        """SQLite itself would make the file for everybody to read; the log beside it, it makes like the file."""
        file = conn_params["database"]
        # What is no path is a database in memory, as in tests. What cannot be made is for SQLite to say.
        if isinstance(file, Path):
            with contextlib.suppress(OSError):
                file.touch(mode=0o600, exist_ok=False)
        return super().get_new_connection(conn_params)

    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=counting_cursor(self.CURSOR_CLASS, self.alias, self.vendor))
