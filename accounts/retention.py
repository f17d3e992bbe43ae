"""Deletes what is older than it has to be kept. Roll-ups stay; only single rows go."""

from datetime import timedelta

from django.utils import timezone

from accounts.models import IdempotencyRecord, UsageRecord

AT_ONCE = 5_000


def delete_old_usage(*, days: int) -> int:
    """In small transactions, so that nobody waits behind it; returns how many ledger rows went. Idempotent."""
    before, deleted = timezone.now() - timedelta(days=days), 0
    while True:
        ids = list(
            UsageRecord.objects.filter(created_at__lt=before).order_by("pk").values_list("pk", flat=True)[:AT_ONCE]
        )
        if not ids:
            return deleted
        deleted += UsageRecord.objects.filter(pk__in=ids).delete()[0]


def delete_expired_idempotency() -> int:
    return IdempotencyRecord.objects.filter(expires_at__lt=timezone.now()).delete()[0]
