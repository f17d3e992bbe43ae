"""Deletes what is older than it has to be kept. Roll-ups stay; only single rows go."""

from datetime import timedelta
from typing import Any

from django.contrib.sessions.models import Session
from django.db.models import QuerySet
from django.utils import timezone

from accounts.models import IdempotencyRecord, UsageRecord

AT_ONCE = 2_000


def delete_in_portions(rows: QuerySet[Any]) -> int:
    """In small transactions, so that nobody waits behind it; returns how many went. Idempotent."""
    deleted = 0
    while ids := list(rows.order_by("pk").values_list("pk", flat=True)[:AT_ONCE]):
        deleted += rows.model._default_manager.filter(pk__in=ids).delete()[0]
    return deleted


def delete_old_usage(*, days: int) -> int:
    """How many ledger rows went."""
    return delete_in_portions(UsageRecord.objects.filter(created_at__lt=timezone.now() - timedelta(days=days)))


def delete_expired_idempotency() -> int:
    return IdempotencyRecord.objects.filter(expires_at__lt=timezone.now()).delete()[0]


def delete_expired_sessions() -> int:
    """Nobody can go on with them; Django leaves them where they are until it is told to."""
    return delete_in_portions(Session.objects.filter(expire_date__lt=timezone.now()))
