"""What is stored as JSON, read by the document's own kinds: a column may hold what no door lets in any more. Pure."""

from collections.abc import Mapping
from typing import Any

from routing.configuration.columns import PROCESS_KEYS
from routing.configuration.document import Configuration
from routing.configuration.kinds import WRONG, Kind, Reading
from routing.configuration.nodes import MappingNode, Node, ScalarNode, SequenceNode
from routing.configuration.problems import START
from routing.configuration.sections import keys_of

_KINDS: Mapping[str, Kind] = {item.name: item.kind for item in keys_of(Configuration)}
_DEFAULTS: Mapping[str, Any] = {item.name: item.default for item in keys_of(Configuration)}


def read_stored(kind: Kind, stored: Any, key: str = "") -> Any:
    """The value as `kind` has it, or WRONG."""
    return kind.read(node_of(stored), key, Reading())


def fault_of(kind: Kind, stored: Any, key: str = "") -> str | None:
    """What is wrong with a stored value, in one sentence; None when nothing is."""
    reading = Reading()
    if kind.read(node_of(stored), key, reading) is not WRONG:
        return None
    problem = reading.problems[0]
    where = f"{problem.key}: " if problem.key else ""
    return f"{where}found {problem.found}; expected {problem.expected}."


def section_value(name: str, stored: Any) -> Any:
    """A stored section in the document's own type; None when it is empty or not readable."""
    value = read_stored(_KINDS[name], stored, name) if stored else WRONG
    return None if value is WRONG else value


def section_fault(name: str, stored: Any) -> str | None:
    """Why a section is not readable. An empty one is: it has all defaults."""
    return fault_of(_KINDS[name], stored, name) if stored or not isinstance(stored, dict) else None


def readable_section(name: str, stored: Any) -> dict[str, Any]:
    """The keys of a stored section that can be read, each by itself: one that cannot has its default."""
    if not isinstance(stored, dict):
        return {}
    return {key: value for key, value in stored.items() if section_value(name, {key: value}) is not None}


def usable_section(name: str, stored: Any) -> Any:
    """The section in the document's own type, as far as it can be read."""
    value = section_value(name, readable_section(name, stored))
    return _DEFAULTS[name] if value is None else value


def stored_process(stored: Any) -> dict[str, Any]:
    """Those keys of the process that are there and readable."""
    if not isinstance(stored, dict):
        return {}
    found = {name: read_stored(_KINDS[name], stored[name]) for name in PROCESS_KEYS if name in stored}
    return {name: value for name, value in found.items() if value is not WRONG}


def node_of(value: Any) -> Node:
    """JSON as nodes, so that the document's own kinds read it."""
    if isinstance(value, dict):
        return MappingNode(at=START, entries=tuple((_text(str(name)), node_of(each)) for name, each in value.items()))
    if isinstance(value, list):
        return SequenceNode(at=START, items=tuple(node_of(item) for item in value))
    if value is None or isinstance(value, bool):
        return ScalarNode(at=START, type="null" if value is None else "flag", text=str(value).lower())
    return _text(value) if isinstance(value, str) else ScalarNode(at=START, type="number", text=repr(value))


def _text(value: str) -> ScalarNode:
    return ScalarNode(at=START, type="text", text=value, plain=False)
