"""JSON text to nodes that know where they stand. Pure; the grammar is RFC 8259."""

import re
from bisect import bisect_right
from json.decoder import JSONDecodeError, scanstring  # type: ignore[attr-defined]
from typing import Final

from routing.configuration.nodes import MappingNode, Node, ScalarNode, ScalarType, SequenceNode, excerpt
from routing.configuration.problems import ConfigurationRefused, Position, Problem

_SPACE = re.compile(r"[ \t\r\n]*")
_NUMBER = re.compile(r"-?(?:0|[1-9][0-9]*)(?:\.[0-9]+)?(?:[eE][+-]?[0-9]+)?")
_COMMENTS = ("//", "/*", "#")
_WORDS: Final[dict[str, ScalarType]] = {"true": "flag", "false": "flag", "null": "null"}


def parse(text: str, *, file: str, max_depth: int, max_nodes: int) -> Node:
    """Raises `ConfigurationRefused` at the first problem."""
    return _Reader(text, file, max_depth, max_nodes).document()


class _Reader:
    def __init__(self, text: str, file: str, max_depth: int, max_nodes: int) -> None:
        self._text = text
        self._file = file
        self._max_depth = max_depth
        self._left = max_nodes
        self._index = 0
        self._lines = [0, *(match.end() for match in re.finditer("\n", text))]

    def document(self) -> Node:
        node = self._value(0)
        self._skip_space()
        if self._index < len(self._text):
            raise self._refused("more after the end of the document", "one JSON object")
        return node

    def _refused(self, found: str, expected: str, index: int | None = None) -> ConfigurationRefused:
        at = self._at(self._index if index is None else index)
        return ConfigurationRefused(self._file, [Problem(at=at, key="", found=found, expected=expected)])

    def _at(self, index: int) -> Position:
        line = bisect_right(self._lines, index)
        return Position(line=line, column=index - self._lines[line - 1] + 1)

    def _skip_space(self) -> None:
        match = _SPACE.match(self._text, self._index)
        assert match is not None
        self._index = match.end()

    def _next(self) -> str:
        self._skip_space()
        return self._text[self._index] if self._index < len(self._text) else ""

    def _value(self, depth: int) -> Node:
        self._left -= 1
        if depth > self._max_depth or self._left < 0:
            raise self._refused("too deep nesting or too many values", f"at most {self._max_depth} levels")
        first = self._next()
        at = self._at(self._index)
        if first == "{":
            return self._object(at, depth)
        if first == "[":
            return self._array(at, depth)
        if first == '"':
            return ScalarNode(at=at, type="text", text=self._string(), plain=False)
        return self._word(at)

    def _word(self, at: Position) -> ScalarNode:
        for word, kind in _WORDS.items():
            if self._text.startswith(word, self._index):
                self._index += len(word)
                return ScalarNode(at=at, type=kind, text=word)
        match = _NUMBER.match(self._text, self._index)
        if match is None:
            rest = self._text[self._index : self._index + 20].partition("\n")[0]
            if rest.startswith(_COMMENTS):
                raise self._refused("a comment", "none, as JSON has no comments; a YAML file may have them")
            found = excerpt(rest) if rest else "the end"
            raise self._refused(found, "a JSON value; text stands in double quotes, and no comma precedes a bracket")
        self._index = match.end()
        return ScalarNode(at=at, type="number", text=match.group())

    def _string(self) -> str:
        start = self._index
        try:
            text, self._index = scanstring(self._text, start + 1, True)
        except JSONDecodeError as error:
            raise self._refused(error.msg, "a JSON string in double quotes", start) from None
        return str(text)

    def _array(self, at: Position, depth: int) -> SequenceNode:
        self._index += 1
        items: list[Node] = []
        if self._next() == "]":
            self._index += 1
            return SequenceNode(at=at, items=())
        while True:
            items.append(self._value(depth + 1))
            if self._separator("]"):
                return SequenceNode(at=at, items=tuple(items))

    def _object(self, at: Position, depth: int) -> MappingNode:
        self._index += 1
        entries: dict[str, tuple[ScalarNode, Node]] = {}
        if self._next() == "}":
            self._index += 1
            return MappingNode(at=at, entries=())
        while True:
            key = self._key(entries)
            entries[key.text] = (key, self._value(depth + 1))
            if self._separator("}"):
                return MappingNode(at=at, entries=tuple(entries.values()))

    def _key(self, entries: dict[str, tuple[ScalarNode, Node]]) -> ScalarNode:
        if self._next() != '"':
            raise self._refused("no key", "a key in double quotes (and no comma before a closing brace)")
        start = self._index
        key = ScalarNode(at=self._at(start), type="text", text=self._string(), plain=False)
        if key.text in entries:
            first = entries[key.text][0].at.line
            found = f"the key {excerpt(key.text)} a second time (first on line {first})"
            raise self._refused(found, "each key once; delete one of them", start)
        if self._next() != ":":
            raise self._refused("no colon", f"a colon after the key {excerpt(key.text)}")
        self._index += 1
        return key

    def _separator(self, end: str) -> bool:
        """Whether the collection ends here; passes over the comma otherwise."""
        mark = self._next()
        if mark not in (",", end) or not mark:
            found = excerpt(mark) if mark else "the end"
            raise self._refused(found, f'"," or "{end}"')
        self._index += 1
        return mark == end
