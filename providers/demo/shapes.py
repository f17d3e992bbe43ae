"""A small description of JSON objects, and the first thing that is wrong with one. Pure.

Each dialect turns a `Complaint` into its own service's words.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

from providers.demo.wire import is_integer, is_number
from providers.types import JsonObject

Kind: TypeAlias = Literal["any", "string", "integer", "number", "boolean", "object", "array", "text or parts"]
Reason: TypeAlias = Literal["missing", "unknown", "type", "low", "high", "choice"]

KINDS: dict[str, Callable[[Any], bool]] = {
    "any": lambda value: True,
    "string": lambda value: isinstance(value, str),
    "integer": is_integer,
    "number": is_number,
    "boolean": lambda value: isinstance(value, bool),
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "text or parts": lambda value: isinstance(value, str | list),
}


@dataclass(frozen=True, slots=True)
class Field:
    """`choices` are the allowed values; `low` and `high` are inclusive bounds of numbers."""

    kind: Kind = "any"
    required: bool = False
    low: float | None = None
    high: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Complaint:
    path: str
    reason: Reason
    field: Field
    value: Any = None


Shape: TypeAlias = Mapping[str, Field]


def first_complaint(body: JsonObject, shape: Shape, *, path: str = "", open_ended: bool = False) -> Complaint | None:
    """What is wrong with `body`; null stands for absent. Unknown fields are fine when `open_ended`."""
    prefix = f"{path}." if path else ""
    for name, field in shape.items():
        value = body.get(name)
        if value is None:
            if field.required:
                return Complaint(prefix + name, "missing", field)
            continue
        reason = _fault(value, field)
        if reason is not None:
            return Complaint(prefix + name, reason, field, value)
    unknown = [name for name in body if name not in shape]
    if unknown and not open_ended:
        return Complaint(prefix + unknown[0], "unknown", Field(), body[unknown[0]])
    return None


def first_complaint_of(
    value: Any, variants: Mapping[str, Shape], *, path: str, default: str | None = None
) -> Complaint | None:
    """The same for an object told apart by its `type`, which is `default` where it has none."""
    if not isinstance(value, dict):
        return Complaint(path, "type", Field("object"), value)
    kind = value.get("type", default)
    told = Field(required=True, choices=tuple(variants))
    shape = variants.get(kind, {}) if isinstance(kind, str) else {}
    return first_complaint({**value, "type": kind}, {"type": told, **shape}, path=path)


def _fault(value: Any, field: Field) -> Reason | None:
    if not KINDS[field.kind](value):
        return "type"
    if field.choices and value not in field.choices:
        return "choice"
    if field.low is not None and value < field.low:
        return "low"
    if field.high is not None and value > field.high:
        return "high"
    return None
