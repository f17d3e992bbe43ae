"""Numbers every configuration change: one revision per transaction, written in that transaction.

A reader that sees a revision therefore sees the whole change, and never half of one. A revision says who changed what
and why (`changes`, `difference`) and holds what it takes to undo it (`undo`). Bulk operations that send no signals
(`QuerySet.update`, `bulk_create`) are not seen here: configuration is saved row by row.

API keys are no part of it: rolling back must never bring a withdrawn key back to life.
"""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from django.contrib.auth import get_user_model
from django.db import connection, models, transaction
from django.db.models.signals import post_delete, post_save, pre_delete, pre_save
from django.utils.translation import override
from simple_history.models import HistoricalRecords

from accounts.callers import Caller
from accounts.models import Budget, Limit, Price, Team
from providers.models import Credential, Deployment, Provider
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from routing.row_images import Image, fields_changed, image_of, label_of, stored_image
from rows.locks import about_to_lock
from rows.raw_rows import of_fixture

CONFIGURATION_MODELS: tuple[type[models.Model], ...] = (
    GatewaySettings,
    Team,
    Price,
    Provider,
    Credential,
    Deployment,
    ModelAlias,
    RoutePolicy,
    Limit,
    Budget,
)
"""Parents before their children: the order in which rows are brought back."""
NO_ANSWER_DEPENDS_ON = frozenset(map(label_of, (Team, Price, Limit, Budget)))
"""A revision of these alone leaves cached answers as good as they were."""

OF_THE_BOOKS = "en"
"""The language of what is written down, whatever that of the page where it was changed: others read it, and search in it."""

_LOCK_NUMBER = 7_256_310_001
_state = threading.local()


@dataclass(slots=True)
class _Collected:
    """What one transaction has changed so far, kept in memory until its end."""

    source: str
    reason: str = ""
    author: Any = None
    changes: list[str] = field(default_factory=list)
    difference: list[dict[str, Any]] = field(default_factory=list)
    undo: list[dict[str, Any]] = field(default_factory=list)
    revision: ConfigurationRevision | None = None


@contextmanager
def one_revision(*, source: str, reason: str = "", author: Any = None) -> Iterator[_Collected]:
    """A transaction whose changes become one revision; nested ones join the outermost. Nothing changed: no revision."""
    outer: _Collected | None = getattr(_state, "collected", None)
    if outer is not None and connection.in_atomic_block:
        yield outer
        return
    with transaction.atomic():
        _take_turn()
        _state.collected = collected = _Collected(source=source, reason=reason, author=author)
        try:
            yield collected
        finally:
            _state.collected = None
        if collected.changes:
            _write(collected)


def collected_revision(collected: _Collected) -> int | None:
    """The number under which a finished `one_revision` was recorded; None when it changed nothing."""
    return None if collected.revision is None else int(collected.revision.pk)


def record(
    change: str,
    *,
    difference: dict[str, Any] | None = None,
    undo: dict[str, Any] | None = None,
    source: str = "admin",
) -> None:
    """Adds a sentence to the revision of the current transaction, opening one if need be."""
    collected: _Collected | None = getattr(_state, "collected", None)
    alone = collected is None
    if collected is None:
        collected = _current(source)
    collected.changes.append(change)
    if difference is not None:
        collected.difference.append(difference)
    if undo is not None:
        collected.undo.append(undo)
    if alone:
        _write(collected)


def _current(source: str) -> _Collected:
    """The revision that an ordinary transaction (a page of the admin, an API call) has already begun, or a new one."""
    current: _Collected | None = getattr(_state, "current", None)
    if current is not None and connection.in_atomic_block and _is_there(current):
        return current
    _take_turn()
    current = _Collected(source=source)
    if connection.in_atomic_block:
        _state.current = current
        transaction.on_commit(_forget)
    return current


def _is_there(collected: _Collected) -> bool:
    # An earlier transaction of this thread may have been rolled back together with its revision, whose number SQLite
    # then gives to somebody else's.
    row = collected.revision
    return row is not None and ConfigurationRevision.objects.filter(pk=row.pk, created_at=row.created_at).exists()


def _forget() -> None:
    _state.current = None


