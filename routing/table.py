"""The RoutingTable: everything a request needs to know of the configuration, immutable, for one revision.

A request takes one table at its start and uses it to its end, so it never sees half a change.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from types import MappingProxyType
from typing import Any

from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import JsonObject
from routing import policy_options
from routing.configuration.document import Condensation, PayloadLogging, ResponseCache
from routing.strategies import DEFAULT_STRATEGY, STRATEGIES, Strategy, strategy_named


@dataclass(frozen=True, slots=True, kw_only=True)
class GatewayPolicy:
    """Gateway-wide settings. Times are seconds."""

    api_key_header: str = "x-api-key"
    cors_origins: frozenset[str] = frozenset()
    request_timeout_s: float = 600.0
    max_attempts: int = 3
    default_strategy: str = "priority"
    rate_limit_requests: int | None = None
    rate_limit_window_s: int = 60
    condensation: Condensation = field(default_factory=Condensation)
    response_cache: ResponseCache = field(default_factory=ResponseCache)
    payload_logging: PayloadLogging = field(default_factory=PayloadLogging)
    log_file: str = ""
    log_level: str = ""
    app_name: str = ""
    app_version: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """What a client-facing name leads to. `fallbacks` are routes tried in order when this one is exhausted."""

    name: str
    deployments: tuple[DeploymentSpec, ...]
    plan_strategy: Strategy = STRATEGIES[DEFAULT_STRATEGY]
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    sticky: bool = False
    hedge_after_s: float = 0.0
    """When a stream has not begun after so long, a second attempt starts beside the first; 0.0: never."""
    cache_enabled: bool | None = None
    condensation_enabled: bool | None = None
    created: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class AliasSpec:
    name: str
    targets: tuple[str, ...]
    strategy: str = ""
    fallbacks: tuple[str, ...] = ()
    cache_enabled: bool | None = None
    condensation_enabled: bool | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySpec:
    pattern: str
    strategy: str
    options: JsonObject = field(default_factory=dict)
    fallbacks: tuple[str, ...] = ()
    context_fallbacks: tuple[str, ...] = ()
    sticky: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class RoutingTable:
    """`listed` are the routes of `GET /v1/models`; `routes` also holds every `provider/model` name."""

    revision: int
    routes: Mapping[str, Route]
    providers: Mapping[str, ProviderSpec]
    policy: GatewayPolicy = GatewayPolicy()
    listed: tuple[Route, ...] = ()
    prices_until: float = float("inf")
    """When another price comes into force, in epoch seconds."""
    catalogue_size: int = 0
    """How many models the price catalogue had been asked for when the prices were read."""
    answers_revision: int = 0
    """The newest revision that may have changed what is answered."""
    left_out: tuple[str, ...] = ()
    """Rows that cannot be used, each in a sentence with its name."""

    def route(self, name: str) -> Route | None:
        return self.routes.get(name)


NO_ALIAS = AliasSpec(name="", targets=())
NO_POLICY = PolicySpec(pattern="", strategy="")
EMPTY_TABLE = RoutingTable(revision=0, routes=MappingProxyType({}), providers=MappingProxyType({}))


def build_table(
    *,
    revision: int,
    deployments: Iterable[DeploymentSpec],
    aliases: Iterable[AliasSpec] = (),
    policies: Iterable[PolicySpec] = (),
    policy: GatewayPolicy = GatewayPolicy(),
    **known: Any,
) -> RoutingTable:
    """Resolves names once, so that a request only looks one up. An alias hides a model of the same name; its targets
    are looked up among models and `provider/model` names, and unknown targets lead nowhere. `known` are the table's other
    fields."""
    by_model: dict[str, list[DeploymentSpec]] = {}
    for deployment in deployments:
        by_model.setdefault(deployment.model, []).append(deployment)
        by_model.setdefault(f"{deployment.provider.name}/{deployment.model}", []).append(deployment)
    providers = {spec.provider.name: spec.provider for group in by_model.values() for spec in group}
    ordered = tuple(policies)
    routes = {name: _route(name, tuple(group), NO_ALIAS, ordered, policy) for name, group in by_model.items()}
    named = tuple(aliases)
    for alias in named:
        found = {spec.id: spec for target in alias.targets for spec in by_model.get(target, ())}
        routes[alias.name] = _route(alias.name, tuple(found.values()), alias, ordered, policy)
    plain = {spec.model for group in by_model.values() for spec in group} | {alias.name for alias in named}
    return RoutingTable(
        revision=revision,
        routes=MappingProxyType(routes),
        providers=MappingProxyType(providers),
        policy=policy,
        listed=tuple(routes[name] for name in sorted(plain)),
        **known,
    )


def _route(
    name: str,
    deployments: tuple[DeploymentSpec, ...],
    alias: AliasSpec,
    policies: tuple[PolicySpec, ...],
    gateway: GatewayPolicy,
) -> Route:
    rule = next((rule for rule in policies if fnmatchcase(name, rule.pattern)), NO_POLICY)
    strategy = alias.strategy or rule.strategy or gateway.default_strategy
    return Route(
        name=name,
        deployments=deployments,
        plan_strategy=strategy_named(strategy, policy_options.balance(rule.options)),
        fallbacks=alias.fallbacks or rule.fallbacks,
        context_fallbacks=rule.context_fallbacks,
        sticky=rule.sticky,
        hedge_after_s=policy_options.hedge_after_s(rule.options),
        cache_enabled=alias.cache_enabled,
        condensation_enabled=alias.condensation_enabled,
        created=min((deployment.created for deployment in deployments), default=0),
    )
