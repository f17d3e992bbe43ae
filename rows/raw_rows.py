"""Rows that are saved as they are, `raw` to signals: those of a fixture come with the notes of their changes, others are
changes themselves."""

from typing import Final

from django.db import models

_IS_A_CHANGE: Final = "_raw_is_a_change"


def save_as_it_is(row: models.Model) -> None:
    """No column gets another value, such as the time of now; `row._state.adding` says whether it is new."""
    row.__dict__[_IS_A_CHANGE] = True
    row.save_base(raw=True, force_insert=row._state.adding, force_update=not row._state.adding)


def of_fixture(row: models.Model, *, raw: bool) -> bool:
    """Whether `loaddata` saves it, for receivers of signals."""
    return raw and _IS_A_CHANGE not in row.__dict__
