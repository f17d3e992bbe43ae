"""Schedules follow the intervals of the configuration, as long as nobody has edited them in the admin."""

from monitoring.schedules import Schedule, default_schedules, follow_settings
from routing.environment_first import process_value
from routing.models import GatewaySettings

DISCOVERY_TASK = "routing.discover"
DISCOVERY_NAME = "Discover providers"
PAYLOADS_TASK = "routing.forget_payloads"
PAYLOADS_NAME = "Delete old prompts and answers"
PAYLOADS_SCHEDULE = Schedule(PAYLOADS_NAME, PAYLOADS_TASK, 3600)


def discovery_schedule(every_s: int) -> Schedule:
    return Schedule(DISCOVERY_NAME, DISCOVERY_TASK, max(every_s, 1))


def follow_intervals() -> None:
    stored = GatewaySettings.objects.filter(pk=1).values_list("process", flat=True).first() or {}
    follow_settings(
        (
            *default_schedules(health_check_interval_s=int(process_value("health_check_interval", stored))),
            discovery_schedule(int(process_value("provider_discovery_interval", stored))),
        )
    )
