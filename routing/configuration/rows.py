"""Writing a row only when something about it changes, so that loading a file twice leaves no trace the second time."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeAlias, TypeVar

from django.core.exceptions import ValidationError
from django.db import models

from routing.configuration.columns import key_of

Row = TypeVar("Row", bound=models.Model)
Names: TypeAlias = dict[str, list[str]]


class RowRefused(Exception):
    """An entry cannot become a row. `key` is its path in the document."""

    def __init__(self, key: str, found: str, expected: str = "a value the database accepts") -> None:
        super().__init__(key, found, expected)
        self.key, self.found, self.expected = key, found, expected


@contextmanager
def written_for(path: str) -> Iterator[None]:
    """What rows refuse inside is told of the entry at `path`. Raises `RowRefused`."""
    try:
        yield
    except ValidationError as error:
        columns = error.message_dict if hasattr(error, "error_dict") else {"": error.messages}
        column, messages = next(iter(columns.items()))
        parts = (path, key_of(column) if column != "__all__" else "")
        raise RowRefused(".".join(filter(None, parts)), " ".join(messages).rstrip(".")) from error


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
