"""The keys a worker knows. Warm: a dictionary, an HMAC, a comparison. Cold: one query in a thread.

The table is corrected within a second of any change (`follow`), lives through five minutes without SQL, and forgets
what nobody used. Unknown ids are remembered for a moment, so that guessing does not become a load on SQL.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from time import monotonic, time

from accounts import keys, rules
from accounts.errors import AccountsUnavailable, InvalidApiKey, PermissionDenied
from accounts.key_source import Changes, KeyRow, KeySource
from accounts.records import AccountsSettings, BudgetRule, LimitRule, Principal
from accounts.sql_door import SqlDoor, SqlUnavailable

UNKNOWN_FOR_S = 2.0
UNKNOWN_AT_MOST = 10_000
REREAD_AFTER_S = 25.0
REREAD_AT_ONCE = 200
FORGET_AFTER_S = 900.0


@dataclass(slots=True)
class KnownKey:
    """`digests` are (digest, valid until in epoch seconds), the newest first."""

    row: KeyRow
    principal: Principal
    digests: tuple[tuple[bytes, float], ...]
    usable_until: float
    addresses: dict[str, bool] | None
    read_at: float
    used_at: float


class KeyTable:
    def __init__(self, *, pepper: bytes, source: KeySource, door: SqlDoor, clock: Callable[[], float] = time) -> None:
        self._pepper = pepper
        self._digest = keys.digester(pepper)
        self._source = source
        self._door = door
        self._clock = clock
        self._settings = AccountsSettings()
        self._known: dict[str, KnownKey] = {}
        self._unknown: dict[str, float] = {}
        self._reading: dict[str, asyncio.Future[KnownKey | None]] = {}
        self._generation = 0
        self._serve_until = monotonic() + self._settings.grace_without_sql_s

    def configure(self, settings: AccountsSettings) -> None:
        self._settings = settings
        for known in self._known.values():
            known.principal = principal_of(known.row, settings)

    def authenticate(self, token: str, client_ip: str | None) -> Awaitable[Principal]:
        return self.check(keys.PresentedKey(token), client_ip)

    async def check(self, key: keys.PresentedKey, client_ip: str | None) -> Principal:
        """Raises InvalidApiKey, PermissionDenied (address) or AccountsUnavailable."""
        token = key.token
        known = self._known.get(token[5:21])
        if known is None:
            known = await self._find(token)
        now = self._clock()
        candidate = key.digest
        if candidate is None:
            candidate = key.digest = self._digest(token) if token.isascii() else b""
        for digest, valid_until in known.digests:
            if keys.matches(candidate, digest) and now < valid_until:
                break
        else:
            raise InvalidApiKey("The API key is wrong.")
        if now >= known.usable_until:
            raise InvalidApiKey("The API key is disabled, revoked or expired.")
        if monotonic() > self._serve_until:
            raise AccountsUnavailable("API keys cannot be checked at the moment.")
        if known.addresses is not None and not self._address_allowed(known, client_ip):
            raise PermissionDenied(f"The API key may not be used from {client_ip or 'this address'}.")
        known.used_at = now
        return known.principal

    def apply(self, changes: Changes) -> None:
        """Takes over one poll: what changed is replaced in place, so that no warm key turns cold by a change."""
        self._serve_until = monotonic() + self._settings.grace_without_sql_s
        if changes.any:
            self._unknown.clear()
        for public_id in changes.asked:
            row = changes.rows.get(public_id)
            if row is None:
                self._known.pop(public_id, None)
            elif public_id in self._known:
                self._install(row)

    def to_reread(self, change_keys: set[int], change_teams: set[int], everybody: bool) -> tuple[str, ...]:
        """Which of the known keys a poll must read again: the changed ones, and the longest unread among the rest. The
        changed ones count as unread until `apply`, so that a poll that fails leaves them to the next."""
        if change_keys or change_teams or everybody:
            # From now on: a row whose reading began before may lack these changes, whenever it arrives.
            self._generation += 1
        now = monotonic()
        old = []
        found = []
        for public_id, known in list(self._known.items()):
            if self._clock() - known.used_at > FORGET_AFTER_S:
                del self._known[public_id]
            elif everybody or known.row.id in change_keys or known.row.team_id in change_teams:
                known.read_at = 0.0
                found.append(public_id)
            elif now - known.read_at > REREAD_AFTER_S:
                old.append((known.read_at, public_id))
        old.sort()
        return tuple(found + [public_id for _, public_id in old[:REREAD_AT_ONCE]])

    def last_used(self, since: float) -> dict[int, float]:
        """Key id → last use, for keys used after `since`."""
        return {known.row.id: known.used_at for known in self._known.values() if known.used_at > since}

    async def _find(self, token: str) -> KnownKey:
        public_id = keys.identify(token, self._pepper)
        if public_id is None:
            raise InvalidApiKey("The API key is malformed." if token else keys.NONE_SENT)
        if (warm := self._known.get(public_id)) is not None:
            return warm
        if self._unknown.get(public_id, 0.0) > monotonic():
            raise InvalidApiKey("The API key is wrong.")
        known = await self._read(public_id)
        if known is None:
            raise InvalidApiKey("The API key is wrong.")
        return known

    async def _read(self, public_id: str) -> KnownKey | None:
        """One query per id at a time, however many calls wait for it."""
        reading = self._reading.get(public_id)
        if reading is None:
            reading = self._reading[public_id] = asyncio.ensure_future(self._query(public_id))
            reading.add_done_callback(lambda _done: self._reading.pop(public_id, None))
        try:
            return await asyncio.shield(reading)
        except SqlUnavailable as error:
            raise AccountsUnavailable("API keys cannot be checked at the moment.") from error

    async def _query(self, public_id: str) -> KnownKey | None:
        began = self._generation

        def arrived(rows: Mapping[str, KeyRow]) -> None:
            # What a late row says is as old as its question: it adds to what is known by now and corrects none of it.
            if began == self._generation and public_id in rows and public_id not in self._known:
                self._install(rows[public_id]).read_at = 0.0

        rows = await self._door.run(
            lambda: self._source.read((public_id,)), timeout_s=self._settings.sql_timeout_s, late=arrived
        )
        if public_id not in rows:
            self._remember_unknown(public_id, began)
            return None
        known = self._known.get(public_id) or self._install(rows[public_id])
        if began != self._generation:
            # Something changed while the row was being read: the next poll reads it again.
            known.read_at = 0.0
        return known

    def _remember_unknown(self, public_id: str, generation: int) -> None:
        if len(self._unknown) >= UNKNOWN_AT_MOST:
            self._unknown.clear()
        if generation == self._generation:
            self._unknown[public_id] = monotonic() + UNKNOWN_FOR_S

    def _install(self, row: KeyRow) -> KnownKey:
        used_at = self._known[row.public_id].used_at if row.public_id in self._known else self._clock()
        known = KnownKey(
            row=row,
            principal=principal_of(row, self._settings),
            digests=row.digests,
            usable_until=row.usable_until,
            addresses={} if row.networks else None,
            read_at=monotonic(),
            used_at=used_at,
        )
        self._known[row.public_id] = known
        return known

    @staticmethod
    def _address_allowed(known: KnownKey, address: str | None) -> bool:
        if address is None or known.addresses is None:
            return False
        allowed = known.addresses.get(address)
        if allowed is None:
            if len(known.addresses) > 1_000:
                known.addresses.clear()
            allowed = known.addresses[address] = rules.address_allowed(known.row.networks, address)
        return allowed


def principal_of(row: KeyRow, settings: AccountsSettings) -> Principal:
    return Principal(
        key_id=row.id,
        public_id=row.public_id,
        name=row.name,
        team_id=row.team_id,
        team=row.team,
        tenant=row.tenant,
        scopes=frozenset(row.scopes),
        tags=row.tags,
        cache_enabled=row.cache_enabled,
        condensation=row.condensation,
        payload_logging=row.payload_logging,
        limits=effective_limits(row.id, row.limits, row.default_limits, settings),
        budgets=tuple(sorted(row.budgets, key=_budget_id)),
        model_test=rules.model_test(row.allowed_models),
    )


def _budget_id(rule: BudgetRule) -> int:
    return rule.id


def effective_limits(
    key_id: int, own: Sequence[LimitRule], default: Sequence[LimitRule], settings: AccountsSettings
) -> tuple[LimitRule, ...]:
    """Own and team rules, and for each kind that the key has no rule of, the default row's, else the setting's."""
    scope = f"key:{key_id}"
    kinds = {rule.kind for rule in own if rule.scope == scope}
    found = list(own)
    for rule in default:
        if rule.kind not in kinds:
            kinds.add(rule.kind)
            found.append(
                LimitRule(scope=scope, kind=rule.kind, limit=rule.limit, window_s=rule.window_s, strict=rule.strict)
            )
    if settings.rate_limit_rpm and "requests" not in kinds:
        found.append(
            LimitRule(
                scope=scope, kind="requests", limit=settings.rate_limit_rpm, window_s=settings.rate_limit_window_s
            )
        )
    return tuple(found)
