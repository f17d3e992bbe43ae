"""What is live of a discovery: a provider with its key and its models, or one model of a provider.

It is written where the source changed what it says, and nowhere else: what an operator set, switched off or deleted
there stays so. A rule (`by_rule`: `auto_approve`, `--approve`) switches on only what discovery itself switched off.
"""

from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.utils import timezone

from providers.catalog import known_capabilities
from providers.discovery import consul, model_lists
from providers.discovery.found import AddressRules, safe_name
from providers.models import Credential, Deployment, Discovered, DiscoveryState, Provider, Source
from providers.types import JsonObject

DISCOVERY: Final = Source.DISCOVERY.value
AWAY: Final = (DiscoveryState.DRAINING, DiscoveryState.DISABLED)
COLUMNS: Final = ("kind", "base_url", "priority", "weight", "tags")


def is_model(row: Discovered) -> bool:
    return row.source.startswith(model_lists.SOURCE)


def live_document(row: Discovered) -> JsonObject:
    """What was written last of it: a difference, or a proposal after it was away, has that on its left side."""
    return {} if row.provider is None else {**row.document, **{name: pair[0] for name, pair in row.difference.items()}}


def follow_ranges(row: Discovered, rules: AddressRules) -> None:
    """Ranges are the operator's word and not the source's: a change of them holds for what is live already."""
    if row.state == DiscoveryState.APPROVED and row.provider is not None and row.provider.source == DISCOVERY:
        _save_if_different(row.provider, {"private_networks": list(rules.allow_cidrs)})


def switch_off(row: Discovered) -> bool:
    """Whether it was on until now."""
    target: Any = row.provider
    if row.provider is not None and is_model(row):
        target = row.provider.deployments.filter(model=row.external_id).first()
    if target is None or target.source != DISCOVERY or not target.enabled:
        return False
    _save_if_different(target, {"enabled": False})
    return True


# ---------------------------------------------------------------------------------------------------------- providers


def adopt_provider(row: Discovered, document: Mapping[str, Any], rules: AddressRules, *, by_rule: bool) -> str:
    """`row` is still as it was before. Returns what is in the way, if anything. Raises django's ValidationError for what
    no row can hold and for what no rule may decide; then nothing may be kept of it."""
    provider = row.provider or _of_name(row, document["name"])
    others = _others(provider, row)
    if provider.pk is not None and (why := _taken(provider, others, by_rule=by_rule)):
        row.provider = None
        return why
    before = next((live_document(each) for each in (row, *others) if each.provider is not None), {})
    if by_rule:
        _ask_an_operator(provider, before, document)
    wanted = {name: document[name] for name in COLUMNS if before.get(name) != document[name]}
    wanted |= {"allow_private": False, "private_networks": list(rules.allow_cidrs)}
    if _switches_on(row, others, by_rule=by_rule):
        wanted["enabled"] = True
    _let_go(others)
    _save_if_different(provider, wanted)
    row.provider = provider
    if before.get("api_key_env") != document.get("api_key_env"):
        _adopt_credential(provider, document.get("api_key_env"))
    _adopt_models(provider, before.get("models") or [], list(document["models"]))
    return ""


def _of_name(row: Discovered, name: str) -> Provider:
    found = Provider.objects.filter(name=name).first()
    if found is not None and row.source == consul.SOURCE and _shown(_others(found, row)).filter(source=row.source):
        # The same ID on another node: this one is called by its node as well.
        name = safe_name(row.external_id)
        found = Provider.objects.filter(name=name).first()
    return found or Provider(name=name, source=DISCOVERY)


def _others(provider: Provider, row: Discovered) -> "QuerySet[Discovered]":
    """Rows that have the same provider, or had it last."""
    if provider.pk is None:
        return Discovered.objects.none()
    rows = provider.discoveries.exclude(pk=row.pk).exclude(source__startswith=model_lists.SOURCE)
    return rows.order_by("-last_seen_at")


def _shown(others: "QuerySet[Discovered]") -> "QuerySet[Discovered]":
    return others.filter(state=DiscoveryState.APPROVED, missed=0)


