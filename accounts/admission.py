"""The one door through which the gateway uses this app. One `Accounts` per worker, owned by its lifespan.

    principal = await accounts.authenticate(token, client_ip)
    admission = await accounts.admit(principal, request_id=…, tokens=…)        rates and concurrency
    await accounts.reserve(admission, cost_nano_usd=…, tokens=…)               budgets, when it will reach an upstream
    accounts.attempt_started(admission, AttemptIntent(…))                      before each attempt is sent
    accounts.delivered(admission, attempt=…, output_tokens=…)                  now and then while a stream runs
    accounts.settle(admission, records)  or  accounts.release(admission)       exactly one; more are ignored

The last four never wait and never raise. An admission that is neither settled nor released stays reserved.
"""

import asyncio
import contextlib
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from functools import partial
from pathlib import Path
from time import monotonic, monotonic_ns, time
from typing import TYPE_CHECKING

from accounts import idempotency
from accounts.authentication import KeyTable
from accounts.background import Background
from accounts.budgets import BudgetBook, LeaseSource
from accounts.errors import AccountsUnavailable, RateLimitExceeded
from accounts.header_lines import HeaderLines
from accounts.idempotency import Claim, StoredAnswer
from accounts.journal import Journal
from accounts.journal_lines import Owner
from accounts.key_source import KeySource, SqlKeySource
from accounts.keys import PresentedKey
from accounts.ledger import SqlLedger
from accounts.limit_headers import rate_lines, refusal_headers, refusal_of
from accounts.limit_store import Hold, MemoryLimitStore, Refused, StoreUnavailable, Taken
from accounts.records import (
    CEILING,
    COST,
    FINAL,
    INPUT_TOKENS,
    OUTPUT_TOKENS,
    AccountsSettings,
    IntentFields,
    Principal,
    RecordFields,
)
from accounts.slices import Slice
from accounts.sql_door import SqlDoor, SqlUnavailable

if TYPE_CHECKING:
    from accounts.redis_limit_store import RedisLimitStore

log = logging.getLogger("llm_proxy.accounts.admission")
PROGRESS_EVERY_S = 0.5


def _shared_limits(url: str, prefix: str) -> "RedisLimitStore":
    """Imported here: Redis' library is a tenth of a worker's memory, and most installations have none."""
    from accounts.redis_limit_store import RedisLimitStore

    return RedisLimitStore(url, prefix=prefix)


class Admission:
    """One admitted call. `headers` are the x-ratelimit response headers. Changed only by `Accounts`."""

    __slots__ = (
        "created_at", "headers", "held", "hold", "id", "open", "owner", "principal", "progress_at", "request_id",
        "sent", "slices", "tokens",
    )  # fmt: skip

    def __init__(self, call_id: str, principal: Principal, request_id: str, tokens: int, created_at: float) -> None:
        self.id = call_id
        self.principal = principal
        self.request_id = request_id
        self.tokens = tokens
        self.created_at = created_at
        self.headers: HeaderLines = b""
        self.hold: Hold | None = None
        self.slices: tuple[Slice, ...] = ()
        self.held = (0, 0)
        self.open = True
        self.sent = False
        self.progress_at = 0.0
        self.owner: Owner | None = None


