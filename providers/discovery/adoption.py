"""Decisions into rows: what was found becomes a provider (or a model of one), changes, drains and is switched off."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.db.models import Q
from django.utils import timezone

from providers.catalog import known_capabilities
from providers.discovery import model_lists
from providers.discovery.found import AddressRules, Findings, Found
from providers.discovery.reconcile import Decision, Known, Plan, Rules, difference, reconcile
from providers.discovery.settings import DiscoverySettings
from providers.models import Credential, Deployment, Discovered, DiscoveryState, Provider, Source

DISCOVERY = Source.DISCOVERY.value


def settle(findings: Findings, settings: DiscoverySettings, *, now: datetime) -> Plan:
    """Compares one source's findings with what is known of it, and carries the plan out."""
    known = Discovered.objects.filter(source=findings.source).select_related("provider")
    rows = {row.external_id: row for row in known}
    rules = Rules(
        approves=settings.approves,
        vanish_after=settings.vanish_after,
        drain_for=timedelta(seconds=settings.drain_seconds),
    )
    plan = reconcile([_known(row) for row in rows.values()], findings.found, now=now, rules=rules)
    holders = {row.external_id for row in rows.values() if row.provider is not None}
    # What is missing first: its name is free then for what has taken its place. Then who has a provider, before who may
    # want it.
    for decision in sorted(plan.decisions, key=lambda each: (each.found is not None, each.external_id not in holders)):
        row = rows.get(decision.external_id) or Discovered(
            source=findings.source, external_id=decision.external_id, last_seen_at=now
        )
        _carry_out(decision, row, settings.addresses, now)
    return plan


def approve(row: Discovered, rules: AddressRules) -> None:
    """Makes a proposal live, or lets a waiting difference take effect. `row.note` says what is in the way, if anything."""
    document = {**row.document, **{name: pair[1] for name, pair in row.difference.items()}}
    row.document, row.difference, row.note = document, {}, ""
    row.draining_since, row.missed = None, 0
    row.state = DiscoveryState.APPROVED
    if row.source.startswith(model_lists.SOURCE):
        _adopt_model(row, document)
    else:
        _adopt_provider(row, document, rules)
    row.save()


def approve_if_possible(row: Discovered, rules: AddressRules) -> None:
    """What no row can hold waits, with a note that says why, and keeps nothing else of the look back."""
    before = row.state, row.document, row.difference, row.provider
    try:
        with transaction.atomic():
            approve(row, rules)
    except ValidationError as error:
        row.state, row.document, row.difference, row.provider = before
        if row.state != DiscoveryState.APPROVED:
            row.state = DiscoveryState.PROPOSED
        row.note = "; ".join(error.messages)[:500]
        row.save()


def reject(row: Discovered) -> None:
    """Never proposed again; what was live of it is switched off."""
    _switch(row, enabled=False)
    row.state = DiscoveryState.REJECTED
    row.save()


def _known(row: Discovered) -> Known:
    return Known(
        external_id=row.external_id,
        state=row.state,  # type: ignore[arg-type]
        document=row.document,
        missed=row.missed,
        draining_since=row.draining_since,
    )


def _carry_out(decision: Decision, row: Discovered, rules: AddressRules, now: datetime) -> None:
    if decision.found is not None:
        _seen(decision, decision.found, row, rules, now)
        return
    row.missed += 1
    if decision.action == "drain":
        # Off for new calls at once; running ones hold the table they began with and end on it.
        _switch(row, enabled=False)
        row.state, row.draining_since = DiscoveryState.DRAINING, now
    elif decision.action == "disable":
        row.state = DiscoveryState.DISABLED
    row.save()


def _seen(decision: Decision, found: Found, row: Discovered, rules: AddressRules, now: datetime) -> None:
    row.last_seen_at, row.missed, row.name = now, 0, found.name
    _follow_ranges(row, rules)
    if decision.action == "ignore":
        row.save()
    elif decision.action == "differ":
        row.difference = difference(row.document, found.document)
        row.save()
    elif decision.action == "propose" or (decision.action == "revive" and row.provider is None):
        # What was never live has never been approved, and what comes back as something else has not been either.
        row.state, row.document, row.difference = DiscoveryState.PROPOSED, found.document, {}
        row.draining_since = None
        row.save()
    elif decision.action == "update":
        row.difference = difference(row.document, found.document)
        approve_if_possible(row, rules)
    elif decision.action in ("approve", "revive"):
        row.document, row.difference = found.document, {}
        approve_if_possible(row, rules)
    else:
        row.document = row.document if row.state == DiscoveryState.APPROVED else found.document
        row.difference = {}
        row.save()


