"""One look at every source that is configured. Asking happens outside any transaction; what follows is one change."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.utils import timezone

from providers.control_plane import ControlPlaneClient
from providers.discovery import consul, kubernetes, model_lists, registry
from providers.discovery.adoption import approve_if_possible, settle
from providers.discovery.found import Findings, SourceFailed
from providers.discovery.reconcile import Plan
from providers.discovery.settings import DiscoverySettings, surroundings
from providers.loading import UNREADABLE, load_providers
from providers.models import Deployment, Discovered, DiscoverySource, DiscoveryState
from providers.specs import ProviderSpec

CHANGING = ("approve", "update", "drain", "disable", "revive")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelList:
    """A provider to ask, and the names of its models that are known already."""

    provider: ProviderSpec
    known: frozenset[str]


def discover(*, approve_all: bool = False, wait_s: float = 0.0) -> dict[str, Any]:
    """Looks now. `approve_all` also approves what is proposed; `wait_s` waits so long for a change where a source can.

    Returns {"sources": [{source, found, error, held, refused: [{name, reason}]}], "changes": {action: [names]},
    "proposed": [names]}.
    """
    given = surroundings()
    settings = given.settings()
    lists = _model_lists() if settings.model_lists else []
    positions = dict(DiscoverySource.objects.values_list("name", "position"))
    all_findings = asyncio.run(_look(settings, lists, positions, wait_s))
    with given.one_change(source="discovery", reason="discovery"):
        report = _settle(all_findings, settings, timezone.now())
        if approve_all:
            report["changes"].setdefault("approve", []).extend(_approve_proposals(settings))
    report["proposed"] = sorted(Discovered.objects.filter(state=DiscoveryState.PROPOSED).values_list("name", flat=True))
    return report


def _model_lists() -> list[ModelList]:
    providers = load_providers()
    # What discovery itself has adopted must be found again, or it would count as vanished.
    known: dict[int, set[str]] = {}
    for provider_id, name in Deployment.objects.exclude(source="discovery").values_list(
        "provider_id", "upstream_model"
    ):
        known.setdefault(provider_id, set()).add(name)
    return [
        ModelList(provider=provider, known=frozenset(known.get(provider.id, ())))
        for provider in providers.values()
        if not provider.demo
    ]


async def _look(
    settings: DiscoverySettings, lists: list[ModelList], positions: dict[str, str], wait_s: float
) -> list[Findings]:
    timeout_s, rules = settings.timeout_s + wait_s, settings.addresses
    async with ControlPlaneClient(timeout_s=timeout_s, connections=settings.connections) as client:
        looks: list[Awaitable[Findings | None]] = []
        if settings.registry is not None:
            looks.append(_kept(registry.SOURCE, registry.look(client, settings.registry, rules)))
        if settings.consul is not None:
            position = positions.get(consul.SOURCE, "")
            asked = consul.look(client, settings.consul, rules, position=position, wait_s=wait_s)
            looks.append(_kept(consul.SOURCE, asked))
        if settings.kubernetes is not None:
            looks.append(_kept(kubernetes.SOURCE, kubernetes.look(client, settings.kubernetes, rules)))
        for item in lists:
            source = model_lists.source_of(item.provider.name)
            looks.append(_kept(source, model_lists.look(client, item.provider, item.known)))
        return [findings for findings in await asyncio.gather(*looks) if findings is not None]


async def _kept(source: str, look: Awaitable[Findings | None]) -> Findings | None:
    """A failure of one source becomes its finding, so that the others are not disturbed."""
    try:
        return await look
    except SourceFailed as error:
        return Findings(source=source, error=str(error)[:500] or "failed")
    except UNREADABLE as error:
        return Findings(source=source, error=f"its answer cannot be read ({type(error).__name__}: {error})"[:500])


def _settle(all_findings: list[Findings], settings: DiscoverySettings, now: datetime) -> dict[str, Any]:
    sources = []
    changes: dict[str, list[str]] = {}
    for findings in all_findings:
        plan = Plan(decisions=()) if findings.error else settle(findings, settings, now=now)
        _remember(findings, now)
        sources.append(_source_report(findings, plan))
        for decision in plan.decisions:
            if decision.action in CHANGING or decision.action in ("propose", "differ"):
                name = decision.found.name if decision.found else decision.external_id
                changes.setdefault(decision.action, []).append(name)
    return {"sources": sources, "changes": changes}


def _source_report(findings: Findings, plan: Plan) -> dict[str, Any]:
    return {
        "source": findings.source,
        "found": len(findings.found),
        "error": findings.error or None,
        "held": plan.held,
        "refused": [{"name": name, "reason": why} for name, why in findings.refused],
    }


def _remember(findings: Findings, now: datetime) -> None:
    row = DiscoverySource.objects.filter(name=findings.source).first() or DiscoverySource(name=findings.source)
    row.looked_at, row.error = now, findings.error
    if not findings.error:
        row.worked_at, row.found, row.position = now, len(findings.found), findings.position
    row.save()


def _approve_proposals(settings: DiscoverySettings) -> list[str]:
    names = []
    waiting = Discovered.objects.filter(state=DiscoveryState.PROPOSED) | Discovered.objects.filter(
        state=DiscoveryState.APPROVED
    ).exclude(difference={})
    for row in waiting.select_related("provider"):
        approve_if_possible(row, settings.addresses)
        if row.state == DiscoveryState.APPROVED and not row.difference:
            names.append(row.name)
    return names
