"""Django finds an engine by the name of this module."""

from typing import Any

from django.db.backends.postgresql.base import DatabaseWrapper as DjangosWrapper
from django_prometheus.db.backends.postgresql import base

from proxy_site.databases.cursor_class import counting_cursor


class DatabaseWrapper(base.DatabaseWrapper):  # type: ignore[misc]
    def get_connection_params(self) -> dict[str, Any]:
        params: dict[str, Any] = DjangosWrapper.get_connection_params(self)
        return {**params, "cursor_factory": counting_cursor(params["cursor_factory"], self.alias, self.vendor)}
