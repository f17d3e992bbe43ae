"""Numbers every configuration change: one revision per transaction, written in that transaction.

A reader that sees a revision therefore sees the whole change, and never half of one. Bulk operations that send no
signals (`QuerySet.update`, `bulk_create`) call `record` themselves.
"""

import threading
from typing import Any

from django.db import connection, models, transaction
from django.db.models.signals import post_delete, post_save

from accounts.models import Budget, Limit, Price, Team
from providers.models import Credential, Deployment, Provider
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy

CONFIGURATION_MODELS: tuple[type[models.Model], ...] = (
    Provider,
    Credential,
    Deployment,
    ModelAlias,
    RoutePolicy,
    GatewaySettings,
    Team,
    Limit,
    Budget,
    Price,
)

_transaction_state = threading.local()


def record(change: str, *, source: str = "admin", reason: str = "") -> None:
    """Adds `change` to the revision of the current transaction, opening one if need be."""
    current: ConfigurationRevision | None = getattr(_transaction_state, "revision", None)
    if current is None or not connection.in_atomic_block:
        current = ConfigurationRevision(source=source, reason=reason, changes=[])
        if connection.in_atomic_block:
            _transaction_state.revision = current
            transaction.on_commit(_forget)
    current.changes = [*current.changes, change]
    if current.pk is not None and not ConfigurationRevision.objects.filter(pk=current.pk).exists():
        # An earlier transaction of this thread was rolled back together with its revision.
        current.pk = None
    current.save()


def _forget() -> None:
    _transaction_state.revision = None


def _saved(sender: type[models.Model], instance: models.Model, created: bool = False, **_: Any) -> None:
    record(f"{'created' if created else 'changed'} {sender._meta.verbose_name} {instance}")


def _deleted(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    record(f"deleted {sender._meta.verbose_name} {instance}")


def connect_signals() -> None:
    for model in CONFIGURATION_MODELS:
        post_save.connect(_saved, sender=model, dispatch_uid=f"revision-save-{model.__name__}")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"revision-delete-{model.__name__}")
