"""Rows locked to be written. Whoever lets writers take turns is asked first, so that all lock in one order."""

from typing import Any

from django.db import models
from django.dispatch import Signal

about_to_lock = Signal()
"""Sent inside the transaction, before its first row is locked: a turn that is taken with a row in hand is waited for
while the one whose turn it is waits for the row."""


def locked(model: type[models.Model]) -> "models.QuerySet[Any]":
    about_to_lock.send(sender=model)
    return model._default_manager.select_for_update()
