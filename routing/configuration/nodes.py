"""Parsed values with their positions. Pure."""

import re
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

from routing.configuration.problems import Position
from rows.bounds import UNPRINTABLE

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

_USER_INFORMATION: Final = re.compile(r"//[^/?#\s]*@")


def excerpt(text: str) -> str:
    """What may be shown of a value in a message: of an address no user and password."""
    shown = _USER_INFORMATION.sub("//…@", text)
    short = shown if len(shown) <= 60 else shown[:57] + "…"
    return f'"{UNPRINTABLE.sub(_named, short)}"'


def _named(found: re.Match[str]) -> str:
    """What is not seen is hardly found where the message says it is."""
    return f"<U+{ord(found.group()):04X}>"


def describe(node: Node) -> str:
    if isinstance(node, MappingNode):
        return "a mapping"
    if isinstance(node, SequenceNode):
        return "a list"
    if node.type == "null":
        return "nothing (null)"
    return f"the {node.type} {excerpt(node.text)}"
