"""YAML or JSON text to nodes that know where they stand. Pure.

Only plain data is read: no tags, no objects, no duplicate keys. Size, depth and the number of nodes after aliases are
bounded, so that neither a huge file nor a small one that multiplies itself costs more than a moment.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

import yaml

from routing.configuration import parse_json
from routing.configuration.nodes import MappingNode, Node, ScalarNode, ScalarType, SequenceNode, excerpt
from routing.configuration.problems import START, ConfigurationRefused, Position, Problem

MAX_BYTES: Final = 2 * 1024 * 1024
MAX_DEPTH: Final = 24
MAX_NODES: Final = 200_000

_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_TAG = "tag:yaml.org,2002:"
_SCALARS: Final[dict[str, ScalarType]] = {
    f"{_TAG}str": "text",
    f"{_TAG}int": "number",
    f"{_TAG}float": "number",
    f"{_TAG}bool": "flag",
    f"{_TAG}null": "null",
    # Dates have no use here; their text is what was meant.
    f"{_TAG}timestamp": "text",
    f"{_TAG}value": "text",
}
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def parse(data: bytes, *, file: str) -> Node:
    """Raises `ConfigurationRefused` with the first problem of the syntax."""
    text = _text(data, file)
    if file.endswith(".json") or text.lstrip().startswith("{"):
        return parse_json.parse(text, file=file, max_depth=MAX_DEPTH, max_nodes=MAX_NODES)
    return _parse_yaml(text, file)


def _text(data: bytes, file: str) -> str:
    if len(data) > MAX_BYTES:
        raise _refused(file, START, f"{len(data)} bytes", f"at most {MAX_BYTES} bytes; split what does not belong here")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        at = _position_of(data[: error.start].decode("utf-8", "replace"))
        raise _refused(file, at, f"byte 0x{data[error.start]:02x}", "a text file in UTF-8") from None
    if (control := _CONTROL.search(text)) is not None:
        found = f"control character U+{ord(control.group()):04X}"
        raise _refused(file, _position_of(text[: control.start()]), found, "a text file without control characters")
    if not text.strip():
        raise _refused(file, START, "an empty file", "a mapping of keys, such as `providers: []`")
    return text


def _position_of(before: str) -> Position:
    return Position(line=before.count("\n") + 1, column=len(before) - before.rfind("\n"))


def _refused(file: str, at: Position, found: str, expected: str) -> ConfigurationRefused:
    return ConfigurationRefused(file, [Problem(at=at, key="", found=found, expected=expected)])


def _parse_yaml(text: str, file: str) -> Node:
    try:
        _refuse_deep(text, file)
        documents = list(_documents(text))
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        at = START if mark is None else Position(line=mark.line + 1, column=mark.column + 1)
        problem = str(error.problem or error.context).removeprefix("found ")
        raise _refused(file, at, problem, _advice(text, at)) from None
    except (yaml.YAMLError, RecursionError) as error:
        raise _refused(file, START, f"unreadable YAML ({type(error).__name__})", "YAML nested less deeply") from None
    if len(documents) != 1:
        at = START if not documents else _position(documents[1])
        raise _refused(file, at, f"{len(documents)} YAML documents", "exactly one (no further `---`)")
    return _YamlReader(file).node(documents[0], 0)


def _refuse_deep(text: str, file: str) -> None:
    """Told by events, which need no stack: nodes are made by calls inside calls in C, and too many end the process."""
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > MAX_DEPTH + 1:
            raise _refused(
                file, _position(event), f"more than {MAX_DEPTH} levels", "less nesting, and no alias inside itself"
            )


def _documents(text: str) -> Iterator[yaml.Node]:
    """At most two, because a second one is refused already."""
    loader = _LOADER(text)
    try:
        while loader.check_node():
            yield loader.get_node()
    finally:
        loader.dispose()


def _advice(text: str, at: Position) -> str:
    lines = text.split("\n")
    line = lines[at.line - 1] if at.line <= len(lines) else ""
    if "\t" in line[: at.column]:
        return "spaces: YAML does not allow tabs for indentation"
    return "well-formed YAML; look at the indentation, the quotes and the colons on this line and the one before"


def _position(node: yaml.Node | yaml.Event) -> Position:
    assert node.start_mark is not None
    return Position(line=node.start_mark.line + 1, column=node.start_mark.column + 1)


@dataclass(slots=True)
class _YamlReader:
    file: str
    nodes: int = 0

    def node(self, source: yaml.Node, depth: int) -> Node:
        self.nodes += 1
        at = _position(source)
        if self.nodes > MAX_NODES:
            raise _refused(
                self.file, at, f"more than {MAX_NODES} values", "fewer values; aliases (*name) multiply them"
            )
        if depth > MAX_DEPTH:
            raise _refused(self.file, at, f"more than {MAX_DEPTH} levels", "less nesting, and no alias inside itself")
        if isinstance(source, yaml.MappingNode):
            self._check_tag(source, at, "map")
            return MappingNode(at=at, entries=tuple(self._entries(source, depth)))
        if isinstance(source, yaml.SequenceNode):
            self._check_tag(source, at, "seq")
            return SequenceNode(at=at, items=tuple(self.node(item, depth + 1) for item in source.value))
        return self._scalar(source, at)

    def _check_tag(self, source: yaml.Node, at: Position, name: str) -> None:
        if source.tag != _TAG + name:
            raise _refused(self.file, at, f"the tag {source.tag}", "plain data without tags")

    def _scalar(self, source: yaml.Node, at: Position) -> ScalarNode:
        kind = _SCALARS.get(source.tag)
        if kind is None:
            raise _refused(self.file, at, f"the tag {source.tag}", "plain data without tags")
        return ScalarNode(at=at, type=kind, text=source.value, plain=getattr(source, "style", None) in (None, ""))

    def _entries(self, source: yaml.MappingNode, depth: int) -> Iterator[tuple[ScalarNode, Node]]:
        seen: dict[str, Position] = {}
        merged: list[tuple[ScalarNode, Node]] = []
        for key_node, value_node in source.value:
            if key_node.tag == f"{_TAG}merge":
                merged.extend(self._merged(value_node, depth))
                continue
            key = self._key(key_node)
            if key.text in seen:
                first = seen[key.text]
                found = f"the key {excerpt(key.text)} a second time (first on line {first.line})"
                raise _refused(self.file, key.at, found, "each key once; delete one of them")
            seen[key.text] = key.at
            yield key, self.node(value_node, depth + 1)
        for key, value in merged:
            if key.text not in seen:
                seen[key.text] = key.at
                yield key, value

    def _merged(self, source: yaml.Node, depth: int) -> Iterator[tuple[ScalarNode, Node]]:
        """`<<: *name` and `<<: [*a, *b]`; the mapping's own keys win, then the first named."""
        for part in source.value if isinstance(source, yaml.SequenceNode) else [source]:
            node = self.node(part, depth + 1)
            if not isinstance(node, MappingNode):
                raise _refused(self.file, node.at, "something else under `<<`", "a mapping, such as `<<: *defaults`")
            yield from node.entries

    def _key(self, source: yaml.Node) -> ScalarNode:
        at = _position(source)
        if not isinstance(source, yaml.ScalarNode) or source.tag not in _SCALARS:
            raise _refused(self.file, at, "a key that is no word", "a word as key")
        return ScalarNode(at=at, type="text", text=source.value, plain=False)
