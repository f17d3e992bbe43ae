"""Sections: mappings with known keys, declared as frozen dataclasses whose fields carry kind and meaning. Pure."""

from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Any

from routing.configuration.kinds import WRONG, Kind, Reading
from routing.configuration.nodes import MappingNode, Node, ScalarNode, describe
from routing.configuration.problems import Position
from rows import names


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One declared key: its field's name and metadata. `default` is MISSING for a required one."""

    name: str
    kind: Kind
    meaning: str
    aliases: tuple[str, ...]
    default: Any

    @property
    def required(self) -> bool:
        return self.default is MISSING


def key(kind: Kind, meaning: str, *, default: Any = MISSING, aliases: tuple[str, ...] = ()) -> Any:
    """A dataclass field that is a key of the document. Without `default` the key is required."""
    metadata = {"kind": kind, "meaning": meaning, "aliases": aliases, "default": default}
    # A factory, because dataclasses take an unhashable default for a mutable one.
    return field(metadata=metadata) if default is MISSING else field(default_factory=lambda: default, metadata=metadata)


@cache
def keys_of(section: type) -> tuple[Key, ...]:
    return tuple(Key(name=item.name, **item.metadata) for item in fields(section) if item.metadata)


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """A mapping that becomes `type`. `short` names the key that a bare word stands for (`gpt-4o` for `{name: gpt-4o}`).

    A section with a `given` field learns which keys were written, for where absent does not mean the default.
    """

    type: type
    short: str | None = None

    @property
    def label(self) -> str:
        names = ", ".join(item.name for item in keys_of(self.type))
        return f"a mapping of {names}" if self.short is None else f"its {self.short}, or a mapping of {names}"

    def read(self, node: Node, path: str, reading: Reading) -> Any:
        if self.short is not None and isinstance(node, ScalarNode) and node.type == "text":
            node = MappingNode(at=node.at, entries=((_short_key(self.short, node.at), node),))
        if not isinstance(node, MappingNode):
            return reading.refuse(node.at, path, describe(node), self.label)
        reading.positions[path] = node.at
        values = self._values(node, path, reading)
        for item in keys_of(self.type):
            if item.required and item.name not in values:
                where = f"{path}.{item.name}" if path else item.name
                values[item.name] = reading.refuse(node.at, where, "nothing", f"{item.kind.label}; the key is required")
        if any(value is WRONG for value in values.values()):
            return WRONG
        if any(item.name == "given" for item in fields(self.type)):
            values["given"] = frozenset(values)
        return self.type(**values)

    def _values(self, node: MappingNode, path: str, reading: Reading) -> dict[str, Any]:
        known = {name: item for item in keys_of(self.type) for name in (item.name, *item.aliases)}
        values: dict[str, Any] = {}
        for name, content in node.entries:
            where = f"{path}.{name.text}" if path else name.text
            item = known.get(name.text)
            if item is None:
                reading.refuse(name.at, where, "an unknown key", names.meant(name.text, sorted(known)))
                values[f"?{name.text}"] = WRONG
            elif item.name in values:
                reading.refuse(name.at, where, f"{item.name} a second time", f"{item.name} or its alias, not both")
            else:
                reading.positions.setdefault(where, content.at)
                values[item.name] = item.kind.read(content, where, reading)
        return values

    def plain(self, value: Any) -> Any:
        """Keys that have their default are left out, except where `given` says that they were written."""
        given: frozenset[str] | None = getattr(value, "given", None)
        found = {}
        for item in keys_of(self.type):
            content = getattr(value, item.name)
            if (content != item.default) if given is None else item.name in given:
                found[item.name] = item.kind.plain(content)
        if self.short is not None and list(found) == [self.short]:
            return found[self.short]
        return found


def _short_key(name: str, at: Position) -> ScalarNode:
    return ScalarNode(at=at, type="text", text=name, plain=False)
