"""The name of this installation, as the admin shows it."""

from django.db import DatabaseError
from django.http import HttpRequest

from routing.models import GatewaySettings

DEFAULT = "LLM Proxy API"


def site_title(request: HttpRequest | None = None) -> str:
    """`app_name` of the configuration."""
    try:
        return GatewaySettings.objects.filter(pk=1).values_list("app_name", flat=True).first() or DEFAULT
    except DatabaseError:
        return DEFAULT
