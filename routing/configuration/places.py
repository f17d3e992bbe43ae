"""Where in the document the key of a warning stands, for people who look for it there. Pure."""

import re
from collections.abc import Iterable

from routing.configuration.document import Configuration
from routing.configuration.problems import position_of


def placed(warnings: Iterable[str], wanted: Configuration, file: str) -> tuple[str, ...]:
    """Each with file, line and column before it, where it is of something that the document has."""
    return tuple(f"{_place(said.partition(': ')[0], wanted, file)}{said}" for said in warnings)


def _place(key: str, wanted: Configuration, file: str) -> str:
    path = _path(key, wanted)
    if not path:
        return ""
    at = position_of(path, wanted.positions)
    return f"{file}:{at.line}:{at.column}: "


def _path(key: str, wanted: Configuration) -> str:
    """Warnings name entries of lists by their names; those of other documents are in none of ours."""
    named = {f"providers.{entry.name}": f"providers[{index}]" for index, entry in enumerate(wanted.providers)}
    named |= {f"route_policies.{entry.name}": f"route_policies[{i}]" for i, entry in enumerate(wanted.route_policies)}
    named |= {f"model_aliases.{name}": f"model_aliases.{name}" for name in wanted.model_aliases}
    # A name may be the beginning of another, since dots are part of both.
    for name, path in sorted(named.items(), key=lambda each: -len(each[0])):
        if key == name or key.startswith(f"{name}."):
            return path + key.removeprefix(name)
    top = re.split(r"[.\[]", key)[0]
    return key if top in wanted.given and top not in ("providers", "route_policies", "model_aliases") else ""
