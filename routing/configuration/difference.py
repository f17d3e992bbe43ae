"""What changes between two documents, for people. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """`path` is such as `providers.openai.timeout`; entries of lists are named by their name."""

    action: Literal["add", "remove", "change"]
    path: str
    before: Any = None
    after: Any = None

    def describe(self) -> str:
        if self.action == "add":
            return f"+ {self.path}: {_short(self.after)}"
        if self.action == "remove":
            return f"- {self.path}: {_short(self.before)}"
        return f"~ {self.path}: {_short(self.before)} → {_short(self.after)}"


def difference(before: Any, after: Any, path: str = "") -> list[Change]:
    """Between two documents as plain data. Lists of named entries are compared by name, other lists as a whole."""
    left, right = _by_name(before), _by_name(after)
    if left is None or right is None:
        if before == after:
            return []
        return [Change(action="change", path=path, before=before, after=after)]
    changes: list[Change] = []
    for name in [*left, *(name for name in right if name not in left)]:
        where = f"{path}.{name}" if path else str(name)
        if name not in right:
            changes.append(Change(action="remove", path=where, before=left[name]))
        elif name not in left:
            changes.append(Change(action="add", path=where, after=right[name]))
        else:
            changes.extend(difference(left[name], right[name], where))
    return changes


def _by_name(value: Any) -> Mapping[str, Any] | None:
    """A mapping as it is, a list of named entries by their names, None for anything else."""
    if isinstance(value, Mapping):
        return value
    if not isinstance(value, list):
        return None
    named: dict[str, Any] = {}
    for entry in value:
        name = entry.get("name") if isinstance(entry, Mapping) else entry
        if not isinstance(name, str) or name in named:
            return None
        named[name] = entry
    return named


def _short(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{name}: {_short(content)}" for name, content in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(_short(item) for item in value) + "]"
    if value is None or isinstance(value, bool):
        return "null" if value is None else str(value).lower()
    return format(value, "f") if isinstance(value, Decimal) else str(value)
