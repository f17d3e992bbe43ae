"""Which of several files an entry belongs to: the one that was loaded with it last."""

from collections.abc import Mapping

from routing.configuration.rows import Names
from routing.models import ConfigurationFile

OTHERS = Mapping[str, Mapping[str, str]]
"""By section and name: the other file that it belongs to."""


def of_others(path: str) -> OTHERS:
    """What does not belong to the file at `path`. A client's key is withdrawn by any file that had it, so those that this
    one had are not told of."""
    found: dict[str, dict[str, str]] = {}
    own: Names = {}
    for row in ConfigurationFile.objects.exclude(loaded_at=None).order_by("loaded_at", "pk"):
        for section, names in row.names.items():
            found.setdefault(section, {}).update(dict.fromkeys(names, row.path))
        if row.path == path:
            own = row.names
    for name in own.get("api_keys", ()):
        found["api_keys"].pop(name)
    return {section: {name: file for name, file in names.items() if file != path} for section, names in found.items()}


def sparing(names: Mapping[str, set[str]], others: OTHERS) -> list[str]:
    """Takes what belongs to others out of `names`, by section, and returns a sentence for each of them."""
    said = []
    for section, owners in others.items():
        for name in sorted(names.get(section, set()) & owners.keys()):
            said.append(f"{section}: {name} stays, as {owners[name]} was loaded with it since")
            names[section].remove(name)
    return said
