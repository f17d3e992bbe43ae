"""From rows to specs: what the data plane may know of providers, credentials and deployments."""

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

from django.conf import settings
from django.db import connection

from providers import bounds
from providers.adapters import REGISTRY
from providers.adapters.model_quirks import always_searches
from providers.addresses import parse_base_url
from providers.models import Credential, Deployment, Provider
from providers.secrets import UndecipherableSecret
from providers.specs import PRICE_COLUMNS, CredentialSpec, DeploymentSpec, Prices, ProviderSpec
from providers.transport import Endpoint

logger = logging.getLogger("llm_proxy.providers.loading")

LeaveOut: TypeAlias = Callable[[str, object], None]
UNREADABLE: Final = (TypeError, ValueError, AttributeError, LookupError)
"""What the making of a spec raises for a row that was stored before there was a check, or past it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The gateway's, for providers that have none of their own. Whoever does not route asks none of them."""

    breaker_threshold: int = 5
    breaker_timeout_s: float = 60.0
    request_timeout_s: float = 600.0


class UnusableRow(ValueError):
    """A stored value that cannot be used; the text says which and why."""


def say_left_out(what: str, why: object) -> None:
    logger.error("%s is left out: %s", what, why)


def load_deployments(defaults: Defaults, *, leave_out: LeaveOut = say_left_out) -> list[DeploymentSpec]:
    """Every enabled deployment of every enabled provider, in three queries.

    `leave_out` is told of each row that cannot be used: one such row must never keep the others from going live."""
    return list(_deployments(load_providers(defaults, leave_out=leave_out), leave_out))


def load_providers(defaults: Defaults = Defaults(), *, leave_out: LeaveOut = say_left_out) -> dict[int, ProviderSpec]:
    """Every enabled provider by its id, also those that serve nothing yet; as `load_deployments`."""
    credentials = usable_credentials(
        Credential.objects.filter(enabled=True, provider__enabled=True).order_by("id"), leave_out
    )
    providers: dict[int, ProviderSpec] = {}
    for row in Provider.objects.filter(enabled=True).prefetch_related("credentials"):
        try:
            providers[row.pk] = provider_spec(row, credentials.get(row.pk, ()), defaults)
        except UNREADABLE as error:
            leave_out(f"provider {row.name}", error)
    return providers


def _deployments(providers: dict[int, ProviderSpec], leave_out: LeaveOut) -> Iterator[DeploymentSpec]:
    rows = Deployment.objects.filter(enabled=True, provider__enabled=True).order_by("id").iterator(2000)
    # A connection lost at the closing of a cursor is the one failure of a query that Django passes on as the driver's own.
    with connection.wrap_database_errors:
        for row in rows:
            provider = providers.get(row.provider_id)
            if provider is not None:
                yield from usable_deployments((row,), provider, leave_out)


def usable_deployments(
    rows: Iterable[Deployment], provider: ProviderSpec, leave_out: LeaveOut = say_left_out
) -> Iterator[DeploymentSpec]:
    for row in rows:
        try:
            yield _deployment_spec(row, provider)
        except UNREADABLE as error:
            leave_out(f"deployment {provider.name}/{row.model}", error)


def usable_credentials(
    rows: Iterable[Credential], leave_out: LeaveOut = say_left_out
) -> dict[int, tuple[CredentialSpec, ...]]:
    """By provider id, in the order of the rows: those that hold a secret."""
    found: dict[int, tuple[CredentialSpec, ...]] = {}
    for row in rows:
        spec = _credential(row, leave_out)
        if spec is not None:
            found[row.provider_id] = (*found.get(row.provider_id, ()), spec)
    return found


def _credential(row: Credential, leave_out: LeaveOut) -> CredentialSpec | None:
    if bounds.is_own_secret(row.environment_variable):
        leave_out(f"credential {row}", f"{row.environment_variable} is the gateway's own secret")
        return None
    try:
        secret = row.reveal()
    except UndecipherableSecret as error:
        leave_out(f"credential {row}", error)
        return None
    return CredentialSpec(id=row.pk, name=row.name, secret=secret, weight=row.weight) if secret else None


