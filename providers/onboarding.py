"""Bringing a provider in: test it and keep the report, show its own list of models, adopt some of them as deployments.

These are for threads (views, commands): they use the ORM and run their own event loop for what goes over the network.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from django.db import transaction
from django.utils import timezone

from providers.adapters.model_list import ModelInfo
from providers.addresses import parse_base_url
from providers.bounds import is_model_name
from providers.catalog import UNKNOWN, ModelFacts, is_listed, known_capabilities, model_facts
from providers.conformance import DEFAULT_CAP_NANO_USD, Conformance, Report
from providers.errors import UpstreamError
from providers.http1 import Http1Transport
from providers.loading import UNREADABLE, provider_spec, usable_credentials, usable_deployments
from providers.models import ConformanceReport, Deployment, Provider, Source
from providers.own_models import ask_for_models
from providers.specs import PRICE_COLUMNS, CredentialSpec, DeploymentSpec, ProviderSpec
from providers.transport import Transport

Found = TypeVar("Found")
LIST_TIMEOUT_S = 20.0
REPORTS_KEPT = 20


class UnusableProvider(UpstreamError):
    """What is stored of it cannot be used."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ListedModel:
    """A model in the provider's own list, with what the catalogue knows. `adopted` when a deployment has it already."""

    id: str
    context_window: int | None
    max_output_tokens: int | None
    facts: ModelFacts
    adopted: bool


def spec_of(row: Provider) -> ProviderSpec:
    """The provider as the data plane would see it, also while it is disabled. Raises `UnusableProvider`."""
    credentials = _credentials(row)
    try:
        return provider_spec(row, credentials)
    except UNREADABLE as error:
        raise UnusableProvider(f"{row.name} cannot be used: {error}") from error


def _credentials(row: Provider) -> tuple[CredentialSpec, ...]:
    """Those that can be used. One that cannot be decrypted is as good as none: the test will say so."""
    return usable_credentials(row.credentials.filter(enabled=True).order_by("pk")).get(row.pk, ())


def deployments_of(row: Provider, spec: ProviderSpec) -> tuple[DeploymentSpec, ...]:
    return tuple(usable_deployments(row.deployments.filter(enabled=True).order_by("pk"), spec))


def run_test(
    row: Provider, *, model: str = "", cap_nano_usd: int = DEFAULT_CAP_NANO_USD
) -> tuple[ConformanceReport, Report]:
    """Runs the conformance test, which takes seconds, and keeps its report."""
    spec = spec_of(row)
    deployments = deployments_of(row, spec)
    started_at = timezone.now()

    async def run(transport: Transport) -> Report:
        return await Conformance(transport, spec, deployments, model=model, cap_nano_usd=cap_nano_usd).run()

    report = with_transport(run)
    kept = ConformanceReport.objects.create(
        provider=row,
        model=report.model[:200],
        started_at=started_at,
        duration_s=report.duration_s,
        passed=report.passed,
        results=[result.as_json() for result in report.results],
        tokens=report.tokens,
        cost_nano_usd=report.cost_nano_usd,
    )
    old = row.conformance_reports.order_by("-started_at").values_list("pk", flat=True)[REPORTS_KEPT:]
    ConformanceReport.objects.filter(pk__in=list(old)).delete()
    return kept, report


def listed_models(row: Provider) -> list[ListedModel]:
    """Raises UpstreamError when the list cannot be had."""
    infos = _provider_list(spec_of(row))
    adopted = set(row.deployments.values_list("upstream_model", flat=True))
    facts = _facts(row, [info.id for info in infos])
    return [
        ListedModel(
            id=info.id,
            context_window=info.context_window or facts[info.id].context_window,
            max_output_tokens=info.max_output_tokens,
            facts=facts[info.id],
            adopted=info.id in adopted,
        )
        for info in sorted(infos, key=lambda info: info.id)
    ]


def adopt_models(row: Provider, names: Sequence[str] | None) -> list[Deployment]:
    """New deployments for `names`, or for the provider's whole list with None; those that exist are left alone.
    A name that the list does not have is adopted as well: lists are often incomplete."""
    infos = {info.id: info for info in _list_if_any(row, required=names is None)}
    wanted = list(infos) if names is None else list(dict.fromkeys(names))
    existing = set(row.deployments.values_list("model", flat=True))
    fresh = [name for name in wanted if name not in existing and is_model_name(name)]
    facts = _facts(row, fresh)
    with transaction.atomic():
        return [_adopt(row, infos.get(name) or ModelInfo(id=name), facts[name]) for name in fresh]


def _adopt(row: Provider, info: ModelInfo, facts: ModelFacts) -> Deployment:
    return Deployment.objects.create(
        provider=row,
        model=info.id,
        upstream_model=info.id,
        context_window=info.context_window or facts.context_window,
        max_output_tokens=info.max_output_tokens,
        capabilities=known_capabilities(info.id),
        source=Source.ADMIN,
        **{column: getattr(facts.prices, name) for name, column in PRICE_COLUMNS.items()},
    )


def _facts(row: Provider, names: Sequence[str]) -> dict[str, ModelFacts]:
    if not is_listed(row.kind, parse_base_url(row.base_url).host, row.options):
        return dict.fromkeys(names, UNKNOWN)
    return model_facts(row.kind, names)


def _list_if_any(row: Provider, *, required: bool) -> tuple[ModelInfo, ...]:
    try:
        return _provider_list(spec_of(row))
    except UpstreamError:
        if required:
            raise
        return ()


def _provider_list(spec: ProviderSpec) -> tuple[ModelInfo, ...]:
    return with_transport(lambda transport: ask_for_models(transport, spec, timeout_s=LIST_TIMEOUT_S))


def with_transport(work: Callable[[Transport], Awaitable[Found]]) -> Found:
    async def run() -> Found:
        transport = Http1Transport()
        try:
            return await work(transport)
        finally:
            await transport.aclose()

    return asyncio.run(run())
