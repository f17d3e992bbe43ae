"""Decisions into rows: what was found waits, goes live, changes, drains and is switched off."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Final

from django.core.exceptions import ValidationError
from django.db import transaction

from providers.discovery.found import AddressRules, Findings, Found, NotUsable, provider_document
from providers.discovery.live_rows import (
    AWAY,
    DISCOVERY,
    adopt_model,
    adopt_provider,
    follow_ranges,
    is_model,
    live_document,
    switch_off,
)
from providers.discovery.reconcile import Action, Decision, Known, Plan, Rules, difference, reconcile
from providers.discovery.settings import DiscoverySettings
from providers.models import Deployment, Discovered, DiscoveryState
from providers.types import JsonObject

DELETED: Final = "it was deleted after it had been approved"


def settle(findings: Findings, settings: DiscoverySettings, *, now: datetime) -> Plan:
    """Compares one source's findings with what is known of it, and carries the plan out. Returns what came of it."""
    rows = _rows(findings)
    rules = Rules(
        approves=settings.approves,
        vanish_after=settings.vanish_after,
        drain_for=timedelta(seconds=settings.drain_seconds),
    )
    known = [_known(row, findings.unusable, settings.addresses) for row in rows.values()]
    plan = reconcile(known, findings.found, now=now, rules=rules)
    holders = {row.external_id for row in rows.values() if row.provider is not None}
    # What is missing first: its name is free then for what has taken its place. Then who has a provider, before who may
    # want it.
    ordered = sorted(plan.decisions, key=lambda each: (each.found is not None, each.external_id not in holders))
    done = []
    for decision in ordered:
        row = rows.get(decision.external_id) or Discovered(
            source=findings.source, external_id=decision.external_id, last_seen_at=now
        )
        if decision.action == "keep":
            row.note = f"what it shows now cannot be used: {findings.unusable[row.external_id]}"[:500]
        done.append(replace(decision, action=_carry_out(decision, row, settings.addresses, now)))
    return replace(plan, decisions=tuple(done))


def approve(row: Discovered, rules: AddressRules) -> None:
    """Makes a proposal live, or lets a waiting difference take effect. `row.note` says what is in the way, if anything.
    Raises django's ValidationError for what no row can hold."""
    _approve(row, _awaited(row), rules, by_rule=False)


def _approve(row: Discovered, document: JsonObject, rules: AddressRules, *, by_rule: bool) -> None:
    if is_model(row):
        row.note = adopt_model(row, document, by_rule=by_rule)
        refused = DiscoveryState.DISABLED
    else:
        row.note = adopt_provider(row, document, rules, by_rule=by_rule)
        refused = DiscoveryState.PROPOSED
    row.state = refused if row.note else DiscoveryState.APPROVED
    row.document, row.difference = document, {}
    row.draining_since, row.missed = None, 0
    row.save()


def approve_if_possible(row: Discovered, rules: AddressRules) -> None:
    """As a rule does. What no row can hold, or no rule may decide, waits with a note that says why."""
    _approve_by_rule(row, _awaited(row), rules)


def _awaited(row: Discovered) -> JsonObject:
    return {**row.document, **{name: pair[1] for name, pair in row.difference.items()}}


def _approve_by_rule(row: Discovered, document: JsonObject, rules: AddressRules) -> None:
    state, provider = row.state, row.provider
    try:
        with transaction.atomic():
            _approve(row, document, rules, by_rule=True)
    except ValidationError as error:
        row.state, row.provider = state, provider
        if row.state != DiscoveryState.APPROVED:
            _propose(row, document)
        row.note = "; ".join(error.messages)[:500]
        row.save()


def reject(row: Discovered) -> None:
    """Never proposed again; what was live of it is switched off."""
    switch_off(row)
    row.state = DiscoveryState.REJECTED
    row.save()


# ------------------------------------------------------------------------------------------------- what is known of it


def _rows(findings: Findings) -> dict[str, Discovered]:
    """By the ids that the source is looked at with now, and as operators left them."""
    known = Discovered.objects.filter(source=findings.source).select_related("provider")
    rows = {row.external_id: row for row in known}
    _rename(rows, findings.found)
    providers = [row.provider_id for row in rows.values() if is_model(row) and row.provider_id is not None]
    served = set(Deployment.objects.filter(provider__in=providers).values_list("provider_id", "model"))
    for row in rows.values():
        _follow_operator(row, served)
    return rows


