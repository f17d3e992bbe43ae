"""Rows as plain data: to show what a change did, and to undo it. Secrets leave the process only encrypted or masked."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, TypeAlias

from django.db import models

from providers import secrets
from providers.header_rules import VEIL
from routing.configuration.veiled import shown_variable

Image: TypeAlias = dict[str, Any]

_SEALED: Final = "$sealed"
# Values that may hold a secret in plain text; ciphertexts are safe to keep but nothing to show.
_SEALED_FIELDS: Final = frozenset({("providers.provider", "headers")})
_MASKED_FIELDS: Final = frozenset({("providers.credential", "ciphertext")})
_NAMES_OF_SECRETS: Final = frozenset({("providers.credential", "environment_variable")})
# What is written without being configuration.
_IGNORED_FIELDS: Final = frozenset({"updated_at", "created_at", "last_worked_at"})


def label_of(model: type[models.Model]) -> str:
    return model._meta.label_lower


def image_of(row: models.Model) -> Image:
    """Every column by its attribute name, as JSON can hold it."""
    label = label_of(type(row))
    found: Image = {}
    for column in row._meta.concrete_fields:
        value = getattr(row, column.attname)
        if isinstance(value, datetime):
            value = value.isoformat()
        if (label, column.attname) in _SEALED_FIELDS and value:
            value = {_SEALED: secrets.encrypt(json.dumps(value))}
        found[column.attname] = value
    return found


def stored_image(row: models.Model) -> Image | None:
    """The image of what the database holds for this row now, before it is saved."""
    stored = type(row)._base_manager.filter(pk=row.pk).first() if row.pk is not None else None
    return None if stored is None else image_of(stored)


def restore(model: type[models.Model], image: Mapping[str, Any]) -> models.Model:
    """A row (not saved) as the image says. Columns that no longer exist are left out, new ones get their default."""
    row = model()
    for column in model._meta.concrete_fields:
        if column.attname in image:
            value = _unsealed(image[column.attname])
            target = column.target_field if isinstance(column, models.ForeignKey) else column
            setattr(row, column.attname, value if isinstance(column, models.JSONField) else target.to_python(value))
    return row


def _unsealed(value: Any) -> Any:
    if isinstance(value, dict) and set(value) == {_SEALED}:
        return json.loads(secrets.decrypt(value[_SEALED]))
    return value


def fields_changed(label: str, before: Image | None, after: Image | None) -> dict[str, list[Any]]:
    """`{column: [before, after]}` of what differs, fit to be shown: secrets masked, bookkeeping left out."""
    found: dict[str, list[Any]] = {}
    for name in {**(before or {}), **(after or {})}:
        if name in _IGNORED_FIELDS or name == "id":
            continue
        old, new = _unsealed((before or {}).get(name)), _unsealed((after or {}).get(name))
        if old != new:
            found[name] = [_shown(label, name, old), _shown(label, name, new)]
    return found


def _shown(label: str, name: str, value: Any) -> Any:
    if (label, name) in _SEALED_FIELDS and isinstance(value, dict):
        return dict.fromkeys(value, VEIL)
    if (label, name) in _MASKED_FIELDS and value:
        return VEIL
    if (label, name) in _NAMES_OF_SECRETS and value:
        return shown_variable(value)
    return value
