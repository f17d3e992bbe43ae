"""Scheduled work as Celery tasks: shells around functions, safe to repeat and to lose. Roll-ups need none: they are
written with the ledger's rows. Leases of budgets are swept by every gateway worker."""

from celery import shared_task
from django.conf import settings

from accounts.retention import delete_expired_idempotency, delete_expired_sessions, delete_old_usage


@shared_task(name="accounts.forget_old")
def forget_old() -> dict[str, int]:
    """Deletes ledger rows beyond their retention (0 keeps them for good), and expired Idempotency-Keys and sessions."""
    days = int(settings.USAGE_RETENTION_DAYS)
    return {
        "usage": delete_old_usage(days=days) if days > 0 else 0,
        "idempotency": delete_expired_idempotency(),
        "sessions": delete_expired_sessions(),
    }