def _taken(provider: Provider, others: "QuerySet[Discovered]", *, by_rule: bool) -> str:
    """Whose the provider is instead; nobody's when it was another row's that is shown no more, as of an instance that was
    made anew on another node."""
    if provider.source != DISCOVERY:
        return f"a provider named {provider.name} was entered otherwise; rename one of the two"
    holder = _shown(others).first()
    if holder is not None:
        place = f"{holder.external_id[:100]} by {holder.source}"
        return f"a provider named {provider.name} was found as {place} as well; rename one of the two"
    rejected = others.filter(state=DiscoveryState.REJECTED).first()
    if rejected is not None and by_rule:
        return f"a provider named {provider.name} was rejected when it was found by {rejected.source}"
    return ""


def _let_go(others: "QuerySet[Discovered]") -> None:
    """The end of another row would be the provider's. It is live no more: should it be shown again, it asks to be."""
    others.filter(state=DiscoveryState.APPROVED).update(state=DiscoveryState.DRAINING, draining_since=timezone.now())
    others.update(provider=None)


def _switches_on(row: Discovered, others: "QuerySet[Discovered]", *, by_rule: bool) -> bool:
    if row.state == DiscoveryState.APPROVED and row.difference:
        return False
    if not by_rule:
        return True
    holders = [row] if row.provider is not None else list(others)
    # A proposal that has a provider was away, and came back as something else.
    return any(each.state in (*AWAY, DiscoveryState.PROPOSED) and not each.kept_off for each in holders)


def _ask_an_operator(provider: Provider, before: Mapping[str, Any], document: Mapping[str, Any]) -> None:
    if before.get("models") and not document["models"]:
        raise ValidationError("it shows no models any more; approve that on the page of what was discovered")
    if provider.pk is None or document["base_url"] in (before.get("base_url"), provider.base_url):
        return
    if provider.credentials.exclude(name=DISCOVERY, ciphertext="").exists():
        raise ValidationError("keys that were entered here would go to another address; approve that on its page")


def _adopt_credential(provider: Provider, variable: str | None) -> None:
    known = provider.credentials.filter(name=DISCOVERY).first()
    if variable:
        _save_if_different(known or Credential(provider=provider, name=DISCOVERY), {"environment_variable": variable})
    elif known is not None:
        known.delete()


def _adopt_models(provider: Provider, before: list[str], models: list[str]) -> None:
    known = {deployment.model: deployment for deployment in provider.deployments.all()}
    for model in models:
        if model not in known and model not in before:
            _new_deployment(provider, model, source=DISCOVERY).save()
    own_list = set(
        Discovered.objects.filter(
            source=model_lists.source_of(provider.name), state=DiscoveryState.APPROVED
        ).values_list("external_id", flat=True)
    )
    for name, deployment in known.items():
        gone = name not in models and name not in own_list and deployment.source == DISCOVERY
        # One that is off stays, or it would be on when the source shows it again.
        if gone and deployment.enabled:
            deployment.delete()


# ------------------------------------------------------------------------------------------------------------- models


def adopt_model(row: Discovered, document: Mapping[str, Any], *, by_rule: bool) -> str:
    """As `adopt_provider`."""
    provider = Provider.objects.filter(name=document["provider"]).first()
    if provider is None:
        return "its provider is gone"
    deployment = provider.deployments.filter(model=document["model"]).first()
    wanted = {
        "upstream_model": document["model"],
        "context_window": document["context_window"],
        "max_output_tokens": document["max_output_tokens"],
        "source": DISCOVERY,
    }
    if _switches_on(row, Discovered.objects.none(), by_rule=by_rule):
        wanted["enabled"] = True
    row.provider = provider
    if deployment is None or deployment.source == DISCOVERY:
        _save_if_different(deployment or _new_deployment(provider, document["model"]), wanted)
    return ""


def _new_deployment(provider: Provider, model: str, **fields: Any) -> Deployment:
    """What it can do is only guessed from its name, so it is set once: whoever corrects it is right."""
    return Deployment(provider=provider, model=model, capabilities=known_capabilities(model), **fields)


def _save_if_different(row: Any, wanted: Mapping[str, Any]) -> None:
    if row.pk is not None and all(getattr(row, name) == value for name, value in wanted.items()):
        return
    for name, value in wanted.items():
        setattr(row, name, value)
    row.clean_fields()
    row.save()
