"""Django finds an engine by the name of this module."""

from typing import Any

from django_prometheus.db.backends.sqlite3 import base

from proxy_site.databases.cursor_class import counting_cursor


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    def create_cursor(self, name: str | None = None) -> Any:
        return self.connection.cursor(factory=counting_cursor(self.CURSOR_CLASS, self.alias, self.vendor))