def _take_turn(**_: Any) -> None:
    """Revisions commit in the order of their numbers, or a reader that has seen the higher one would never look again.

    It is taken before any row is locked: a loading, which has its turn from the start, would else wait for a row of one who
    waits for that turn. SQLite's write lock does all this by itself.
    """
    if getattr(_state, "collected", None) is not None:
        # Since this revision was begun: not once more for each row of a loading.
        return
    if connection.vendor == "postgresql" and connection.in_atomic_block:
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_xact_lock(%s)", [_LOCK_NUMBER])


def _write(collected: _Collected) -> None:
    row = collected.revision or _new_row(collected)
    row.changes, row.difference, row.undo = collected.changes, collected.difference, collected.undo
    row.changes_answers = any(each["model"] not in NO_ANSWER_DEPENDS_ON for each in collected.difference)
    row.save()
    collected.revision = row


def _new_row(collected: _Collected) -> ConfigurationRevision:
    source, reason, author = collected.source, collected.reason, collected.author
    request = getattr(HistoricalRecords.context, "request", None)
    key = _key_of(request)
    if key is not None:
        source = "api" if source == "admin" else source
        by = f"with the API key {key}"
        # The name is what an auditor looks for: a long reason must not push it out of the column.
        reason = f"{reason[: 297 - len(by)]} ({by})" if reason else by
    return ConfigurationRevision(source=source, reason=reason[:300], author=author or _author(request))


def _key_of(request: Any) -> str | None:
    """The name of the API key of the current web request, if one was sent and found good."""
    caller: Caller | None = getattr(request, "api_caller", None)
    return None if caller is None or caller.key_id is None else caller.name


def _author(request: Any) -> Any:
    """The signed-in user of the current web request, if there is one."""
    user = getattr(request, "user", None)
    return user if isinstance(user, get_user_model()) else None


# ---------------------------------------------------------------------------------------------------------- signals


def remember_as_before(row: models.Model) -> None:
    """What is stored now is what the next save of `row` changed, whatever is written to it meanwhile."""
    row.__dict__["_image_remembered"] = stored_image(row)


def _about_to_save(sender: type[models.Model], instance: models.Model, *, raw: bool = False, **_: Any) -> None:
    if of_fixture(instance, raw=raw):
        # It brings the revisions as well; and whom a row is named after may not be there yet.
        return
    _take_turn()
    remembered: Image | None = instance.__dict__.pop("_image_remembered", None)
    instance.__dict__["_image_before"] = remembered or stored_image(instance)


def _saved(sender: type[models.Model], instance: models.Model, *, raw: bool = False, **_: Any) -> None:
    if of_fixture(instance, raw=raw):
        return
    before: Image | None = instance.__dict__.pop("_image_before", None)
    _note(sender, instance, before, image_of(instance))


def _about_to_delete(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    _take_turn()
    # A row may be named after its owner, which is gone by the time a cascade has deleted both.
    with override(OF_THE_BOOKS):
        instance.__dict__["_name_before"] = str(instance)


def _deleted(sender: type[models.Model], instance: models.Model, **_: Any) -> None:
    _note(sender, instance, image_of(instance), None, name=instance.__dict__.pop("_name_before"))


def _note(
    sender: type[models.Model], row: models.Model, before: Image | None, after: Image | None, *, name: str = ""
) -> None:
    label = label_of(sender)
    changed = fields_changed(label, before, after)
    if before is not None and after is not None and not changed:
        return
    action = "created" if before is None else "deleted" if after is None else "changed"
    with override(OF_THE_BOOKS):
        kind, called = str(sender._meta.verbose_name), name or str(row)
    # Some are named after what they are: "limit of …".
    thing = called if f"{called} ".lower().startswith(f"{kind} ".lower()) else f"{kind} {called}"
    sentence = f"{action} {thing}"
    if action == "changed":
        sentence += f" ({', '.join(changed)})"
    record(
        sentence,
        difference={"object": thing, "model": label, "action": action, "fields": changed},
        undo={"model": label, "pk": row.pk, "before": before},
    )


def connect_signals() -> None:
    about_to_lock.connect(_take_turn, dispatch_uid="revision-turn")
    for model in CONFIGURATION_MODELS:
        name = model.__name__
        pre_save.connect(_about_to_save, sender=model, dispatch_uid=f"revision-before-{name}")
        post_save.connect(_saved, sender=model, dispatch_uid=f"revision-save-{name}")
        pre_delete.connect(_about_to_delete, sender=model, dispatch_uid=f"revision-before-delete-{name}")
        post_delete.connect(_deleted, sender=model, dispatch_uid=f"revision-delete-{name}")
