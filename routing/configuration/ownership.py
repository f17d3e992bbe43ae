"""Which of several files an entry belongs to: the one that was loaded with it last."""

from collections import Counter
from collections.abc import Mapping

from routing.configuration.rows import Names
from routing.models import ConfigurationFile

Others = Mapping[str, Mapping[str, str]]
"""By section and name: the other file that it belongs to."""


def of_others(path: str) -> Others:
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


def sparing(names: Mapping[str, set[str]], others: Others) -> list[str]:
    """Takes what belongs to others out of `names`, by section, and returns sentences about it."""
    said = []
    for section, owners in others.items():
        stay = names.get(section, set()) & owners.keys()
        for file in sorted({owners[name] for name in stay}):
            theirs = sorted(name for name in stay if owners[name] == file)
            # The number of a key tells nobody anything.
            what = str(len(theirs)) if section == "api_keys" else ", ".join(theirs)
            verb, them = ("stays", "it") if len(theirs) == 1 else ("stay", "them")
            said.append(f"{section}: {what} {verb}, as {file} was loaded with {them} last")
        names.get(section, set()).difference_update(stay)
    return said


def taking_over(present: Names, others: Others) -> list[str]:
    """Sentences about entries that belonged to another file until now: who takes them out of it will see them stay."""
    counts = Counter(
        owners[name] for section, owners in others.items() for name in present.get(section, ()) if name in owners
    )
    return [
        f"{file}: {count} of its entries are in this file as well and belong to it now, so that they stay when they "
        "leave that one"
        for file, count in sorted(counts.items())
    ]
