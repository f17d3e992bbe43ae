"""A document into the database: all of it in one transaction and one revision, or nothing.

Top-level keys that the document does not give stay as they are; inside an entry, what is not given has its default.
Rows that nobody changed are not written, so applying a document twice changes nothing the second time.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.db import models, transaction

from providers.models import Provider
from routing.configuration import apply_accounts, apply_providers
from routing.configuration.columns import (
    PROCESS_KEYS,
    SECTION_COLUMNS,
    alias_columns,
    policy_columns,
    settings_columns,
)
from routing.configuration.difference import Change, difference
from routing.configuration.document import Configuration
from routing.configuration.dump import read_configuration
from routing.configuration.findings import aliases_of_aliases, leading_nowhere
from routing.configuration.ownership import Others, sparing, taking_over
from routing.configuration.places import placed
from routing.configuration.problems import ConfigurationRefused, Problem, position_of
from routing.configuration.rendering import plain, shown
from routing.configuration.rows import Names, RowRefused, save_if_different, written_for
from routing.configuration.schema import SETTINGS
from routing.configuration.stored import readable_section, section_value, stored_process
from routing.intervals import follow_intervals
from routing.models import GatewaySettings, ModelAlias, RoutePolicy
from routing.revisions import collected_revision, one_revision
from rows.file_rows import FILE


@dataclass(frozen=True, slots=True, kw_only=True)
class Applied:
    """`revision` is None when there was nothing to change (or it was only a trial). `placed_warnings` are the warnings with
    the places in the document that they are about."""

    revision: int | None
    changes: tuple[Change, ...] = ()
    sentences: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    placed_warnings: tuple[str, ...] = ()
    names: Names = field(default_factory=dict)


class _Trial(Exception):
    """Ends a transaction that was only to show what would happen."""


def apply_configuration(
    wanted: Configuration,
    *,
    file: str,
    secret_of: Callable[[str], str],
    dry_run: bool = False,
    prune: bool = False,
    others: Others | None = None,
    gone: Mapping[str, Collection[str]] | None = None,
) -> Applied:
    """`secret_of` reads an environment variable. `prune` removes every file-managed row that the document does not name,
    `gone` just these names, by section; what belongs to `others` stays. Raises `ConfigurationRefused`; then nothing was
    changed."""
    applied: Applied | None = None
    try:
        with one_revision(source=FILE, reason=f"loaded {file}") as collected, transaction.atomic():
            before = read_configuration()
            warnings, names = _write(wanted, secret_of=secret_of, prune=prune, others=others or {}, gone=gone or {})
            after = read_configuration()
            _refuse_aliases_of_aliases(wanted, before, after, file)
            warnings += _cut_off(before, after)
            found = difference(shown(before), shown(after))
            changes = tuple(change for change in found if not change.path.startswith("file_managed_settings"))
            applied = Applied(
                revision=None,
                changes=changes,
                sentences=tuple(collected.changes),
                warnings=tuple(warnings),
                placed_warnings=placed(warnings, wanted, file),
                names=names,
            )
            if dry_run:
                raise _Trial
    except _Trial:
        assert applied is not None
        return applied
    except RowRefused as refused:
        at = position_of(refused.key, wanted.positions)
        problem = Problem(at=at, key=refused.key, found=refused.found, expected=refused.expected)
        raise ConfigurationRefused(file, [problem]) from refused
    return replace(applied, revision=collected_revision(collected))


def _names_in(wanted: Configuration) -> Names:
    """What a document manages, by section, but for its keys: the next version of the file is compared with it."""
    return {
        "providers": sorted(entry.name for entry in wanted.providers),
        "model_aliases": sorted(wanted.model_aliases),
        "route_policies": sorted(entry.name for entry in wanted.route_policies),
        "teams": sorted(wanted.teams),
        "settings": sorted(set(wanted.given) & set(SETTINGS)),
    }


def _write(
    wanted: Configuration,
    *,
    secret_of: Callable[[str], str],
    prune: bool,
    others: Others,
    gone: Mapping[str, Collection[str]],
) -> tuple[list[str], Names]:
    """Returns warnings, and what the document manages."""
    apply_accounts.teams(wanted.teams)
    warnings, key_ids = apply_accounts.keys(wanted.api_keys, secret_of=secret_of)
    present = {**_names_in(wanted), "api_keys": sorted(key_ids)}
    removed = _removed(present, prune, gone)
    warnings += taking_over(present, others)
    stay = sparing(removed, others)
    apply_accounts.remove_keys(removed["api_keys"])
    with written_for(""):
        _settings(wanted, removed["settings"])
    for index, entry in enumerate(wanted.providers):
        warnings += apply_providers.provider(entry, f"providers[{index}]", secret_of=secret_of, prune=prune)
    for name, alias in wanted.model_aliases.items():
        with written_for(f"model_aliases.{name}"):
            save_if_different(ModelAlias, {"name": name}, alias_columns(alias))
    for index, policy in enumerate(wanted.route_policies):
        with written_for(f"route_policies[{index}]"):
            save_if_different(RoutePolicy, {"name": policy.name}, policy_columns(policy))
    warnings += apply_providers.remove(removed["providers"])
    _delete(ModelAlias.objects.filter(source=FILE, name__in=removed["model_aliases"]))
    _delete(RoutePolicy.objects.filter(source=FILE, name__in=removed["route_policies"]))
    warnings += [*apply_accounts.remove_teams(removed["teams"]), *stay]
    follow_intervals()
    return warnings, present


def _removed(present: Names, prune: bool, gone: Mapping[str, Collection[str]]) -> dict[str, set[str]]:
    """Names to take away, by section: never one that the document itself holds."""
    found = {section: set(gone.get(section, ())) - set(names) for section, names in present.items()}
    if prune:
        managed: dict[str, Iterable[str]] = {
            "providers": Provider.objects.filter(source=FILE).values_list("name", flat=True),
            "model_aliases": ModelAlias.objects.filter(source=FILE).values_list("name", flat=True),
            "route_policies": RoutePolicy.objects.filter(source=FILE).values_list("name", flat=True),
            "teams": apply_accounts.managed_teams(),
            "settings": GatewaySettings.load().file_keys,
            "api_keys": apply_accounts.managed_keys(),
        }
        for section, names in managed.items():
            found[section] |= set(names) - set(present[section])
    return found


def _refuse_aliases_of_aliases(wanted: Configuration, before: Configuration, after: Configuration, file: str) -> None:
    """Known only when all is written: a name may be served by a model of another document."""
    known = aliases_of_aliases(before)
    problems = [
        Problem(
            at=position_of(key := f"model_aliases.{name}.targets", wanted.positions),
            key=key,
            found=f"{', '.join(targets)}, which is an alias and no model",
            expected="names of models; an alias can stand in `fallbacks`",
        )
        for name, targets in aliases_of_aliases(after).items()
        if name in wanted.model_aliases and known.get(name) != targets
    ]
    if problems:
        raise ConfigurationRefused(file, problems)


def _cut_off(before: Configuration, after: Configuration) -> list[str]:
    """What this loading left without a model, whoever manages it: a name that leads nowhere is no error."""
    known = leading_nowhere(before)
    return [
        f"{key}: nothing serves {', '.join(names)}"
        for key, names in leading_nowhere(after).items()
        if not set(names) <= set(known.get(key, ()))
    ]


def _delete(rows: "models.QuerySet[Any]") -> None:
    for row in rows:
        row.delete()


# ----------------------------------------------------------------------------------------------------------- settings


def _settings(wanted: Configuration, removed: Collection[str]) -> None:
    row = GatewaySettings.objects.filter(pk=1).first() or GatewaySettings()
    defaults = settings_columns(Configuration(given=frozenset(removed)))
    columns: dict[str, Any] = {**defaults, **settings_columns(wanted)}
    document = plain(wanted)
    process = {name: value for name, value in stored_process(row.process).items() if name not in removed}
    columns["process"] = {**process, **{name: document[name] for name in PROCESS_KEYS if name in wanted.given}}
    for name in SECTION_COLUMNS:
        if name in wanted.given:
            # Short forms are the same as long ones, and no change.
            if section_value(name, getattr(row, name)) != getattr(wanted, name):
                columns[name] = document[name]
        elif name in removed:
            columns[name] = {}
    _registry_url(wanted, columns, row, removed)
    columns["file_keys"] = _file_keys(wanted, row, removed)
    if any(getattr(row, name) != value for name, value in columns.items()):
        save_if_different(GatewaySettings, {"pk": 1}, columns)


def _registry_url(
    wanted: Configuration, columns: dict[str, Any], row: GatewaySettings, removed: Collection[str]
) -> None:
    """`provider_registry_url` is a short form: it is kept where the long one is."""
    if "provider_registry_url" not in wanted.given and "provider_registry_url" not in removed:
        return
    discovery = dict(columns.get("discovery", readable_section("discovery", row.discovery)))
    if wanted.provider_registry_url:
        discovery["registry"] = wanted.provider_registry_url
    elif wanted.discovery.registry is None:
        discovery.pop("registry", None)
    if discovery != row.discovery:
        columns["discovery"] = discovery


def _file_keys(wanted: Configuration, row: GatewaySettings, removed: Collection[str]) -> list[str]:
    given = set(wanted.given) & set(SETTINGS)
    if wanted.file_managed_settings is not None:
        return sorted((set(row.file_keys) - given - set(removed)) | set(wanted.file_managed_settings))
    return sorted((set(row.file_keys) - set(removed)) | given)
