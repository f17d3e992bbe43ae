"""Making, rotating and revoking keys: the one place that sees a token, and only at the moment it is made."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Literal

from django.conf import settings
from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils import timezone

from accounts import keys
from accounts.models import ApiKey, Budget, Limit, Team

DEFAULT_OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)
USUAL_SCOPES = ("completions",)
"""Of a new key for which nobody says any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyOrder:
    """What a new key shall be. Empty lists allow everything; None sets no limit."""

    name: str
    team: str = ""
    scopes: Sequence[str] = USUAL_SCOPES
    models: Sequence[str] = ()
    networks: Sequence[str] = ()
    tags: Sequence[str] = ()
    expires_at: datetime | None = None
    requests_per_minute: int | None = None
    tokens_per_minute: int | None = None
    concurrency: int | None = None
    budget_nano_usd: int | None = None
    budget_tokens: int | None = None
    period: Literal["day", "month"] = "month"
    managed_by: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class IssuedKey:
    """`token` is shown once; it cannot be had again."""

    key: ApiKey
    token: str = field(repr=False)


@transaction.atomic
def create_key(order: KeyOrder) -> IssuedKey:
    """Raises django.core.exceptions.ValidationError. A team that does not exist is made."""
    key = ApiKey(
        name=order.name,
        team=_team(order.team) if order.team else None,
        scopes=list(order.scopes),
        allowed_models=list(order.models),
        allowed_networks=list(order.networks),
        tags=list(order.tags),
        expires_at=order.expires_at,
        managed_by=order.managed_by,
    )
    return issue_key(key, order)


def _team(name: str) -> Team:
    try:
        Team(name=name).clean_fields()
    except ValidationError as error:
        raise ValidationError({"team": error.messages}) from None
    return Team.objects.get_or_create(name=name)[0]


@transaction.atomic
def issue_key(key: ApiKey, order: KeyOrder) -> IssuedKey:
    """Gives a key that is not saved yet its secret, and the limit and budget of `order`; its own fields stand."""
    fresh = keys.new_key(_pepper())
    key.public_id, key.digest, key.hint = fresh.public_id, fresh.digest, fresh.hint
    key.full_clean()
    key.save()
    _add_limit(key, order)
    _add_budget(key, order)
    return IssuedKey(key=key, token=fresh.token)


def _add_limit(key: ApiKey, order: KeyOrder) -> None:
    if order.requests_per_minute is None and order.tokens_per_minute is None and order.concurrency is None:
        return
    limit = Limit(
        scope="key",
        key=key,
        requests=order.requests_per_minute,
        tokens=order.tokens_per_minute,
        concurrency=order.concurrency,
        managed_by=order.managed_by,
    )
    limit.full_clean()
    limit.save()


def _add_budget(key: ApiKey, order: KeyOrder) -> None:
    if order.budget_nano_usd is None and order.budget_tokens is None:
        return
    budget = Budget(
        scope="key",
        key=key,
        amount_nano_usd=order.budget_nano_usd,
        tokens=order.budget_tokens,
        period=order.period,
        managed_by=order.managed_by,
    )
    budget.full_clean()
    budget.save()


class NoSuchKey(ValueError):
    """The text names no key, or more than one."""


def find_key(text: str) -> ApiKey:
    """By its id, by its name if only one key has it, or by itself. Raises NoSuchKey."""
    # Whoever found a key where it must not be has the whole of it in hand; its secret is not said again.
    text = keys.parse(text) or text
    found = list(ApiKey.objects.filter(public_id=text)) or list(ApiKey.objects.filter(name=text)[:2])
    if len(found) != 1:
        raise NoSuchKey(f"{'Several keys are' if found else 'No key is'} called '{text}'; give the key's id.")
    return found[0]


class NotRotatable(ValueError):
    """The key's secret was chosen by a configuration file, and is changed there; or the key is revoked, for good."""


@transaction.atomic
def rotate_key(key_id: int, *, overlap: timedelta = DEFAULT_OVERLAP) -> IssuedKey:
    """A new secret for a key; the one before it works for `overlap` more, so that clients can change over.
    Raises NotRotatable."""
    key = ApiKey.objects.select_for_update().get(pk=key_id)
    if key.revoked_at is not None:
        raise NotRotatable("This key is revoked, which is for good: make a new one.")
    if not keys.is_generated(key.public_id):
        raise NotRotatable("This key's secret comes from a configuration file: change it there.")
    fresh = keys.new_key(_pepper(), public_id=key.public_id)
    key.previous_digest, key.previous_expires_at = key.digest, timezone.now() + overlap
    key.digest, key.hint = fresh.digest, fresh.hint
    key.save()
    return IssuedKey(key=key, token=fresh.token)


@transaction.atomic
def revoke_key(key_id: int) -> ApiKey:
    """Refused by every worker within a second, for good: also the secret before the last rotation."""
    key = ApiKey.objects.select_for_update().get(pk=key_id)
    key.revoked_at = key.revoked_at or timezone.now()
    key.previous_digest, key.previous_expires_at = "", None
    key.save()
    return key


def _pepper() -> bytes:
    return str(settings.KEY_PEPPER).encode()
