"""Back to an earlier revision: every row that changed since is put as it was, as one new revision."""

from collections.abc import Iterable
from typing import Any

from django.db import models

from accounts.models import ApiKey, Limit, Price, Team
from providers.models import Credential, Deployment, Provider
from routing.models import ConfigurationRevision, ModelAlias, RoutePolicy
from routing.revisions import CONFIGURATION_MODELS, collected_revision, one_revision, remember_as_before
from routing.row_images import Image, label_of, restore, stored_image
from rows.raw_rows import save_as_it_is

_UNIQUE_NAMES: dict[type[models.Model], str] = {
    Team: "name",
    Price: "model",
    Provider: "name",
    Credential: "name",
    Deployment: "model",
    ModelAlias: "name",
    RoutePolicy: "name",
}
"""The text in what is unique about a row. A limit has none: its owner is."""


class RollbackRefused(Exception):
    """The revision does not exist, or something that came after it cannot be taken away."""


def roll_back(number: int, *, author: Any = None, reason: str = "") -> int | None:
    """Restores what revision `number` left in force. Returns the new revision, None when nothing differs.

    Money already spent and API keys stay as they are. Raises `RollbackRefused`.
    """
    with one_revision(source="rollback", reason=reason or f"back to revision {number}", author=author) as collected:
        later = list(ConfigurationRevision.objects.filter(pk__gt=number).order_by("pk"))
        if number != 0 and not ConfigurationRevision.objects.filter(pk=number).exists():
            raise RollbackRefused(f"There is no revision {number}.")
        _put_back(_oldest_images(later))
    return collected_revision(collected)


def _oldest_images(later: Iterable[ConfigurationRevision]) -> dict[tuple[str, int], Image | None]:
    """For each row touched since: what it was before the first touch; None for a row that did not exist."""
    found: dict[tuple[str, int], Image | None] = {}
    for revision in later:
        for step in revision.undo:
            found.setdefault((step["model"], step["pk"]), step["before"])
    return found


def _put_back(images: dict[tuple[str, int], Image | None]) -> None:
    by_model = {label_of(model): model for model in CONFIGURATION_MODELS}
    for label, model in reversed(by_model.items()):
        gone = [pk for (name, pk), before in images.items() if name == label and before is None]
        for row in model._base_manager.filter(pk__in=gone):
            try:
                row.delete()
            except models.ProtectedError:
                raise RollbackRefused(f"{row} has API keys; move or delete them first.") from None
    for label, model in by_model.items():
        wanted = [before for (name, _), before in images.items() if name == label and before is not None]
        rows = [row for row in (restore(model, image) for image in wanted) if _has_its_owner(row)]
        _make_room(model, rows)
        for row in rows:
            _save_as_it_was(row)


def _has_its_owner(row: models.Model) -> bool:
    """Limits and budgets of a key that is gone stay gone: keys are not brought back."""
    key_id = getattr(row, "key_id", None)
    return key_id is None or ApiKey.objects.filter(pk=key_id).exists()


def _make_room(model: type[models.Model], rows: list[models.Model]) -> None:
    """Rows may have exchanged what is unique, or one has what another had before; the one saved first would meet it."""
    column = _UNIQUE_NAMES.get(model)
    for row in rows if column or model is Limit else ():
        remember_as_before(row)
        # Not through save(), and no owner has such a number: a state that no revision shows and no transaction ends with.
        aside = {column: f"~{row.pk}"} if column else {"scope": "team", "team_id": -row.pk, "key_id": None}
        model._default_manager.filter(pk=row.pk).update(**aside)


def _save_as_it_was(row: models.Model) -> None:
    row._state.adding = stored_image(row) is None
    # `updated_at` and `created_at` keep the restored values, and `save()` overrides change nothing.
    save_as_it_is(row)