class Accounts:
    """`redis_url` shares the limits among workers (`redis_prefix` tells installations on one server apart); without it
    they are counted in this process."""

    def __init__(
        self,
        *,
        pepper: str,
        data_dir: Path,
        redis_url: str | None = None,
        redis_prefix: str = "llm_proxy:{limits}:",
        key_source: KeySource | None = None,
        lease_source: LeaseSource | None = None,
        clock: Callable[[], float] = time,
    ) -> None:
        self.worker = secrets.token_hex(6)
        self._clock = clock
        self._settings = AccountsSettings()
        self._lookups = SqlDoor(name="keys", threads=2, on_change=self._sql_changed)
        self._leases = SqlDoor(name="leases", threads=1)
        source = key_source or SqlKeySource()
        self._keys = KeyTable(pepper=pepper.encode(), source=source, door=self._lookups, clock=clock)
        ledger = lease_source or SqlLedger()
        self._budgets = BudgetBook(worker=self.worker, source=ledger, door=self._leases, book=self.drain, clock=clock)
        self._journal = Journal(data_dir / "journal", self.worker)
        self._memory = MemoryLimitStore(_steady_us)
        self._redis = _shared_limits(redis_url, redis_prefix) if redis_url else None
        self._abandoning: set[asyncio.Task[None]] = set()
        self._count = 0
        self._background = Background(
            worker=self.worker,
            directory=data_dir / "journal",
            journal=self._journal,
            keys=self._keys,
            source=source,
            budgets=self._budgets,
            lookups=self._lookups,
            sweep=self._memory.sweep,
        )

    # ------------------------------------------------------------------------------------------------- life
    async def open(self) -> None:
        """Opens the journal and starts the background tasks. Works without SQL and without Redis."""
        self._journal.open()
        if self._redis is not None:
            await self._redis.open()
        self._background.start()

    async def aclose(self, *, timeout_s: float = 10.0) -> None:
        """Drains the journal and gives leases back; what SQL does not take in time stays in the journal."""
        given_back = await self._background.stop(timeout_s=timeout_s)
        await asyncio.gather(*self._abandoning)
        if self._redis is not None:
            await self._redis.aclose()
        self._journal.close(given_back=given_back)
        self._lookups.close()
        self._leases.close()

    def configure(self, settings: AccountsSettings) -> None:
        self._settings = settings
        self._memory.parts = settings.workers if self._redis is not None else 1
        self._journal.cap_bytes = settings.journal_cap_bytes
        self._keys.configure(settings)
        self._budgets.configure(settings)
        self._background.configure(settings)
        if self._redis is not None:
            self._redis.timeout_s = settings.redis_timeout_s

    @property
    def sql_up(self) -> bool:
        return self._lookups.up

    @property
    def redis_up(self) -> bool:
        """True also when no Redis is used."""
        return self._redis is None or self._redis.up

    @property
    def journal_backlog(self) -> int:
        """Settled calls that are not in SQL yet."""
        return self._journal.backlog

    @property
    def journal_full(self) -> bool:
        """No call is admitted: what it uses could not be written down."""
        return self._journal.full

    async def drain(self) -> None:
        """Waits until everything settled so far is in SQL. Raises SqlUnavailable."""
        await self._background.drain()

    # ------------------------------------------------------------------------------------------------ a call
    def authenticate(self, token: str, client_ip: str | None) -> Awaitable[Principal]:
        """Raises InvalidApiKey, PermissionDenied (address) or AccountsUnavailable."""
        return self._keys.authenticate(token, client_ip)

    def check(self, key: PresentedKey, client_ip: str | None) -> Awaitable[Principal]:
        """`authenticate` for a key that its connection keeps."""
        return self._keys.check(key, client_ip)

    async def admit(self, principal: Principal, *, request_id: str, tokens: int) -> Admission:
        """Counts the call under its limits. `tokens` is the estimate: input plus at most the output allowed.
        Raises RateLimitExceeded, or AccountsUnavailable."""
        if self._journal.full:
            raise AccountsUnavailable("Usage cannot be recorded at the moment.", retry_after_s=5)
        self._count += 1
        admission = Admission(
            f"{self.worker}{self._count}",
            principal,
            request_id,
            tokens if tokens < CEILING else CEILING,
            self._clock(),
        )
        if principal.limits:
            if self._redis is None:
                self._take_here(admission)
            else:
                await self._take_there(admission, self._redis)
        return admission

    async def reserve(self, admission: Admission, *, cost_nano_usd: int, tokens: int, unpriced: bool = False) -> None:
        """Holds the estimate (an upper bound) in every budget. `unpriced`: who answers may have a price that nobody knows;
        `cost_nano_usd` is the bound of the others. Raises InsufficientQuota or AccountsUnavailable; then the caller still
        releases the admission."""
        rules = admission.principal.budgets
        if rules:
            slices = self._budgets.hold_now(rules, cost_nano_usd, tokens, unpriced=unpriced)
            if slices is None:
                slices = await self._budgets.hold(rules, cost_nano_usd, tokens, unpriced=unpriced)
            admission.slices = slices
            admission.held = (cost_nano_usd, tokens)

    def attempt_started(self, admission: Admission, intent: IntentFields) -> None:
        """Call before the attempt's first byte is sent: after a `kill -9` the attempt is booked from this."""
        admission.sent = True
        self._journal.attempt(admission.owner or _owner(admission), intent)

    def delivered(self, admission: Admission, *, attempt: int, output_tokens: int) -> None:
        """How much of a running stream was delivered; written at most twice a second."""
        now = monotonic()
        if admission.open and now - admission.progress_at >= PROGRESS_EVERY_S:
            admission.progress_at = now
            self._journal.progress(admission.id, attempt, output_tokens)

    def settle(self, admission: Admission, records: Sequence[RecordFields]) -> None:
        """Ends the call with what it really used: one record per attempt, one of them `final`."""
        if not admission.open:
            return
        admission.open = False
        owner = admission.owner or _owner(admission)
        if not admission.slices and admission.hold is None:
            self._journal.settled(owner, records)
            return
        cost = tokens = 0
        for record in records:
            if record[FINAL]:
                cost += record[COST] or 0
                tokens += record[INPUT_TOKENS] + record[OUTPUT_TOKENS]
        # `min` would take ten times as long.
        cost, tokens = cost if cost < CEILING else CEILING, tokens if tokens < CEILING else CEILING
        if admission.slices:
            paid = self._budgets.settle(admission.slices, admission.held, (cost, tokens))
            if paid is not None:
                owner = (*owner[:-1], tuple([(*lease, *part) for lease, part in zip(owner[-1], paid, strict=True)]))
        self._journal.settled(owner, records)
        if admission.hold is not None:
            admission.hold.store.settle(admission.hold, tokens)

    def release(self, admission: Admission) -> None:
        """Ends the call without a charge or a ledger row: nothing was used, or it was refused."""
        if not admission.open:
            return
        admission.open = False
        if admission.sent:
            self._journal.released(admission.id)
        if admission.slices:
            self._budgets.settle(admission.slices, admission.held, (0, 0))
        if admission.hold is not None:
            admission.hold.store.cancel(admission.hold)

    # ------------------------------------------------------------------------------------------ repeated calls
    async def claim(self, claim: Claim) -> StoredAnswer | None:
        """None: the caller is the first, and ends with `keep_answer` or `abandon_claim`. Raises UnusableIdempotencyKey,
        IdempotencyMismatch, IdempotencyInFlight or AccountsUnavailable."""
        try:
            return await self._lookups.run(
                lambda: idempotency.begin(claim, given_up_after=timedelta(seconds=self._settings.lease_grace_s)),
                timeout_s=self._settings.sql_timeout_s,
                late=partial(self._claimed_late, claim),
            )
        except SqlUnavailable as error:
            raise AccountsUnavailable("Idempotency-Keys cannot be checked at the moment.") from error

    async def keep_answer(self, claim: Claim, answer: StoredAnswer) -> None:
        """Without the database nothing is kept, and a repetition is refused until the claim has expired."""
        with contextlib.suppress(SqlUnavailable):
            await self._lookups.run(lambda: idempotency.finish(claim, answer), timeout_s=self._settings.sql_timeout_s)

    async def abandon_claim(self, claim: Claim) -> None:
        with contextlib.suppress(SqlUnavailable):
            await self._lookups.run(lambda: idempotency.abandon(claim), timeout_s=self._settings.sql_timeout_s)

    def _claimed_late(self, claim: Claim, stored: StoredAnswer | None) -> None:
        """Its caller was refused in the meantime: a claim that succeeded now is nobody's, and would keep all others out."""
        if stored is None:
            task = asyncio.create_task(self.abandon_claim(claim), name="accounts-abandon")
            self._abandoning.add(task)
            task.add_done_callback(self._abandoning.discard)

    # ----------------------------------------------------------------------------------------------- limits
    async def _take_there(self, admission: Admission, store: "RedisLimitStore") -> None:
        rules = admission.principal.limits
        verdict: Taken | Refused | None = None
        try:
            verdict = await store.take(rules, tokens=admission.tokens, call_id=admission.id)
        except StoreUnavailable as error:
            if any(rule.strict for rule in rules):
                raise AccountsUnavailable("Rate limits cannot be checked at the moment.") from error
        if verdict is None:
            self._take_here(admission)
        else:
            _taken(admission, store, verdict)

    def _take_here(self, admission: Admission) -> None:
        verdict = self._memory.take_now(admission.principal.limits, tokens=admission.tokens, call_id=admission.id)
        _taken(admission, self._memory, verdict)

    def _sql_changed(self, up: bool) -> None:
        if up:
            log.warning("the database answers again")
        else:
            log.error("the database does not answer: known keys and leased budgets are served, nothing else")


def _taken(admission: Admission, store: "MemoryLimitStore | RedisLimitStore", verdict: Taken | Refused) -> None:
    """Raises RateLimitExceeded."""
    rules = admission.principal.limits
    if isinstance(verdict, Refused):
        raise RateLimitExceeded(
            refusal_of(verdict), retry_after_s=verdict.retry_after_s, headers=refusal_headers(rules, verdict)
        )
    # By position: with keywords it would take twice as long.
    admission.hold = Hold(store, admission.id, rules, verdict.buckets, admission.tokens)
    admission.headers = rate_lines(rules, verdict.states)


def _owner(admission: Admission) -> Owner:
    """The same for every line of a call: what its budgets hold is settled before its first attempt."""
    principal = admission.principal
    owner = admission.owner = (
        admission.id,
        admission.request_id,
        admission.created_at,
        principal.key_id,
        principal.team_id,
        tuple([(found.lease_id, found.period_id) for found in admission.slices]) if admission.slices else (),
    )
    return owner


def _steady_us() -> int:
    return monotonic_ns() // 1000
