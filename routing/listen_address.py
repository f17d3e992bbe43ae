"""Where to listen, before anything is started: the configuration file may not be loaded yet, nor the tables exist."""

from typing import Any

from django.conf import settings
from django.db import DatabaseError

from routing.configuration.loading import read_file
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.schema import read
from routing.environment_first import process_value
from routing.models import GatewaySettings


def listen_address(*, host: str | None, port: int | None) -> tuple[str, int]:
    """Host and port: of the command line, the environment, the file to be loaded, what was loaded before, the default."""
    stored = {**_loaded(), **_about_to_be_loaded()}
    if port is None:
        port = int(process_value("port", stored))
    return host or str(process_value("host", stored)), port


def _loaded() -> dict[str, Any]:
    try:
        row = GatewaySettings.objects.filter(pk=1).values_list("process", flat=True).first()
    except DatabaseError:
        # Before the first migration there is no table yet.
        return {}
    return row if isinstance(row, dict) else {}


def _about_to_be_loaded() -> dict[str, Any]:
    if not settings.CONFIG_FILE:
        return {}
    try:
        wanted = read(read_file(settings.CONFIG_FILE).data, file=settings.CONFIG_FILE)
    except ConfigurationRefused:
        # Said aloud when it is loaded.
        return {}
    return {name: getattr(wanted, name) for name in ("host", "port") if name in wanted.given}
