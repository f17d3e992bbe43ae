# ruff: noqa: RUF009 - `key` is this package's `field`
"""The document: every key of config.yaml with its kind, default and meaning. docs/configuration.md is made from it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from operator import attrgetter
from typing import Any

from accounts import bounds as client_bounds
from providers.bounds import MOST_ATTEMPTS
from routing.configuration import values
from routing.configuration.kinds import Choice, ListOf, MapOf, Number, OrNull, Text, Whole
from routing.configuration.problems import Position
from routing.configuration.provider_entry import EMPTY, ProviderEntry
from routing.configuration.sections import Section, key


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyEntry:
    """A client's key. `token` is the key itself, `env` names the variable that holds it: one of the two is given."""

    token: str | None = key(OrNull(kind=values.TOKEN), "The key itself; only a hash of it is stored.", default=None)
    env: str | None = key(OrNull(kind=values.OWN_VARIABLE), "The variable that holds it.", default=None)
    name: str = key(
        Text(label="a text", at_least=0, at_most=client_bounds.LONGEST_NAME),
        "What it is for; empty: `key from file`.",
        default="",
    )
    team: str | None = key(OrNull(kind=values.TEAM), "Its team.", default=None)
    scopes: tuple[str, ...] = key(values.SCOPE_LIST, "What it may do.", default=("completions", "read", "admin"))
    models: tuple[str, ...] = key(values.PATTERNS, "Names or patterns it may use; empty: all.", default=())
    allow_ip: tuple[str, ...] = key(values.CIDRS, "Addresses it may come from; empty: all.", default=())
    tags: tuple[str, ...] = key(values.WORDS, "What usage is summed up by, such as a cost centre.", default=())
    rpm: int | None = key(values.MAYBE_COUNT, "Requests per minute, or per `requests_window`.", default=None)
    tpm: int | None = key(values.BIG_COUNT, "Tokens per minute, or per `tokens_window`.", default=None)
    requests_window: int = key(values.WINDOW, "What `rpm` is counted over.", default=60)
    tokens_window: int = key(values.WINDOW, "What `tpm` is counted over.", default=60)
    max_concurrency: int | None = key(values.MAYBE_COUNT, "Calls at once.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condensation:
    given: frozenset[str] = frozenset()
    enabled: bool = key(
        values.FLAG, "Off: a conversation that is too long is refused as the provider does.", default=True
    )
    max_tokens_default: int = key(
        Whole(least=1, most=10_000_000), "Output tokens set aside when the request names none.", default=512
    )
    error_keywords: tuple[str, ...] = key(
        ListOf(kind=Text(label="a piece of an error message")),
        "An upstream error that contains one of them is taken for a context overflow.",
        default=("context_length_exceeded", "maximum context length"),
    )
    adaptive_factor: float = key(
        values.FRACTION, "Share of the context window to aim at; tightened on each failure.", default=0.5
    )
    cache_ttl: int = key(Whole(), "How long a condensed prefix is reused (seconds).", default=300)
    summary_model: str | None = key(
        OrNull(kind=values.MODEL), "The model or alias that sums up dropped turns; null: none.", default=None
    )
    notice: bool = key(values.FLAG, "Tell the model that turns were dropped.", default=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseCache:
    given: frozenset[str] = frozenset()
    enabled: bool = key(values.FLAG, "For every team and model, unless an alias or key says otherwise.", default=False)
    ttl: float = key(Number(open_below=True, most=31_536_000), "How long an answer is kept.", default=300.0)
    max_entries: int = key(Whole(least=1, most=10_000_000), "Answers kept.", default=1000)


@dataclass(frozen=True, slots=True, kw_only=True)
class PayloadLogging:
    given: frozenset[str] = frozenset()
    enabled: bool = key(values.FLAG, "Store prompts and answers (redacted).", default=False)
    retention_days: int = key(Whole(least=1, most=3650), "Days until they are deleted.", default=30)


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistrySource:
    url: str | None = key(values.WEB_URL, "A JSON list of providers; null: off.", default=None)
    token_env: str | None = key(OrNull(kind=values.VARIABLE), "Variable with a bearer token for it.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsulSource:
    url: str = key(values.BASE_URL, "Consul's HTTP address, such as http://127.0.0.1:8500.")
    tag: str = key(values.WORD, "Services with this tag are providers.", default="llm-proxy")
    datacenter: str | None = key(OrNull(kind=values.WORD), "null: the agent's own.", default=None)
    token_env: str | None = key(OrNull(kind=values.VARIABLE), "Variable with an ACL token.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class KubernetesSource:
    namespace: str | None = key(OrNull(kind=values.WORD), "null: the pod's own.", default=None)
    label_selector: str = key(
        Text(label="a label selector"), "Services with these labels are providers.", default="llm-proxy/provider=true"
    )
    api_url: str | None = key(values.MAYBE_URL, "null: the cluster that this pod runs in.", default=None)
    resource: str = key(
        Choice(options=("services", "endpointslices")),
        "`services`: one provider per Service; `endpointslices`: one per ready endpoint.",
        default="services",
    )
    token_file: str | None = key(OrNull(kind=values.WORD), "null: the service account's.", default=None)
    ca_file: str | None = key(OrNull(kind=values.WORD), "null: the service account's.", default=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Discovery:
    given: frozenset[str] = frozenset()
    registry: RegistrySource | None = key(
        OrNull(kind=Section(type=RegistrySource, short="url")), "A list of providers at a URL.", default=None
    )
    consul: ConsulSource | None = key(
        OrNull(kind=Section(type=ConsulSource, short="url")), "Services in Consul.", default=None
    )
    kubernetes: KubernetesSource | None = key(
        OrNull(kind=Section(type=KubernetesSource)), "Services in Kubernetes.", default=None
    )
    model_lists: bool = key(values.FLAG, "Ask each provider for its models and propose new ones.", default=False)
    allow_cidrs: tuple[str, ...] = key(
        values.CIDRS, "Private ranges that discovered providers may have; metadata addresses never.", default=()
    )
    allow_env: tuple[str, ...] = key(
        ListOf(kind=values.VARIABLE), "Variables that a discovered provider may name as its key.", default=()
    )
    auto_approve: tuple[str, ...] | bool = key(
        values.AUTO_APPROVE, "true, or patterns of names that go live without being asked for.", default=False
    )
    vanish_after: int = key(Whole(least=1, most=100), "Looks without a provider before it is drained.", default=2)
    drain_seconds: float = key(Number(most=86_400), "From drained to disabled.", default=600.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasEntry:
    targets: tuple[str, ...] = key(values.SOME_MODELS, "Model names, or provider/model.")
    strategy: str | None = key(OrNull(kind=values.STRATEGY), "null: the matching policy's.", default=None)
    fallbacks: tuple[str, ...] = key(values.MODELS, "Names tried next, in order.", default=())
    enabled: bool = key(values.FLAG, "Off: the name is unknown.", default=True)
    cache: bool | None = key(values.MAYBE_FLAG, "Response cache; null: as `response_cache`.", default=None)
    condensation: bool | None = key(values.MAYBE_FLAG, "null: as `condensation`.", default=None)
    managed_by: str = key(values.MANAGED_BY, "Who may edit it.", default="file")


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicyEntry:
    name: str = key(values.LABEL, "Unique.")
    pattern: str = key(values.PATTERN, "Models and aliases it is for; * and ? are wildcards.", default="*")
    position: int = key(Whole(), "The first match counts, in this order, then by name.", default=100)
    strategy: str = key(values.STRATEGY, "How candidates are ordered.", default="priority")
    options: Mapping[str, Any] = key(
        values.FREE,
        "`price`, `latency`, `errors`, `load`: the weights of `balanced`; `hedge_after`: seconds, see docs/routing.md.",
        default=EMPTY,
    )
    fallbacks: tuple[str, ...] = key(values.MODELS, "Names tried when the model is exhausted.", default=())
    context_fallbacks: tuple[str, ...] = key(
        values.MODELS, "Names tried when the conversation is too long.", default=()
    )
    sticky: bool = key(values.FLAG, "The same `user` keeps the same candidate.", default=False)
    enabled: bool = key(values.FLAG, "Off: as if it were not there.", default=True)
    managed_by: str = key(values.MANAGED_BY, "Who may edit it.", default="file")


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetEntry:
    usd: int | None = key(values.MAYBE_USD, "Money per period.", default=None)
    tokens: int | None = key(values.ALLOWANCE, "Tokens per period.", default=None)
    period: str = key(values.PERIOD, "Calendar day or month, UTC.", default="month")
    on_unknown_price: str = key(
        Choice(options=("refuse", "allow")), "What to do with a model without a price.", default="refuse"
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class TeamEntry:
    enabled: bool = key(values.FLAG, "Off: every key of the team is refused.", default=True)
    rpm: int | None = key(
        values.MAYBE_COUNT, "Requests per minute, or per `requests_window`, of all its keys together.", default=None
    )
    tpm: int | None = key(values.BIG_COUNT, "Tokens per minute, or per `tokens_window`.", default=None)
    requests_window: int = key(values.WINDOW, "What `rpm` is counted over.", default=60)
    tokens_window: int = key(values.WINDOW, "What `tpm` is counted over.", default=60)
    max_concurrency: int | None = key(values.MAYBE_COUNT, "Calls at once.", default=None)
    budgets: tuple[BudgetEntry, ...] = key(
        ListOf(kind=Section(type=BudgetEntry), identity=attrgetter("period")), "At most one per period.", default=()
    )
    cache: bool | None = key(values.MAYBE_FLAG, "Response cache; null: as `response_cache`.", default=None)
    payload_logging: bool | None = key(values.MAYBE_FLAG, "null: as `payload_logging`.", default=None)
    metadata: Mapping[str, Any] = key(values.FREE, "For your own use.", default=EMPTY)
    managed_by: str = key(values.MANAGED_BY, "Who may edit it.", default="file")


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """A whole document. `given` are the top-level keys that were written: the others stay as they are."""

    given: frozenset[str] = frozenset()
    positions: Mapping[str, Position] = field(default_factory=lambda: EMPTY, compare=False, repr=False)
    """Where each key that was written stands, by its path."""
    app_name: str = key(
        Text(label="a name of at most 100 characters", at_most=100),
        "The title in the admin and the API document.",
        default="LLM Proxy API",
    )
    app_version: str = key(values.LINE, "The version that `/health` reports; empty: the program's own.", default="")
    debug: bool = key(
        values.FLAG, "Detailed error pages for staff; logs at DEBUG unless `log_level` is given.", default=False
    )
    host: str = key(values.WORD, "Address to listen on; PROXY_API_HOST and --host win. At start.", default="127.0.0.1")
    port: int = key(
        Whole(least=1, most=65535), "Port to listen on; PROXY_API_PORT and --port win. At start.", default=8000
    )
    api_keys: tuple[KeyEntry, ...] = key(
        ListOf(kind=Section(type=KeyEntry, short="token"), identity=attrgetter("token", "env"), thing="key"),
        "Keys of clients, as texts or mappings. Only hashes of them are stored.",
        default=(),
    )
    api_key_header: str = key(
        values.KEY_HEADER, "Header that may carry a key instead of Authorization.", default="X-API-Key"
    )
    cors_origins: tuple[str, ...] = key(values.ORIGINS, "Web origins whose pages may call the gateway.", default=())
    rate_limit_rpm: int | None = key(
        values.MAYBE_COUNT, "Requests per window for each key without a limit of its own; null: none.", default=None
    )
    rate_limit_window: int = key(
        Whole(least=1, most=values.LONGEST_WINDOW_S, unit="seconds"), "That window.", default=60
    )
    request_timeout: float = key(values.SECONDS, "For a request altogether, every attempt included.", default=600.0)
    max_attempts: int = key(
        Whole(least=1, most=MOST_ATTEMPTS),
        "Attempts at all providers of a model or alias for one request; a fallback begins anew.",
        default=3,
    )
    default_strategy: str = key(values.STRATEGY, "For names without a policy.", default="priority")
    circuit_breaker_threshold: int = key(values.COUNT, "Failures in a row that open a breaker.", default=5)
    circuit_breaker_timeout: float = key(values.SECONDS, "How long it stays open at first.", default=60.0)
    log_level: str = key(values.LOG_LEVEL, "LOG_LEVEL wins.", default="INFO")
    log_file: str | None = key(
        OrNull(kind=Text(label="a path")), "Log lines go here as well; null: only to stdout.", default=None
    )
    health_check_interval: int = key(
        Whole(least=1, most=86_400, unit="seconds"), "Between two probes; HEALTH_CHECK_INTERVAL wins.", default=60
    )
    health_check_cache_ttl: int = key(
        Whole(most=86_400, unit="seconds"),
        "How long a probe's result is served; HEALTH_CHECK_CACHE_TTL wins.",
        default=30,
    )
    provider_discovery_interval: int = key(
        Whole(least=1, most=86_400, unit="seconds"), "Between two looks; PROVIDER_DISCOVERY_INTERVAL wins.", default=300
    )
    provider_registry_url: str | None = key(values.WEB_URL, "Short for `discovery.registry.url`.", default=None)
    condensation: Condensation = key(
        Section(type=Condensation), "Conversations that are too long.", default=Condensation()
    )
    response_cache: ResponseCache = key(
        Section(type=ResponseCache), "Answers kept for repetition.", default=ResponseCache()
    )
    payload_logging: PayloadLogging = key(
        Section(type=PayloadLogging), "Prompts and answers in the database.", default=PayloadLogging()
    )
    discovery: Discovery = key(Section(type=Discovery), "Providers that are found.", default=Discovery())
    model_aliases: Mapping[str, AliasEntry] = key(
        MapOf(key=values.MODEL, value=Section(type=AliasEntry)), "Names that lead to several models.", default=EMPTY
    )
    route_policies: tuple[PolicyEntry, ...] = key(
        ListOf(kind=Section(type=PolicyEntry), identity=attrgetter("name"), thing="policy"),
        "Strategies by name pattern.",
        default=(),
    )
    teams: Mapping[str, TeamEntry] = key(
        MapOf(key=values.TEAM, value=Section(type=TeamEntry)),
        "Owners of keys.",
        default=EMPTY,
    )
    providers: tuple[ProviderEntry, ...] = key(
        ListOf(kind=Section(type=ProviderEntry), identity=attrgetter("name"), thing="provider"),
        "Whom the gateway calls.",
        default=(),
    )
    file_managed_settings: tuple[str, ...] | None = key(
        OrNull(kind=ListOf(kind=values.WORD)),
        "Which of the settings of this document become read-only in the admin; null: all that it gives.",
        default=None,
    )
