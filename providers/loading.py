"""From rows to specs: what the data plane may know of providers, credentials and deployments."""

import logging
from collections.abc import Iterator

from providers.adapters import REGISTRY
from providers.addresses import parse_base_url
from providers.models import Credential, Deployment, Provider
from providers.secrets import UndecipherableSecret
from providers.specs import CredentialSpec, DeploymentSpec, Prices, ProviderSpec
from providers.transport import Endpoint

logger = logging.getLogger("llm_proxy.providers.loading")


def load_deployments(
    *, breaker_threshold: int, breaker_timeout_s: float, request_timeout_s: float
) -> list[DeploymentSpec]:
    """Every enabled deployment of every enabled provider, in three queries. The arguments are the gateway's defaults."""
    credentials: dict[int, list[CredentialSpec]] = {}
    for credential in Credential.objects.filter(enabled=True, provider__enabled=True).order_by("id"):
        spec = _credential(credential)
        if spec is not None:
            credentials.setdefault(credential.provider_id, []).append(spec)
    providers: dict[int, ProviderSpec] = {}
    for row in Provider.objects.filter(enabled=True).prefetch_related("credentials"):
        if row.kind not in REGISTRY:
            logger.error("provider %s is left out: unknown kind %s", row.name, row.kind)
            continue
        providers[row.pk] = provider_spec(
            row,
            tuple(credentials.get(row.pk, ())),
            breaker_threshold=breaker_threshold,
            breaker_timeout_s=breaker_timeout_s,
            request_timeout_s=request_timeout_s,
        )
    return list(_deployments(providers))


def _deployments(providers: dict[int, ProviderSpec]) -> Iterator[DeploymentSpec]:
    for row in Deployment.objects.filter(enabled=True, provider__enabled=True).order_by("id").iterator(2000):
        provider = providers.get(row.provider_id)
        if provider is not None:
            yield deployment_spec(row, provider)


def _credential(row: Credential) -> CredentialSpec | None:
    try:
        secret = row.reveal()
    except UndecipherableSecret as error:
        logger.error("credential %s is left out: %s", row.pk, error)
        return None
    return CredentialSpec(id=row.pk, name=row.name, secret=secret, weight=row.weight) if secret else None


def provider_spec(
    row: Provider,
    credentials: tuple[CredentialSpec, ...],
    *,
    breaker_threshold: int,
    breaker_timeout_s: float,
    request_timeout_s: float,
) -> ProviderSpec:
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
        ),
        base_path=path.rstrip("/"),
        credentials=credentials,
        headers=tuple((name.lower(), value) for name, value in row.headers.items()),
        priority=row.priority,
        weight=row.weight,
        tags=frozenset(row.tags),
        max_concurrency=row.max_connections,
        max_retries=row.max_retries,
        retry_delay_s=row.retry_delay_s,
        answer_timeout_s=row.timeout_s or 300.0,
        first_token_timeout_s=row.timeout_s or 20.0,
        idle_timeout_s=row.idle_timeout_s or 30.0,
        reasoning_first_token_timeout_s=max(row.timeout_s or 0.0, 120.0),
        reasoning_idle_timeout_s=max(row.idle_timeout_s or 0.0, 90.0),
        request_timeout_s=row.request_timeout_s or request_timeout_s,
        breaker_threshold=row.circuit_breaker_threshold or breaker_threshold,
        breaker_timeout_s=row.circuit_breaker_timeout_s or breaker_timeout_s,
        demo=row.source == "demo",
        needs_credential=REGISTRY[row.kind].needs_credential and bool(row.credentials.all()),
        options=row.options,
    )


def deployment_spec(row: Deployment, provider: ProviderSpec) -> DeploymentSpec:
    return DeploymentSpec(
        id=row.pk,
        provider=provider,
        model=row.model,
        upstream_model=row.upstream_model,
        context_window=row.context_window,
        max_output_tokens=row.max_output_tokens,
        prices=Prices(
            input=row.input_nano_usd_per_mtok,
            output=row.output_nano_usd_per_mtok,
            cached_input=row.cached_input_nano_usd_per_mtok,
            cache_write=row.cache_write_nano_usd_per_mtok,
        ),
        capabilities=frozenset(row.capabilities),
        reasoning=row.reasoning,
        priority=row.priority,
        weight=row.weight,
        tags=frozenset(row.tags) | provider.tags,
        options=row.options,
    )