# ---------------------------------------------------------------------------------------------------------- providers


def _adopt_provider(row: Discovered, document: Mapping[str, Any], rules: AddressRules) -> None:
    provider = row.provider or Provider.objects.filter(name=document["name"]).first()
    if provider is not None and (why := _taken(provider, row)):
        row.state, row.provider = DiscoveryState.PROPOSED, None
        row.note = f"a provider named {provider.name} was {why}; rename one of the two"
        return
    provider = provider or Provider(name=document["name"], source=DISCOVERY)
    wanted = {
        "kind": document["kind"],
        "base_url": document["base_url"],
        "priority": document["priority"],
        "weight": document["weight"],
        "tags": list(document["tags"]),
        "enabled": True,
        "allow_private": False,
        "private_networks": list(rules.allow_cidrs),
    }
    _save_if_different(provider, wanted)
    row.provider = provider
    _adopt_credential(provider, document.get("api_key_env"))
    _adopt_models(provider, list(document["models"]))


def _taken(provider: Provider, row: Discovered) -> str:
    """Whose the provider is instead; nobody's when it was another row's that is shown no more, as when a pod or service
    was made anew under its name. That row lets go of it then, or its end would be the provider's, and is live no more:
    should it be shown again, it asks to be."""
    if provider.source != DISCOVERY:
        return "entered otherwise"
    others = provider.discoveries.exclude(pk=row.pk).exclude(source__startswith=model_lists.SOURCE)
    holder = others.filter(state=DiscoveryState.APPROVED, missed=0).first()
    if holder is not None:
        return f"found as {holder.external_id[:100]} by {holder.source} as well"
    live = others.filter(state=DiscoveryState.APPROVED)
    live.update(state=DiscoveryState.DRAINING, draining_since=timezone.now())
    others.update(provider=None)
    return ""


def _save_if_different(row: Any, wanted: Mapping[str, Any]) -> None:
    if row.pk is not None and all(getattr(row, name) == value for name, value in wanted.items()):
        return
    for name, value in wanted.items():
        setattr(row, name, value)
    row.clean_fields()
    row.save()


def _follow_ranges(row: Discovered, rules: AddressRules) -> None:
    """Ranges are the operator's word and not the source's: a change of them holds for what is live already."""
    if row.state == DiscoveryState.APPROVED and row.provider is not None and row.provider.source == DISCOVERY:
        _save_if_different(row.provider, {"private_networks": list(rules.allow_cidrs)})


def _adopt_credential(provider: Provider, variable: str | None) -> None:
    known = provider.credentials.filter(name=DISCOVERY).first()
    if variable:
        _save_if_different(known or Credential(provider=provider, name=DISCOVERY), {"environment_variable": variable})
    elif known is not None:
        known.delete()


def _adopt_models(provider: Provider, models: list[str]) -> None:
    known = {deployment.model: deployment for deployment in provider.deployments.all()}
    for model in models:
        if model not in known:
            _new_deployment(provider, model, source=DISCOVERY).save()
    own_list = set(
        Discovered.objects.filter(Q(source=model_lists.source_of(provider.name)), state="approved").values_list(
            "external_id", flat=True
        )
    )
    for name, deployment in known.items():
        if name not in models and name not in own_list and deployment.source == DISCOVERY:
            deployment.delete()


# ------------------------------------------------------------------------------------------------------------- models


def _adopt_model(row: Discovered, document: Mapping[str, Any]) -> None:
    provider = Provider.objects.filter(name=document["provider"]).first()
    if provider is None:
        row.state, row.note = DiscoveryState.DISABLED, "its provider is gone"
        return
    row.provider = provider
    deployment = provider.deployments.filter(model=document["model"]).first()
    if deployment is not None and deployment.source != DISCOVERY:
        return
    wanted = {
        "upstream_model": document["model"],
        "context_window": document["context_window"],
        "max_output_tokens": document["max_output_tokens"],
        "enabled": True,
        "source": DISCOVERY,
    }
    _save_if_different(deployment or _new_deployment(provider, document["model"]), wanted)


def _new_deployment(provider: Provider, model: str, **fields: Any) -> Deployment:
    """What it can do is only guessed from its name, so it is set once: whoever corrects it is right."""
    return Deployment(provider=provider, model=model, capabilities=known_capabilities(model), **fields)


def _switch(row: Discovered, *, enabled: bool) -> None:
    if row.provider is None:
        return
    target: Any = row.provider
    if row.source.startswith(model_lists.SOURCE):
        target = row.provider.deployments.filter(model=row.external_id, source=DISCOVERY).first()
    if target is not None and target.source == DISCOVERY:
        _save_if_different(target, {"enabled": enabled})
