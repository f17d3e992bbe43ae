"""A file into the database: what the command, the start of the server and the watcher do alike."""

import hashlib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from django.conf import settings
from django.utils import timezone

from routing.configuration.apply import Applied, apply_configuration
from routing.configuration.apply_accounts import key_ids
from routing.configuration.document import Configuration
from routing.configuration.ownership import of_others
from routing.configuration.parse import MAX_BYTES
from routing.configuration.problems import START, ConfigurationRefused, Problem
from routing.configuration.rows import Names
from routing.configuration.schema import read
from routing.models import ConfigurationFile, GatewaySettings
from routing.revisions import collected_revision, one_revision
from rows.file_rows import FILE

_FORMER: Final = "former "
"""Before the name of a section: what left the file while it was followed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FileContent:
    """`path` is absolute: the name a file is remembered by."""

    path: str
    data: bytes

    @property
    def digest(self) -> str:
        return hashlib.sha256(self.data).hexdigest()


def read_file(path: str) -> FileContent:
    """Raises `ConfigurationRefused` when there is no such file, or one that is too large to be meant."""
    absolute = str(Path(path).absolute())
    try:
        with Path(path).open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        problem = Problem(at=START, key="", found=error.strerror or "no such file", expected="a readable file")
        raise ConfigurationRefused(path, [problem]) from None
    return FileContent(path=absolute, data=data)


def load_file(path: str, *, dry_run: bool = False, prune: bool = False, prune_others: bool = False) -> Applied:
    """Loads the file whether or not it changed. `prune` spares what belongs to other files, `prune_others` does not.
    Raises `ConfigurationRefused`."""
    content = read_file(path)
    applied = apply_configuration(
        read(content.data, file=path),
        file=path,
        secret_of=settings.PROVIDER_SECRET,
        dry_run=dry_run,
        prune=prune or prune_others,
        others={} if prune_others else of_others(content.path),
    )
    if not dry_run:
        _remember(content, applied)
    return applied


def load_if_changed(content: FileContent, *, again: bool = False) -> Applied | None:
    """Loads what has not been loaded yet, by this worker or another; rows that left the file since its last loading are
    removed. A refused content is remembered and raised once, or `again`: the variables that it names may be set now, or
    hold other keys. Returns None when there was nothing to do."""
    try:
        with one_revision(source=FILE, reason=f"loaded {content.path}") as collected:
            # Inside the transaction, whose turn is taken: the second worker sees what the first has written.
            row = ConfigurationFile.objects.filter(path=content.path).first()
            if row is not None and content.digest == row.digest:
                if again:
                    return _load_other_keys(content, row)
                _forget_refusal(row)
                return None
            if row is not None and content.digest == row.refused_digest and not again:
                return None
            wanted = read(content.data, file=content.path)
            applied = apply_configuration(
                wanted,
                file=content.path,
                secret_of=settings.PROVIDER_SECRET,
                others=of_others(content.path),
                gone={} if row is None else _gone(row),
            )
            _remember(content, applied, followed=True)
    except ConfigurationRefused as refusal:
        _remember_refusal(content, refusal)
        raise
    return replace(applied, revision=collected_revision(collected))


def _gone(row: ConfigurationFile) -> Names:
    """What the file had when it was loaded last. And what it had before that, which a roll-back may have brought back: of
    settings, which are always there, those that are a file's again."""
    found = {section: names for section, names in row.names.items() if not section.startswith(_FORMER)}
    for section in found:
        former = row.names.get(_FORMER + section, [])
        if section == "settings":
            former = sorted(set(former) & set(GatewaySettings.load().file_keys))
        found[section] = [*found[section], *former]
    return found


def _load_other_keys(content: FileContent, row: ConfigurationFile) -> Applied | None:
    """Of a file that is loaded: the keys whose variables have another value by now, and nothing else, as entries that
    the file leaves to the admin may have been edited since."""
    wanted = read(content.data, file=content.path)
    loaded = row.names.get("api_keys", [])
    applied = None
    if key_ids(wanted.api_keys, secret_of=settings.PROVIDER_SECRET) != set(loaded):
        keys = Configuration(api_keys=wanted.api_keys, given=frozenset({"api_keys"}), positions=wanted.positions)
        gone = {"api_keys": loaded}
        applied = apply_configuration(keys, file=content.path, secret_of=settings.PROVIDER_SECRET, gone=gone)
        row.names = {**row.names, "api_keys": applied.names["api_keys"]}
    row.refused_digest, row.refused_at, row.refusal = "", None, ""
    row.save()
    return applied


def _remember(content: FileContent, applied: Applied, *, followed: bool = False) -> None:
    row = ConfigurationFile.objects.filter(path=content.path).first()
    before: Names = row.names if row is not None else {}
    names = dict(applied.names)
    # A key that was withdrawn is brought back by nothing.
    for section in applied.names.keys() - {"api_keys"}:
        left = before.get(section, ()) if followed else ()
        names[_FORMER + section] = sorted({*left, *before.get(_FORMER + section, ())} - {*names[section]})
    ConfigurationFile.objects.update_or_create(
        path=content.path,
        defaults={
            "digest": content.digest,
            "loaded_at": timezone.now(),
            "names": names,
            "refused_digest": "",
            "refused_at": None,
            "refusal": "",
        },
    )


def _remember_refusal(content: FileContent, refusal: ConfigurationRefused) -> None:
    ConfigurationFile.objects.update_or_create(
        path=content.path,
        defaults={"refused_digest": content.digest, "refused_at": timezone.now(), "refusal": str(refusal)},
    )


def _forget_refusal(row: ConfigurationFile) -> None:
    """What was refused is gone, and the content in force is the file's again; unless its keys are what was refused."""
    if row.refusal and row.refused_digest != row.digest:
        row.refused_digest, row.refused_at, row.refusal = "", None, ""
        row.save()
