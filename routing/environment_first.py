"""Keys of the process that a configuration file may give: the environment wins over them, they win over the defaults."""

from typing import Any, Final

from django.conf import settings

from routing.configuration.stored import stored_process
from routing.models import GatewaySettings

VARIABLE_AND_SETTING: Final = {
    "host": ("PROXY_API_HOST", "HOST"),
    "port": ("PROXY_API_PORT", "PORT"),
    "debug": ("PROXY_API_DEBUG", "DEBUG"),
    "log_level": ("LOG_LEVEL", "LOG_LEVEL"),
    "health_check_interval": ("HEALTH_CHECK_INTERVAL", "HEALTH_CHECK_INTERVAL_S"),
    "health_check_cache_ttl": ("HEALTH_CHECK_CACHE_TTL", "HEALTH_CHECK_CACHE_TTL_S"),
    "provider_discovery_interval": ("PROVIDER_DISCOVERY_INTERVAL", "PROVIDER_DISCOVERY_INTERVAL_S"),
}


def process_value(key: str, stored: Any) -> Any:
    """`stored` is `GatewaySettings.process`; what cannot be read there counts as not given."""
    variable, setting = VARIABLE_AND_SETTING[key]
    readable = {} if variable in settings.SET_IN_ENVIRONMENT else stored_process(stored)
    return readable[key] if key in readable else getattr(settings, setting)


def health_cache_ttl_s() -> float:
    """As the environment and the stored configuration say at this moment."""
    stored = GatewaySettings.objects.filter(pk=1).values_list("process", flat=True).first() or {}
    return float(process_value("health_check_cache_ttl", stored))


def log_level(stored: Any) -> str:
    """`debug: true` asks for DEBUG whatever `log_level` says, unless the environment names a level."""
    if "LOG_LEVEL" not in settings.SET_IN_ENVIRONMENT and stored_process(stored).get("debug"):
        return "DEBUG"
    return str(process_value("log_level", stored))
