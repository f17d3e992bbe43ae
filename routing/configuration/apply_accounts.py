"""The document's teams and client keys into the accounts tables. Called inside `apply`'s transaction."""

from collections.abc import Callable, Collection, Iterable, Mapping
from typing import Any

from django.conf import settings

from accounts.keys import NewKey, free_form_key, identify
from accounts.models import ApiKey, Budget, Limit, Team
from routing.configuration.columns import as_json
from routing.configuration.document import BudgetEntry, KeyEntry, TeamEntry
from routing.configuration.findings import PLACEHOLDERS
from routing.configuration.rows import RowRefused, save_if_different, written_for
from routing.configuration.veiled import shown_variable
from routing.revisions import record
from rows.file_rows import FILE

DEFAULT_NAME = "key from file"


def teams(wanted: Mapping[str, TeamEntry]) -> None:
    for name, entry in wanted.items():
        managed_by = "" if entry.managed_by == "admin" else entry.managed_by
        columns = {
            "enabled": entry.enabled,
            "cache_enabled": entry.cache,
            "payload_logging": entry.payload_logging,
            "metadata": as_json(entry.metadata),
            "managed_by": managed_by,
        }
        with written_for(f"teams.{name}"):
            team = save_if_different(Team, {"name": name}, columns)
            _limit("team", team, entry, managed_by)
            _budgets(team, entry.budgets, managed_by)


def _limit(scope: str, owner: Team | ApiKey, entry: TeamEntry | KeyEntry, managed_by: str) -> None:
    wanted = {"requests": entry.rpm, "tokens": entry.tpm, "concurrency": entry.max_concurrency}
    windows = {"requests_window_s": entry.requests_window, "tokens_window_s": entry.tokens_window}
    existing = Limit.objects.filter(**{scope: owner}).first()
    if any(value is not None for value in wanted.values()):
        columns = {**wanted, **windows, "managed_by": managed_by}
        save_if_different(Limit, {"scope": scope, scope: owner}, columns, known=existing)
    elif existing is not None and any(getattr(existing, name) is not None for name in wanted):
        existing.delete()  # one that limits nothing is what was asked for


def _budgets(team: Team, entries: Iterable[BudgetEntry], managed_by: str) -> None:
    """A budget keeps its row, and with it what was spent, as long as its period stays."""
    existing: dict[str, Budget] = {}
    # Of several for one period the one that is in force, which is what a dump tells of.
    for budget in Budget.objects.filter(team=team).order_by("-enabled", "pk"):
        existing.setdefault(budget.period, budget)
    for entry in entries:
        columns: dict[str, Any] = {
            "amount_nano_usd": entry.usd,
            "tokens": entry.tokens,
            "on_unknown_price": entry.on_unknown_price,
            "enabled": True,
            "managed_by": managed_by,
        }
        known = existing.pop(entry.period, None)
        save_if_different(Budget, {"scope": "team", "team": team, "period": entry.period}, columns, known=known)
    for budget in existing.values():
        if budget.enabled and managed_by == FILE:
            budget.enabled = False
            budget.save()


def managed_teams() -> Iterable[str]:
    return Team.objects.filter(managed_by=FILE).values_list("name", flat=True)


def remove_teams(names: Collection[str]) -> list[str]:
    """A team that owns keys is switched off instead, which refuses them all; deleting it would orphan its ledger."""
    warnings = []
    for team in Team.objects.filter(managed_by=FILE, name__in=names):
        if team.keys.exists():
            warnings.append(f"team {team.name} still has keys: it was switched off instead of deleted")
            save_if_different(Team, {"name": team.name}, {"enabled": False}, known=team)
        else:
            team.delete()
    return warnings


# --------------------------------------------------------------------------------------------------------------- keys


def keys(wanted: Iterable[KeyEntry], *, secret_of: Callable[[str], str]) -> tuple[list[str], set[str]]:
    """Creates or changes the keys of the document. Returns warnings, and the ids of these keys. Raises `RowRefused`."""
    warnings: list[str] = []
    present: set[str] = set()
    for index, entry in enumerate(wanted):
        path = f"api_keys[{index}]"
        if entry.env is not None and not secret_of(entry.env):
            name = shown_variable(entry.env)
            raise RowRefused(f"{path}.env", f"no variable {name}", f"{name} (or {name}_FILE) to be set")
        token = entry.token or secret_of(entry.env or "")
        if token in PLACEHOLDERS:
            warnings.append(f"{path} is the example's key, which everybody knows: replace it")
        fresh = free_form_key(token, str(settings.KEY_PEPPER).encode())
        if fresh is None:
            raise RowRefused(path, "a key that no header can carry", "8 to 256 printable characters")
        present.add(fresh.public_id)
        if entry.team and not Team.objects.filter(name=entry.team).exists():
            warnings.append(f"{path}.team: there was no team {entry.team}; it is made, without limits and budgets")
        with written_for(path):
            _key(entry, fresh)
    return warnings, present


def key_ids(entries: Iterable[KeyEntry], *, secret_of: Callable[[str], str]) -> set[str | None]:
    """The ids that these keys have now; None stands for one that cannot be a key, such as of a variable that is not set."""
    pepper = str(settings.KEY_PEPPER).encode()
    return {identify(entry.token or secret_of(entry.env or ""), pepper) for entry in entries}


def managed_keys() -> Iterable[str]:
    return ApiKey.objects.filter(managed_by=FILE, enabled=True).values_list("public_id", flat=True)


def remove_keys(public_ids: Collection[str]) -> None:
    """Switched off, not deleted: what they have used stays readable."""
    for key in ApiKey.objects.filter(managed_by=FILE, enabled=True, public_id__in=public_ids):
        key.enabled = False
        key.save()
        record(f"switched off API key {key}", source=FILE)


def _key(entry: KeyEntry, fresh: NewKey) -> None:
    known = ApiKey.objects.filter(public_id=fresh.public_id).first()
    columns: dict[str, Any] = {
        "digest": fresh.digest,
        "hint": fresh.hint,
        "name": entry.name or DEFAULT_NAME,
        "team": Team.objects.get_or_create(name=entry.team)[0] if entry.team else None,
        "scopes": list(entry.scopes),
        "allowed_models": list(entry.models),
        "allowed_networks": list(entry.allow_ip),
        "tags": list(entry.tags),
        "enabled": True,
        "managed_by": FILE,
    }
    unchanged = known is not None and all(getattr(known, name) == value for name, value in columns.items())
    key = save_if_different(ApiKey, {"public_id": fresh.public_id}, columns, known=known)
    _limit("key", key, entry, FILE)
    if not unchanged:
        record(f"{'changed' if known else 'created'} API key {key}", source=FILE)
