"""Writing a row only when something about it changes, so that loading a file twice leaves no trace the second time."""

from collections.abc import Mapping
from typing import Any, TypeAlias, TypeVar

from django.db import models

Row = TypeVar("Row", bound=models.Model)
Names: TypeAlias = dict[str, list[str]]


def save_if_different(
    model: type[Row], identity: Mapping[str, Any], columns: Mapping[str, Any], *, known: Row | None = None
) -> Row:
    """The row with this identity, created or changed as needed. Raises django's ValidationError, never for a column
    that is not written: it may hold what is not let in any more."""
    row = known or model._base_manager.filter(**identity).first()
    if row is not None and all(getattr(row, name) == value for name, value in columns.items()):
        return row
    others = {field.name for field in model._meta.fields} - columns.keys() if row is not None else None
    row = row or model(**identity)
    for name, value in columns.items():
        setattr(row, name, value)
    row.clean_fields(exclude=others)
    row.clean()
    row.save()
    return row
