from typing import Any

from django.apps import AppConfig
from django.conf import settings
from django.core.signals import request_finished
from django.db import connections


class ProxySiteConfig(AppConfig):
    name = "proxy_site"

    def ready(self) -> None:
        # Shared tasks belong to this application in every process, those that only send them included.
        from proxy_site import celery  # noqa: F401

        if settings.DATABASES["default"]["CONN_MAX_AGE"]:
            request_finished.connect(_end_of_request)


def _end_of_request(**_: Any) -> None:
    """The thread of a request ends with it; a connection that is kept would only be found by the garbage collector."""
    connections.close_all()
