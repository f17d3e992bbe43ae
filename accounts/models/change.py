"""How running workers learn of a change: every write to what decides about access leaves a row here, in the same
transaction. Workers read the new rows once a second. A row also covers deletion, which `updated_at` cannot show."""

from typing import Any, TypeVar

from django.db import models
from django.db.models.signals import post_delete, post_save, pre_save
from django.utils import timezone

from rows.raw_rows import of_fixture

Row = TypeVar("Row", bound=models.Model)


class AccountChange(models.Model):
    """`key_id` or `team_id` says whose; both empty means anybody's."""

    created_at = models.DateTimeField(default=timezone.now, db_index=True)
    key_id = models.BigIntegerField(null=True)
    team_id = models.BigIntegerField(null=True)

    def __str__(self) -> str:
        return f"change {self.pk}"


class WatchedQuerySet(models.QuerySet[Row]):
    """Bulk writes send no signal, so they announce themselves as a change for everybody."""

    def update(self, **values: Any) -> int:
        AccountChange.objects.using(self.db).create()
        return super().update(**values)

    def update_quietly(self, **values: Any) -> int:
        """For columns that decide nothing, such as `last_used_at`."""
        return super().update(**values)

    def bulk_create(self, *args: Any, **options: Any) -> list[Row]:
        AccountChange.objects.using(self.db).create()
        return super().bulk_create(*args, **options)

    def bulk_update(self, *args: Any, **options: Any) -> int:
        AccountChange.objects.using(self.db).create()
        return super().bulk_update(*args, **options)


def remember_owner(sender: type[models.Model], instance: models.Model, *, raw: bool = False, **_: Any) -> None:
    """Signal receiver before saves of Limit and Budget: whose it was is told too, or its keys would stay under it."""
    if of_fixture(instance, raw=raw):
        return
    stored = sender._base_manager.filter(pk=instance.pk).values_list("key_id", "team_id").first()
    instance.__dict__["_owner_before"] = stored


def announce(sender: type[models.Model], instance: models.Model, *, raw: bool = False, **_: Any) -> None:
    """Signal receiver for saves and deletions of Team, ApiKey, Limit, Budget and Price. Not for rows
    of a fixture, which brings those of this table, too."""
    if of_fixture(instance, raw=raw):
        return
    name = sender._meta.model_name
    key_id = instance.pk if name == "apikey" else getattr(instance, "key_id", None)
    team_id = instance.pk if name == "team" else getattr(instance, "team_id", None)
    if name == "apikey":
        team_id = None
    owner = (key_id, team_id)
    former = instance.__dict__.pop("_owner_before", None) or owner
    for key_id, team_id in {owner, former}:
        AccountChange.objects.create(key_id=key_id, team_id=team_id)


def connect() -> None:
    from accounts.models import ApiKey, Budget, Limit, Price, Team

    for model in (Team, ApiKey, Limit, Budget, Price):
        post_save.connect(announce, sender=model, dispatch_uid=f"accounts.change.save.{model.__name__}")
        post_delete.connect(announce, sender=model, dispatch_uid=f"accounts.change.delete.{model.__name__}")
    for model in (Limit, Budget):
        pre_save.connect(remember_owner, sender=model, dispatch_uid=f"accounts.change.before.{model.__name__}")