def _words(row: Provider | Deployment, column: str) -> frozenset[str]:
    value = getattr(row, column)
    if not isinstance(value, list) or not all(isinstance(word, str) for word in value):
        raise UnusableRow(f"its {column} are no list of words")
    return frozenset(value)


def _options(row: Provider | Deployment) -> dict[str, Any]:
    if not isinstance(row.options, dict):
        raise UnusableRow("its options are no JSON object")
    return row.options


def _headers(row: Provider) -> tuple[tuple[str, str], ...]:
    headers = row.headers
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        raise UnusableRow("its headers are no JSON object of names and values")
    return tuple((name.lower(), value) for name, value in headers.items())


def _price(nano_usd: int | None) -> int | None:
    """A negative one would make budgets grow by spending: it counts as unknown."""
    return None if nano_usd is None or nano_usd < 0 else nano_usd


def provider_spec(
    row: Provider, credentials: tuple[CredentialSpec, ...], defaults: Defaults = Defaults()
) -> ProviderSpec:
    """Raises one of `UNREADABLE`."""
    if row.kind not in REGISTRY:
        raise UnusableRow(f"unknown kind {row.kind}")
    scheme, host, port, path = parse_base_url(row.base_url)
    return ProviderSpec(
        id=row.pk,
        name=row.name,
        kind=row.kind,
        endpoint=Endpoint(
            scheme=scheme,
            host=host,
            port=port,
            connect_timeout_s=row.connect_timeout_s or 3.0,
            keepalive_s=row.keepalive_timeout_s,
            # Sockets beyond the calls we admit, so that the queue for a slot is ours and not the pool's.
            max_connections=row.max_connections + 16,
            allow_private=row.allow_private,
            private_networks=tuple(row.private_networks),
            proxy=settings.UPSTREAM_PROXIES.towards(scheme, host, port),
        ),
        base_path=path.rstrip("/"),
        credentials=credentials,
        headers=_headers(row),
        priority=row.priority,
        weight=row.weight,
        tags=_words(row, "tags"),
        max_concurrency=row.max_connections,
        max_retries=row.max_retries,
        retry_delay_s=row.retry_delay_s,
        answer_timeout_s=row.timeout_s or 300.0,
        first_token_timeout_s=row.timeout_s or 20.0,
        idle_timeout_s=row.idle_timeout_s or 30.0,
        reasoning_first_token_timeout_s=max(row.timeout_s or 0.0, 120.0),
        reasoning_idle_timeout_s=max(row.idle_timeout_s or 0.0, 90.0),
        request_timeout_s=row.request_timeout_s or defaults.request_timeout_s,
        breaker_threshold=row.circuit_breaker_threshold or defaults.breaker_threshold,
        breaker_timeout_s=row.circuit_breaker_timeout_s or defaults.breaker_timeout_s,
        demo=row.source == "demo",
        # Given a key, it is called with one or not at all: an unset variable makes no anonymous calls.
        needs_credential=bool(row.credentials.all()),
        options=_options(row),
    )


def _deployment_spec(row: Deployment, provider: ProviderSpec) -> DeploymentSpec:
    prices: dict[str, Any] = {name: _price(getattr(row, column)) for name, column in PRICE_COLUMNS.items()}
    return DeploymentSpec(
        id=row.pk,
        provider=provider,
        model=row.model,
        upstream_model=row.upstream_model,
        context_window=row.context_window,
        max_output_tokens=row.max_output_tokens,
        prices=Prices(**prices),
        capabilities=_words(row, "capabilities"),
        reasoning=row.reasoning,
        always_searches=always_searches(row.upstream_model),
        priority=row.priority,
        weight=row.weight,
        tags=_words(row, "tags") | provider.tags,
        options=_options(row),
        created=int(row.created_at.timestamp()) if row.created_at else 0,
    )
