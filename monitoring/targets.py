"""Which providers are looked at, as the adapters need them: from rows to probe targets."""

import logging
from collections.abc import Collection, Iterable
from typing import NamedTuple

from django.db.models import QuerySet

from monitoring.passive import Recent
from monitoring.probes import Target
from providers.adapters import REGISTRY
from providers.conformance import chats
from providers.loading import UNREADABLE, provider_spec, usable_credentials, usable_deployments
from providers.models import Credential, Deployment, Provider
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
    credentials = usable_credentials(Credential.objects.filter(enabled=True, provider__in=rows).order_by("pk"))
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


def _deployments(providers: QuerySet[Provider]) -> dict[int, list[Deployment]]:
    found: dict[int, list[Deployment]] = {}
    for row in Deployment.objects.filter(enabled=True, provider__in=providers).order_by("pk"):
        found.setdefault(row.provider_id, []).append(row)
    return found


def _spec(row: Provider, credentials: tuple[CredentialSpec, ...]) -> ProviderSpec | None:
    if row.kind not in REGISTRY:
        return None
    try:
        return provider_spec(row, credentials)
    except UNREADABLE as error:
        logger.error("provider %s is not checked: %s", row.name, error)
        return None


def _cheapest(rows: Iterable[Deployment], provider: ProviderSpec) -> DeploymentSpec | None:
    """Only models with both prices known: what is unpriced cannot be held to a cap. Only those that chat:
    what embeds is cheaper, but refuses the probe, which proves nothing or makes its provider look unhealthy."""
    priced = [
        spec
        for spec in usable_deployments(rows, provider)
        if spec.prices.input is not None and spec.prices.output is not None and chats(spec)
    ]
    return min(priced, key=lambda spec: (spec.prices.output or 0, spec.id), default=None)
