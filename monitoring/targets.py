"""Which providers are looked at, as the adapters need them: from rows to probe targets."""

import logging
from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db.models import QuerySet

from monitoring.passive import Recent
from monitoring.probes import Target
from providers.adapters import REGISTRY
from providers.addresses import UrlError
from providers.loading import deployment_spec, provider_spec
from providers.models import Credential, Deployment, Provider
from providers.secrets import UndecipherableSecret
from providers.specs import CredentialSpec, DeploymentSpec, ProviderSpec

logger = logging.getLogger("llm_proxy.monitoring.targets")


class DeploymentName(NamedTuple):
    """`label` is what people read; `ledger_name` what the ledger calls it."""

    id: int
    label: str
    ledger_name: str


class Known(NamedTuple):
    """A target, and the names of its deployments."""

    target: Target
    deployments: tuple[DeploymentName, ...]


def ledger_name(provider: str, deployment: Deployment) -> str:
    return f"{provider}/{deployment.upstream_model}"


def load_targets(
    *, names: Collection[str] = (), ids: Collection[int] | None = None, traffic: Recent, paid: bool = False
) -> list[Known]:
    """Enabled providers; all of them unless `names` or `ids` choose. `paid` also finds each one's cheapest model."""
    rows = Provider.objects.filter(enabled=True).order_by("pk")
    if names:
        rows = rows.filter(name__in=names)
    if ids is not None:
        rows = rows.filter(pk__in=ids)
    credentials = _credentials(rows)
    deployments = _deployments(rows)
    found: list[Known] = []
    for row in rows.prefetch_related("credentials"):
        provider = _spec(row, credentials.get(row.pk, ()))
        if provider is None:
            continue
        own = deployments.get(row.pk, [])
        target = Target(
            provider=provider,
            cheapest=_cheapest(own, provider) if paid else None,
            traffic=traffic.get((row.name, "")),
        )
        known = tuple(DeploymentName(each.pk, f"{row.name}/{each.model}", ledger_name(row.name, each)) for each in own)
        found.append(Known(target, known))
    return found


def _credentials(providers: QuerySet[Provider]) -> dict[int, tuple[CredentialSpec, ...]]:
    found: dict[int, tuple[CredentialSpec, ...]] = {}
    for row in Credential.objects.filter(enabled=True, provider__in=providers).order_by("pk"):
        try:
            secret = row.reveal()
        except UndecipherableSecret:
            logger.error("credential %s cannot be decrypted and is not used", row.pk)
            continue
        if secret:
            spec = CredentialSpec(id=row.pk, name=row.name, secret=secret, weight=row.weight)
            found[row.provider_id] = (*found.get(row.provider_id, ()), spec)
    return found


def _deployments(providers: QuerySet[Provider]) -> dict[int, list[Deployment]]:
    found: dict[int, list[Deployment]] = {}
    for row in Deployment.objects.filter(enabled=True, provider__in=providers).order_by("pk"):
        found.setdefault(row.provider_id, []).append(row)
    return found


def _spec(row: Provider, credentials: tuple[CredentialSpec, ...]) -> ProviderSpec | None:
    if row.kind not in REGISTRY:
        return None
    try:
        # A probe asks neither breaker nor deadline, so any numbers do.
        return provider_spec(row, credentials, breaker_threshold=5, breaker_timeout_s=60.0, request_timeout_s=600.0)
    except UrlError as error:
        logger.error("provider %s is not checked: %s", row.name, error)
        return None


def _cheapest(rows: Iterable[Deployment], provider: ProviderSpec) -> DeploymentSpec | None:
    """Only models with both prices known: what is unpriced cannot be held to a cap."""
    priced = [
        row
        for row in rows
        if row.input_nano_usd_per_mtok is not None
        and row.output_nano_usd_per_mtok is not None
        and "embeddings" not in row.capabilities
    ]
    cheapest = min(priced, key=lambda row: (row.output_nano_usd_per_mtok or 0, row.pk), default=None)
    return None if cheapest is None else deployment_spec(cheapest, provider)
