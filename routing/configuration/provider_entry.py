# ruff: noqa: RUF009 - `key` is this package's `field`
"""The keys of one entry under `providers`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from types import MappingProxyType
from typing import Any

from providers import bounds
from routing.configuration import values
from routing.configuration.kinds import ListOf, Number, OrNull, Text, Whole
from routing.configuration.sections import Section, key
from routing.configuration.veiled import Veiled

EMPTY: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelEntry:
    name: str = key(values.MODEL, "The name clients ask for.")
    upstream: str | None = key(OrNull(kind=values.MODEL), "The provider's own name; null: the same.", default=None)
    enabled: bool = key(values.FLAG, "Off: no call is sent to it.", default=True)
    context_window: int | None = key(values.MAYBE_COUNT, "Tokens of input and output together.", default=None)
    max_output_tokens: int | None = key(values.MAYBE_COUNT, "Tokens of output at most.", default=None)
    input_usd_per_mtok: int | None = key(
        values.MAYBE_PRICE, "Price of a million input tokens; null: unknown.", default=None
    )
    output_usd_per_mtok: int | None = key(values.MAYBE_PRICE, "Price of a million output tokens.", default=None)
    cached_input_usd_per_mtok: int | None = key(
        values.MAYBE_PRICE, "Price of a million input tokens read from the provider's cache.", default=None
    )
    cache_write_usd_per_mtok: int | None = key(
        values.MAYBE_PRICE, "Price of a million input tokens written to the provider's cache.", default=None
    )
    cache_write_1h_usd_per_mtok: int | None = key(
        values.MAYBE_PRICE, "The same where the cache keeps them for an hour; null: as above.", default=None
    )
    audio_input_usd_per_mtok: int | None = key(
        values.MAYBE_PRICE, "Price of a million input tokens of audio; null: the input price.", default=None
    )
    audio_output_usd_per_mtok: int | None = key(
        values.MAYBE_PRICE, "Price of a million output tokens of audio; null: the output price.", default=None
    )
    search_usd_per_thousand: int | None = key(
        values.MAYBE_PRICE, "Price of a thousand searches of the web that the provider runs.", default=None
    )
    capabilities: tuple[str, ...] = key(
        values.WORDS, "What it can do, such as tools, images, structured_output, embeddings.", default=()
    )
    reasoning: bool = key(
        values.FLAG, "It thinks before it answers: the first token is waited for longer.", default=False
    )
    priority: int | None = key(OrNull(kind=values.PRIORITY), "Overrides the provider's priority.", default=None)
    weight: int = key(values.COUNT, "Share among equals.", default=1)
    tags: tuple[str, ...] = key(values.WORDS, "For `x-llm-proxy-tags`.", default=())
    options: Mapping[str, Any] = key(
        values.FREE, "Settings of the provider's kind for this model, see below.", default=EMPTY
    )
    managed_by: str | None = key(
        OrNull(kind=values.MANAGED_BY), "Who may edit it; null: as the provider.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class CredentialEntry:
    """Either `env` names a variable, or the secret is the one stored (encrypted) under this name in the database."""

    name: str = key(values.NAME, "Unique within the provider.", default="default")
    env: str | None = key(
        OrNull(kind=values.VARIABLE), "The variable (or its NAME_FILE); null: the stored secret.", default=None
    )
    weight: int = key(values.COUNT, "Share among the provider's credentials.", default=1)
    enabled: bool = key(values.FLAG, "Off: not used.", default=True)


@dataclass(frozen=True, slots=True, kw_only=True)
class Timeouts:
    connect: float | None = key(values.MAYBE_SECONDS, "For the connection to stand; null: 3 s.", default=None)
    first_token: float | None = key(
        values.MAYBE_SECONDS, "For the first token, as `timeout`; null: 20 s, reasoning models 120 s.", default=None
    )
    idle: float | None = key(
        values.MAYBE_SECONDS, "For each further token; null: 30 s, reasoning models 90 s.", default=None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ProviderEntry:
    name: str = key(values.NAME, "Unique; appears in metrics, logs and headers.")
    renamed_from: str | None = key(
        OrNull(kind=values.NAME),
        "Its name until now: secrets that were typed in, prices and history stay its own. No longer needed once loaded.",
        default=None,
    )
    kind: str | None = key(
        OrNull(kind=values.KIND),
        "Whose API it speaks; null: told by the name (`openai`, `openai_default`), else openai.",
        default=None,
        aliases=("type",),
    )
    base_url: str | None = key(
        values.MAYBE_URL,
        "Its address, with or without the version segment; null: the vendor's own.",
        default=None,
    )
    api_key_env: str | None = key(
        OrNull(kind=values.VARIABLE),
        "The environment variable that holds its key. Without any of the three credential keys, a provider at the "
        "vendor's own address uses PROXY_API_<KIND>_API_KEY.",
        default=None,
    )
    api_keys_env: tuple[str, ...] | None = key(
        OrNull(kind=ListOf(kind=values.VARIABLE, thing="variable")),
        "Several variables, used as a pool; an empty list: no credential.",
        default=None,
    )
    credentials: tuple[CredentialEntry, ...] = key(
        ListOf(kind=Section(type=CredentialEntry), identity=attrgetter("name"), thing="credential"),
        "The full form: names, weights, and references to stored secrets.",
        default=(),
    )
    models: tuple[ModelEntry, ...] = key(
        ListOf(kind=Section(type=ModelEntry, short="name"), identity=attrgetter("name"), thing="model"),
        "Names, or mappings with the keys below.",
        default=(),
    )
    enabled: bool = key(values.FLAG, "Off: no call is sent to it.", default=True)
    priority: int = key(values.PRIORITY, "The smallest is tried first; equal priorities share by weight.", default=1)
    weight: int = key(values.COUNT, "Share among equals.", default=1)
    tags: tuple[str, ...] = key(values.WORDS, "For `x-llm-proxy-tags`.", default=())
    headers: Mapping[str, str | Veiled | None] = key(
        values.HEADERS,
        "Sent with every call to it. null: the value that is stored already, as a dump has it, which shows none.",
        default=EMPTY,
    )
    api_version: str | None = key(
        OrNull(kind=Text(label="a version", at_most=64)),
        "The option of this name.",
        default=None,
    )
    region: str | None = key(OrNull(kind=Text(label="a region", at_most=64)), "The option of this name.", default=None)
    options: Mapping[str, Any] = key(values.FREE, "Further settings of its kind, see below.", default=EMPTY)
    timeout: float | None = key(
        values.MAYBE_SECONDS,
        "For the first token of a stream and for a whole answer that is not streamed.",
        default=None,
    )
    timeouts: Timeouts = key(Section(type=Timeouts), "Each phase by itself.", default=Timeouts())
    request_timeout: float | None = key(
        values.MAYBE_SECONDS, "For a call to it altogether; null: the gateway's `request_timeout`.", default=None
    )
    max_retries: int = key(
        Whole(most=bounds.MOST_ATTEMPTS),
        "Attempts at this provider for one request (0 is one); `max_attempts` holds as well.",
        default=3,
    )
    retry_delay: float = key(
        Number(most=bounds.LONGEST_RETRY_DELAY_S),
        "Before the same provider is tried again; doubles, with jitter.",
        default=0.25,
    )
    max_connections: int = key(Whole(least=1, most=bounds.MOST_CONNECTIONS), "Calls at once.", default=100)
    keepalive_timeout: float = key(values.SECONDS, "An idle connection is closed after it.", default=30.0)
    circuit_breaker_threshold: int | None = key(
        values.MAYBE_COUNT, "Failures in a row that open its breakers; null: the gateway's.", default=None
    )
    circuit_breaker_timeout: float | None = key(
        values.MAYBE_SECONDS, "How long a breaker stays open; null: the gateway's.", default=None
    )
    allow_private: bool = key(values.FLAG, "Private and loopback addresses may be connected to.", default=True)
    managed_by: str = key(
        values.MANAGED_BY,
        "Who may edit it from now on: `file` makes it read-only in the admin.",
        default="file",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ResolvedProvider:
    """A provider entry with everything that it left to its name and kind filled in."""

    entry: ProviderEntry
    kind: str
    base_url: str
    credentials: tuple[CredentialEntry, ...] = field(default=())
