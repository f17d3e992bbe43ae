"""Reads keys with everything that admission needs to know about them. Runs in threads; plain values out."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from django.db.models import Q
from django.utils import timezone

from accounts.models import AccountChange, ApiKey, Budget, Limit
from accounts.models.budget import BudgetScope, OnUnknownPrice
from accounts.models.limit import Scope
from accounts.records import BudgetRule, LimitKind, LimitRule

FOREVER = float("inf")
# A transaction that began earlier may commit later than one already seen, so each poll looks back this far.
LOOK_BACK = timedelta(seconds=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRow:
    """One key as stored. `usable_until` is 0 for a key that is off; times are epoch seconds."""

    id: int
    public_id: str
    name: str
    digests: tuple[tuple[bytes, float], ...] = field(repr=False)
    usable_until: float
    team_id: int | None = None
    team: str = ""
    scopes: tuple[str, ...] = ()
    allowed_models: tuple[str, ...] = ()
    networks: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    cache_enabled: bool | None = None
    condensation: bool | None = None
    payload_logging: bool | None = None
    limits: tuple[LimitRule, ...] = ()
    default_limits: tuple[LimitRule, ...] = ()
    budgets: tuple[BudgetRule, ...] = ()

    @property
    def tenant(self) -> str:
        return f"key:{self.id}" if self.team_id is None else f"team:{self.team_id}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeNote:
    """What has changed since the last poll, by owner; `everybody` when it concerns all."""

    keys: frozenset[int] = frozenset()
    teams: frozenset[int] = frozenset()
    everybody: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Changes:
    """Rows read again: an id in `asked` that is not in `rows` is gone."""

    any: bool
    asked: tuple[str, ...]
    rows: Mapping[str, KeyRow]


class KeySource(Protocol):
    def read(self, public_ids: Sequence[str]) -> dict[str, KeyRow]: ...

    def changes(self) -> ChangeNote:
        """What was written since the last call."""


class SqlKeySource:
    def __init__(self) -> None:
        self._since: datetime = timezone.now() - LOOK_BACK
        self._seen: set[int] = set()

    def changes(self) -> ChangeNote:
        rows = list(AccountChange.objects.filter(created_at__gte=self._since).values_list("id", "key_id", "team_id"))
        fresh = [row for row in rows if row[0] not in self._seen]
        self._seen = {row[0] for row in rows}
        self._since = timezone.now() - LOOK_BACK
        return ChangeNote(
            keys=frozenset(key for _, key, _ in fresh if key is not None),
            teams=frozenset(team for _, _, team in fresh if team is not None),
            everybody=any(key is None and team is None for _, key, team in fresh),
        )

    def read(self, public_ids: Sequence[str]) -> dict[str, KeyRow]:
        found = list(ApiKey.objects.select_related("team").filter(public_id__in=public_ids))
        if not found:
            return {}
        key_ids = [key.pk for key in found]
        team_ids = {key.team_id for key in found if key.team_id is not None}
        mine = Q(key_id__in=key_ids) | Q(team_id__in=team_ids)
        limits = list(Limit.objects.filter(mine | Q(scope=Scope.DEFAULT)))
        budgets = list(
            Budget.objects.filter(mine | Q(scope=BudgetScope.ALL), enabled=True).select_related("key", "team")
        )
        return {key.public_id: _key_row(key, limits, budgets) for key in found}


def _key_row(key: ApiKey, limits: Iterable[Limit], budgets: Iterable[Budget]) -> KeyRow:
    team = key.team
    own = [limit for limit in limits if limit.key_id == key.pk]
    shared = [limit for limit in limits if limit.team_id is not None and limit.team_id == key.team_id]
    default = [limit for limit in limits if limit.scope == Scope.DEFAULT]
    return KeyRow(
        id=key.pk,
        public_id=key.public_id,
        name=key.name,
        digests=_digests(key),
        usable_until=_usable_until(key),
        team_id=key.team_id,
        team="" if team is None else team.name,
        scopes=tuple(key.scopes),
        allowed_models=tuple(key.allowed_models),
        networks=tuple(key.allowed_networks),
        tags=_words(key.tags),
        cache_enabled=key.cache_enabled if team is None or key.cache_enabled is not None else team.cache_enabled,
        condensation=key.condensation,
        payload_logging=(
            key.payload_logging if team is None or key.payload_logging is not None else team.payload_logging
        ),
        limits=tuple(
            [rule for limit in own for rule in limit_rules(limit, f"key:{key.pk}")]
            + [rule for limit in shared for rule in limit_rules(limit, f"team:{key.team_id}")]
        ),
        default_limits=tuple(rule for limit in default for rule in limit_rules(limit, "default")),
        budgets=tuple(budget_rule(budget) for budget in budgets if _concerns(budget, key)),
    )


def _words(stored: Any) -> tuple[str, ...]:
    """What was stored before there was a check must not fail each call of the key."""
    return tuple(word for word in stored if isinstance(word, str)) if isinstance(stored, list) else ()


def _concerns(budget: Budget, key: ApiKey) -> bool:
    if budget.scope == BudgetScope.KEY:
        return budget.key_id == key.pk
    if budget.scope == BudgetScope.TEAM:
        return budget.team_id == key.team_id
    return True


def _digests(key: ApiKey) -> tuple[tuple[bytes, float], ...]:
    digests = [(bytes.fromhex(key.digest), FOREVER)]
    if key.previous_digest and key.previous_expires_at is not None:
        digests.append((bytes.fromhex(key.previous_digest), key.previous_expires_at.timestamp()))
    return tuple(digests)


def _usable_until(key: ApiKey) -> float:
    if not key.is_on:
        return 0.0
    ends = [moment.timestamp() for moment in (key.expires_at, key.revoked_at) if moment is not None]
    return min(ends, default=FOREVER)


def limit_rules(limit: Limit, scope: str) -> tuple[LimitRule, ...]:
    amounts: tuple[tuple[LimitKind, int | None, int], ...] = (
        ("requests", limit.requests, limit.requests_window_s),
        ("tokens", limit.tokens, limit.tokens_window_s),
        ("concurrency", limit.concurrency, 0),
    )
    return tuple(
        LimitRule(scope=scope, kind=kind, limit=amount, window_s=window_s, strict=limit.strict)
        for kind, amount, window_s in amounts
        if amount
    )


def budget_rule(budget: Budget) -> BudgetRule:
    return BudgetRule(
        id=budget.pk,
        label=str(budget),
        period="day" if budget.period == "day" else "month",
        amount_nano_usd=budget.amount_nano_usd,
        tokens=budget.tokens,
        refuse_unknown_price=budget.on_unknown_price == OnUnknownPrice.REFUSE.value,
    )
