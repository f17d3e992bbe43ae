"""Scheduled work of this app: shells around functions, idempotent and tolerant of a source that is away."""

from celery import shared_task

from providers.discovery.looking import discover
from routing.intervals import DISCOVERY_TASK


@shared_task(name=DISCOVERY_TASK)
def discover_providers() -> None:
    discover()
