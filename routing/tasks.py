"""Scheduled work of this app: shells around functions, idempotent and tolerant of a source that is away."""

from celery import shared_task
from django.utils import timezone

from providers.discovery.looking import discover
from routing.configuration.stored import usable_section
from routing.intervals import DISCOVERY_TASK, PAYLOADS_TASK
from routing.models import GatewaySettings
from routing.payload_log import delete_old_payloads


@shared_task(name=DISCOVERY_TASK)
def discover_providers() -> None:
    discover()


@shared_task(name=PAYLOADS_TASK)
def forget_payloads() -> int:
    """Deletes stored prompts and answers whose time is over; how many went."""
    section = usable_section("payload_logging", GatewaySettings.load().payload_logging)
    return delete_old_payloads(days=section.retention_days, now=timezone.now())
