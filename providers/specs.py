"""Providers, credentials and deployments as the data plane sees them: immutable, decrypted, free of the ORM."""

from dataclasses import dataclass, field

from providers.transport import Endpoint
from providers.types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialSpec:
    id: int
    name: str
    secret: str = field(repr=False)
    weight: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Prices:
    """Nano-USD per million tokens, `search` per thousand searches; None where unknown. Unset cached prices mean the input
    price."""

    input: int | None = None
    output: int | None = None
    cached_input: int | None = None
    cache_write: int | None = None
    reasoning: int | None = None
    cache_write_1h: int | None = None
    audio_input: int | None = None
    audio_output: int | None = None
    search: int | None = None
    tiers: "tuple[tuple[int, Prices], ...]" = ()
    """(more input tokens than this, the prices of the whole call from there on), ascending."""

    def at(self, input_tokens: int) -> "Prices":
        found = self
        for above, prices in self.tiers:
            if input_tokens > above:
                found = prices
        return found

    def of_tokens(self, input_tokens: int, output_tokens: int) -> int | None:
        """Nano-USD, rounded up, without what is cheaper or dearer than the rest; None while a price is unknown."""
        if self.input is None or self.output is None:
            return None
        return -(-(input_tokens * self.input + output_tokens * self.output) // 1_000_000)


PRICE_COLUMNS = {
    **{
        name: f"{name}_nano_usd_per_mtok"
        for name in ("input", "output", "cached_input", "cache_write", "cache_write_1h", "audio_input", "audio_output")
    },
    "search": "search_nano_usd_per_thousand",
}
"""Of `Prices` → of a deployment's row. Reasoning has none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderSpec:
    """A provider as configured. `base_path` is the path of its base_url without a trailing slash.

    Times are seconds. `options` are the adapter's own settings (`api_version`, `dialect`, `region` …).
    """

    id: int
    name: str
    kind: str
    endpoint: Endpoint
    base_path: str
    credentials: tuple[CredentialSpec, ...] = ()
    headers: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    priority: int = 1
    weight: int = 1
    tags: frozenset[str] = frozenset()
    max_concurrency: int = 100
    max_retries: int = 3
    retry_delay_s: float = 0.25
    answer_timeout_s: float = 300.0
    """For answers that are not streamed: upstreams send nothing, not even headers, until they are complete."""
    first_token_timeout_s: float = 20.0
    idle_timeout_s: float = 30.0
    reasoning_first_token_timeout_s: float = 120.0
    reasoning_idle_timeout_s: float = 90.0
    request_timeout_s: float = 600.0
    breaker_threshold: int = 5
    breaker_timeout_s: float = 60.0
    demo: bool = False
    needs_credential: bool = True
    options: JsonObject = field(default_factory=dict)

    @property
    def first_secret(self) -> str:
        """For what is asked once, by people or probes; empty without a credential."""
        return self.credentials[0].secret if self.credentials else ""

    @property
    def secrets(self) -> tuple[str, ...]:
        """What it is sent and may quote: its credentials, and the values of its headers, which may be keys as well."""
        return *(each.secret for each in self.credentials), *(value for _, value in self.headers)

    @property
    def most_attempts(self) -> int:
        """At it, for one call: `max_retries` may be 0, which is one attempt."""
        return max(self.max_retries, 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeploymentSpec:
    """One model at one provider. `capabilities` are named as in docs/configuration.md; unknown sizes are None.

    `name` is `provider/model`, unique, as decision records and headers show it. `tier` is the priority that counts, its
    own or else its provider's, 1 before 2; `traffic_weight` is its own weight times its provider's. These three are
    worked out once, because every request reads them for every candidate.
    """

    id: int
    provider: ProviderSpec
    model: str
    upstream_model: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    prices: Prices = Prices()
    capabilities: frozenset[str] = frozenset()
    reasoning: bool = False
    always_searches: bool = False
    """The web, once for each answer, without counting it."""
    priority: int | None = None
    weight: int = 1
    tags: frozenset[str] = frozenset()
    options: JsonObject = field(default_factory=dict)
    created: int = 0
    """When it was made here, in epoch seconds; 0 where that is unknown."""
    name: str = field(init=False, repr=False, compare=False)
    tier: int = field(init=False, repr=False, compare=False)
    traffic_weight: int = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "name", f"{self.provider.name}/{self.upstream_model}")
        own = self.priority
        object.__setattr__(self, "tier", self.provider.priority if own is None else own)
        object.__setattr__(self, "traffic_weight", self.weight * self.provider.weight)
