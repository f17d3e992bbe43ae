"""Parsed values with their positions. Pure."""

from dataclasses import dataclass
from typing import Literal, TypeAlias

from routing.configuration.problems import Position

ScalarType: TypeAlias = Literal["text", "number", "flag", "null"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScalarNode:
    """`text` is what was written, so that a price keeps every digit; `plain` is false where it stood in quotes."""

    at: Position
    type: ScalarType
    text: str
    plain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class SequenceNode:
    at: Position
    items: "tuple[Node, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class MappingNode:
    at: Position
    entries: "tuple[tuple[ScalarNode, Node], ...]"


Node: TypeAlias = ScalarNode | SequenceNode | MappingNode


def excerpt(text: str) -> str:
    """What may be shown of a value in a message."""
    short = text if len(text) <= 60 else text[:57] + "…"
    return f'"{short}"'


def describe(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if node.type == "null":
        return "nothing (null)"
    return f"the {node.type} {excerpt(node.text)}" if node.type != "text" else f"the text {excerpt(node.text)}"
