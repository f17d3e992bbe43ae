"""JSON Schema as Anthropic's structured output accepts it. Pure.

Keywords that it refuses with 400 are moved into the description, where the model still reads them; `oneOf` becomes
`anyOf`; every object is closed. Source: the transformation in Anthropic's own Python SDK (`lib/_parse/_transform.py`).
"""

import json
from typing import Any

from providers.types import JsonObject

_KEPT = frozenset({"type", "description", "title", "enum", "const", "$ref", "required", "default"})
_SCHEMA_MAPS = frozenset({"properties", "$defs", "definitions"})
_SCHEMA_LISTS = {"anyOf": "anyOf", "oneOf": "anyOf", "allOf": "allOf"}
_FORMATS = frozenset({"date-time", "time", "date", "duration", "email", "hostname", "uri", "ipv4", "ipv6", "uuid"})
_NOISE = frozenset({"$schema", "$id", "$comment"})


def restrict_schema(schema: JsonObject) -> JsonObject:
    """A copy that the upstream accepts; a schema that already is acceptable comes back equal."""
    result: JsonObject = {}
    hints: list[str] = []
    for key, value in schema.items():
        if key in _KEPT:
            result[key] = value
        elif key in _SCHEMA_MAPS and isinstance(value, dict):
            result[key] = {name: _restrict(item) for name, item in value.items()}
        elif key in _SCHEMA_LISTS and isinstance(value, list):
            result.setdefault(_SCHEMA_LISTS[key], []).extend(_restrict(item) for item in value)
        elif key not in _NOISE and not _keep_special(key, value, result):
            hints.append(f"{key}: {json.dumps(value, ensure_ascii=False)}")
    if _is_object(schema):
        result["additionalProperties"] = False
    if hints:
        _append_hints(result, hints)
    return result


def _restrict(schema: Any) -> Any:
    return restrict_schema(schema) if isinstance(schema, dict) else schema


def _is_object(schema: JsonObject) -> bool:
    kind = schema.get("type")
    return kind == "object" or (isinstance(kind, list) and "object" in kind) or "properties" in schema


def _keep_special(key: str, value: Any, result: JsonObject) -> bool:
    """True when the keyword was dealt with: accepted for some values only, or replaced."""
    if key == "additionalProperties":
        return value is False or value is True or value is None  # a schema for extra keys goes into the description
    accepted = (
        (key == "items" and isinstance(value, dict))
        or (key == "minItems" and value in (0, 1))
        or (key == "format" and isinstance(value, str) and value in _FORMATS)
    )
    if accepted:
        result[key] = _restrict(value)
    return accepted


def _append_hints(result: JsonObject, hints: list[str]) -> None:
    text = "{" + ", ".join(hints) + "}"
    described = result.get("description")
    result["description"] = f"{described}\n\n{text}" if described else text
