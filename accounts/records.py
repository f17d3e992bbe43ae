"""The values that cross the border of this app. Immutable; money is nano-USD, times are seconds since the epoch.

What is made for every call is a NamedTuple: making and writing one costs a fifth of a frozen dataclass. They are written
to journals by position: with a new field `settlements` still has to read the lines of the version before, which lack it. Make
them with keywords.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final, Literal, NamedTuple, TypeAlias

from rows.bounds import MOST_OF_CALL

UsageSource: TypeAlias = Literal["provider", "counted", "estimated"]
CEILING: Final = MOST_OF_CALL
LimitKind: TypeAlias = Literal["requests", "tokens", "concurrency"]


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitRule:
    """At most `limit` of `kind` in any `window_s` seconds (concurrency: at once). `scope` is `key:7` or `team:3`."""

    scope: str
    kind: LimitKind
    limit: int
    window_s: int = 0
    strict: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetRule:
    """A budget as admission sees it. None means not limited in that unit."""

    id: int
    label: str
    period: Literal["day", "month"]
    amount_nano_usd: int | None = None
    tokens: int | None = None
    refuse_unknown_price: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who is calling. `tenant` separates what one caller must not see of another's (caches, idempotency)."""

    key_id: int
    public_id: str
    name: str
    team_id: int | None = None
    team: str = ""
    tenant: str = ""
    scopes: frozenset[str] = frozenset()
    tags: tuple[str, ...] = ()
    cache_enabled: bool | None = None
    condensation: bool | None = None
    payload_logging: bool | None = None
    limits: tuple[LimitRule, ...] = ()
    budgets: tuple[BudgetRule, ...] = ()
    model_test: Callable[[str], object] | None = field(default=None, repr=False, compare=False)

    def allows_model(self, name: str) -> bool:
        return self.model_test is None or self.model_test(name) is not None


class Rates(NamedTuple):
    """Nano-USD per million tokens. None: cached, cache-write and audio input cost the input price, what is kept for an hour
    the cache-write price, reasoning and audio output the output price. `search` is nano-USD per thousand searches of
    the web; None: they cost nothing that is known."""

    input: int
    output: int
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    search: int | None = None


class PriceCard(NamedTuple):
    """Prices by size of the prompt: (more input tokens than this, rates), ascending, the first from 0 on. Above a
    threshold *all* tokens of the call cost the higher rate, as the providers bill."""

    tiers: tuple[tuple[int, Rates], ...]

    def rates(self, input_tokens: int) -> Rates:
        found = self.tiers[0][1]
        for above, rates in self.tiers[1:]:
            if input_tokens > above:
                found = rates
        return found


class Tokens(NamedTuple):
    """Tokens of one attempt, in OpenAI's convention: cached, cache-write and audio input tokens are inside `input`, those
    kept for an hour inside `cache_write`, reasoning and audio output tokens inside `output`. `searches` are no tokens, but
    have their price like them."""

    input: int = 0
    output: int = 0
    cached: int = 0
    cache_write: int = 0
    reasoning: int = 0
    cache_write_1h: int = 0
    audio_input: int = 0
    audio_output: int = 0
    searches: int = 0


class AttemptIntent(NamedTuple):
    """What is known when an attempt is about to be sent; enough to book it should the process die before its end."""

    attempt: int
    provider: str
    deployment: str
    model: str
    upstream_model: str
    endpoint: str
    stream: bool
    input_tokens: int
    rates: Rates | None = None
    revision: int = 0


RateFields: TypeAlias = tuple[
    int, int, int | None, int | None, int | None, int | None, int | None, int | None, int | None
]
"""Those of `Rates`, for what is read and written in each call: of a plain tuple both take half as long."""
AN_HOUR: Final = 5
"""Where the price of a cache for an hour is."""
IntentFields: TypeAlias = tuple[int, str, str, str, str, str, bool, int, RateFields | None, int]
"""Those of `AttemptIntent`, for who makes one for each attempt."""


class CallRecord(NamedTuple):
    """One attempt after its end. `final` marks the one that answered the client, and only that one is charged:
    `cost_nano_usd` (None: price unknown). `provider_cost_nano_usd` is what it cost us. What many calls share stands first:
    it is written to the journal apart from what each has of its own, and booked once for all of them."""

    attempt: int
    status: int
    usage_source: UsageSource
    provider: str = ""
    deployment: str = ""
    model: str = ""
    upstream_model: str = ""
    endpoint: str = ""
    stream: bool = False
    final: bool = True
    error_code: str = ""
    cache: str = ""
    tags: str = ""
    revision: int = 0
    searches: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    cache_write_tokens: int = 0
    reasoning_tokens: int = 0
    cost_nano_usd: int | None = None
    provider_cost_nano_usd: int | None = None
    duration_ms: int = 0
    time_to_first_token_ms: int | None = None


RecordFields: TypeAlias = tuple[
    int, int, str | None, str, str, str, str, str, bool, bool, str, str, str, int, int,
    int, int, int, int, int, int | None, int | None, int, int | None,
]  # fmt: skip
"""Those of `CallRecord`, for who makes one at each call's end."""
SHARED: Final = 15
"""So many of them stand first that many calls share. `searches` are among them: hardly any call has some."""
FINAL: Final = 9
INPUT_TOKENS: Final = 15
OUTPUT_TOKENS: Final = 16
COST: Final = 20
"""Where they are."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountsSettings:
    """Global settings that decide about access. `rate_limit_rpm` requests per `rate_limit_window_s` hold for every key
    without its own limit; None sets none. `workers` divides the limits among processes while Redis is unreachable. No call
    lasts as long as `lease_grace_s`: what is leased or claimed for one, and was not heard of for so long, is free again."""

    rate_limit_rpm: int | None = None
    rate_limit_window_s: int = 60
    workers: int = 1
    sql_timeout_s: float = 1.0
    redis_timeout_s: float = 0.05
    grace_without_sql_s: float = 300.0
    journal_cap_bytes: int = 512 * 1024 * 1024
    lease_s: float = 60.0
    lease_grace_s: float = 660.0
