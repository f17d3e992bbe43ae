"""The names of who made a call, for people who read the books. The ledger holds plain ids, so that a key or a team can be
deleted without a change in what it used; its last name is in its history."""

from collections.abc import Iterable
from typing import Any, TypeAlias

from django.db.models import OuterRef, Subquery
from django.db.models.functions import Coalesce

from accounts.models import ApiKey, Team

Owner: TypeAlias = type[ApiKey] | type[Team]
MOST = 100


def owner_names(model: Owner, ids: Iterable[int | None]) -> dict[int, str]:
    """By id, also of those that were deleted. Who never was there is not there."""
    wanted = {pk for pk in ids if pk}
    names = dict(model._default_manager.filter(pk__in=wanted).values_list("pk", "name"))
    if gone := wanted - names.keys():
        names.update(_deleted(model).filter(id__in=gone).values_list("id", "name"))
    return names


def tags_of_keys(ids: Iterable[int | None]) -> dict[int, list[str]]:
    """As they are now, or were when a key was deleted; of those that have some."""
    wanted = {pk for pk in ids if pk}
    found = dict(ApiKey.objects.filter(pk__in=wanted).values_list("pk", "tags"))
    if gone := wanted - found.keys():
        found.update(_deleted(ApiKey).filter(id__in=gone).values_list("id", "tags"))
    return {pk: [str(tag) for tag in tags] for pk, tags in found.items() if isinstance(tags, list) and tags}


def owner_name(model: Owner, column: str) -> Coalesce:
    """The same beside each row of a query, whose `column` has the id."""
    there = model._default_manager.filter(pk=OuterRef(column)).values("name")[:1]
    return Coalesce(Subquery(there), Subquery(_deleted(model).filter(id=OuterRef(column)).values("name")[:1]))


def owners_named(model: Owner, name: str) -> list[int]:
    """The ids of those that have this name, or had it when they were deleted."""
    there = model._default_manager.filter(name=name).values_list("pk", flat=True)[:MOST]
    return [*there, *_deleted(model).filter(name=name).values_list("id", flat=True)[:MOST]]


def _deleted(model: Owner) -> Any:
    # The type of what simple_history adds to a model is its own.
    return model.history.filter(history_type="-")
