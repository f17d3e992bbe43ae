"""What is known and what was found → what to do about it. Pure; time is an argument.

    new                      → propose, or approve where a rule says so
    proposed, seen again     → refresh
    live and unchanged       → refresh
    live and changed         → update where a rule says so, else differ (the difference waits for an operator)
    live and not seen        → miss; after `vanish_after` looks in a row → drain (no new calls, running ones end)
    live and shown wrongly   → keep as it is; but what the operator's own rules no longer permit counts as not seen
    draining long enough     → disable
    draining or disabled and seen again → revive; propose anew if it is not what was approved and no rule says so
    rejected                 → nothing, ever

A source that is down is not reconciled at all, and one that suddenly shows nothing while something of it is live is
held: an empty list is more often a fault than a wish, and a pool must not be emptied by it.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias

from providers.discovery.found import Found
from providers.types import JsonObject

State: TypeAlias = Literal["proposed", "approved", "rejected", "draining", "disabled"]
Action: TypeAlias = Literal[
    "propose", "approve", "refresh", "update", "differ", "keep", "miss", "drain", "disable", "revive", "ignore"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """A row of an earlier look. `missed` counts looks in a row that did not show it. `shown_wrongly`: this look shows
    something of that id that cannot be used. `permitted`: the operator's rules still allow what it is."""

    external_id: str
    state: State
    document: JsonObject
    missed: int = 0
    draining_since: datetime | None = None
    shown_wrongly: bool = False
    permitted: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    external_id: str
    action: Action
    found: Found | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    decisions: tuple[Decision, ...]
    held: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    approves: Callable[[Found], bool]
    vanish_after: int = 2
    drain_for: timedelta = timedelta(seconds=600)


def reconcile(known: Iterable[Known], found: Iterable[Found], *, now: datetime, rules: Rules) -> Plan:
    rows = {row.external_id: row for row in known}
    seen = {item.external_id: item for item in found}
    live = [row for row in rows.values() if row.state == "approved"]
    held = bool(live) and not seen
    decisions = [_about_found(item, rows.get(item.external_id), rules) for item in seen.values()]
    for row in rows.values():
        if row.external_id not in seen:
            decisions.append(_about_missing(row, held=held, now=now, rules=rules))
    return Plan(decisions=tuple(decisions), held=held)


def _about_found(item: Found, row: Known | None, rules: Rules) -> Decision:
    def decided(action: Action) -> Decision:
        return Decision(external_id=item.external_id, action=action, found=item)

    if row is None:
        return decided("approve" if rules.approves(item) else "propose")
    if row.state == "rejected":
        return decided("ignore")
    changed = difference(row.document, item.document)
    if row.state in ("draining", "disabled"):
        # Who has never drained was a proposal when it went, maybe of another document than was approved.
        as_approved = row.draining_since is not None and not changed
        return decided("revive" if as_approved or rules.approves(item) else "propose")
    if row.state == "proposed":
        return decided("approve" if rules.approves(item) else "refresh")
    if not changed:
        return decided("refresh")
    return decided("update" if rules.approves(item) else "differ")


def _about_missing(row: Known, *, held: bool, now: datetime, rules: Rules) -> Decision:
    action: Action = "ignore"
    if row.state == "draining":
        over = row.draining_since is None or now - row.draining_since >= rules.drain_for
        action = "disable" if over else "ignore"
    elif row.state == "proposed":
        action = "disable" if row.missed + 1 >= rules.vanish_after else "miss"
    elif row.state == "approved" and row.shown_wrongly and row.permitted:
        action = "keep"
    elif row.state == "approved" and not (held and row.permitted):
        action = "drain" if row.missed + 1 >= rules.vanish_after else "miss"
    return Decision(external_id=row.external_id, action=action)


def difference(before: JsonObject, after: JsonObject) -> dict[str, list[Any]]:
    """`{key: [before, after]}` of what changed. What is not there is None: an approved change may have taken it away."""
    return {
        name: [before.get(name), after.get(name)] for name in {**before, **after} if before.get(name) != after.get(name)
    }