def _rename(rows: dict[str, Discovered], found: Iterable[Found]) -> None:
    """Rows of an earlier version get the ids of this one. Of several that had the same, the one of its address has it."""
    ids = {item.external_id for item in found}

    def elsewhere(item: Found) -> bool:
        row = rows.get(item.former_id)
        return row is None or row.document.get("base_url") != item.document.get("base_url")

    for item in sorted(found, key=elsewhere):
        if item.external_id not in rows and item.former_id not in ids and item.former_id in rows:
            row = rows[item.external_id] = rows.pop(item.former_id)
            row.external_id = item.external_id


def _follow_operator(row: Discovered, served: Collection[tuple[int, str]]) -> None:
    """What became of its provider or model outside discovery. Deleting what is live rejects it."""
    deleted = row.provider is None or (is_model(row) and (row.provider.pk, row.external_id) not in served)
    if row.state == DiscoveryState.APPROVED:
        if is_model(row) and row.provider is None:
            # Its provider was deleted, and it only with it: of another one of that name, it is new.
            row.state = DiscoveryState.PROPOSED
        elif deleted:
            row.state, row.difference, row.note = DiscoveryState.REJECTED, {}, DELETED
        elif not is_model(row) and row.provider is not None and row.provider.source != DISCOVERY:
            row.state, row.provider = DiscoveryState.PROPOSED, None
    elif row.state in AWAY and deleted:
        row.provider = None


def _known(row: Discovered, unusable: Mapping[str, str], rules: AddressRules) -> Known:
    shown_wrongly = row.external_id in unusable
    return Known(
        external_id=row.external_id,
        state=row.state,  # type: ignore[arg-type]
        document=row.document,
        missed=row.missed,
        draining_since=row.draining_since,
        shown_wrongly=shown_wrongly,
        permitted=not shown_wrongly or _is_permitted(row, rules),
    )


def _is_permitted(row: Discovered, rules: AddressRules) -> bool:
    try:
        provider_document(row.document, rules)
    except NotUsable:
        return False
    return True


# ---------------------------------------------------------------------------------------------------------- decisions


def _carry_out(decision: Decision, row: Discovered, rules: AddressRules, now: datetime) -> Action:
    if decision.found is not None:
        return _seen(decision.action, decision.found, row, rules, now)
    if decision.action == "keep":
        row.last_seen_at, row.missed = now, 0
        follow_ranges(row, rules)
    elif decision.action in ("miss", "drain", "disable"):
        row.missed += 1
    if decision.action == "drain":
        # Off for new calls at once; running ones hold the table they began with and end on it.
        row.kept_off = not switch_off(row)
        row.state, row.draining_since = DiscoveryState.DRAINING, now
    elif decision.action == "disable":
        row.state = DiscoveryState.DISABLED
    row.save()
    return decision.action


def _seen(action: Action, found: Found, row: Discovered, rules: AddressRules, now: datetime) -> Action:
    row.last_seen_at, row.missed, row.name = now, 0, found.name
    follow_ranges(row, rules)
    if action == "ignore":
        pass
    elif action == "propose" or (action == "revive" and row.provider is None):
        # What was never live has never been approved, and what comes back as something else has not been either.
        _propose(row, found.document)
        action = "propose"
    elif action == "refresh" and row.state != DiscoveryState.APPROVED:
        _propose(row, found.document)
    else:
        row.difference = difference(row.document, found.document)
        if action in ("approve", "update", "revive"):
            return _adopt(action, row, found.document, rules)
        row.note = ""
    row.save()
    return action


def _adopt(action: Action, row: Discovered, document: JsonObject, rules: AddressRules) -> Action:
    """What came of it: it may have to wait."""
    is_new, waited = row.pk is None, row.state == DiscoveryState.PROPOSED
    _approve_by_rule(row, document, rules)
    if row.state != DiscoveryState.APPROVED:
        return "refresh" if waited and not is_new else "propose"
    return "differ" if row.difference else action


def _propose(row: Discovered, document: JsonObject) -> None:
    live = live_document(row)
    row.state, row.document = DiscoveryState.PROPOSED, document
    row.difference = difference(live, document) if live else {}
    row.draining_since = None
