"""A plausible value for a JSON Schema: what the demo puts into tool arguments and structured answers. Pure.

Covers what clients send in practice: types, required properties, enum, const, default, examples, formats, bounds,
arrays, local `$ref`, `anyOf`, `oneOf`, `allOf`. Values are the same for the same schema. A keyword that is no such thing
(`"anyOf": 3`) is as good as none.
"""

from collections.abc import Mapping
from typing import Any

from providers.types import JsonObject

MAX_DEPTH = 12

LARGEST = 2**63 - 1
"""Of numbers: JSON is written with 64 bits."""

FORMATS = {
    "date": "2026-01-02",
    "date-time": "2026-01-02T03:04:05Z",
    "time": "03:04:05Z",
    "email": "demo@example.com",
    "uri": "https://example.com/demo",
    "uuid": "00000000-0000-4000-8000-000000000000",
    "ipv4": "192.0.2.1",
}
BY_NAME = {"city": "Lisbon", "location": "Lisbon", "country": "Portugal", "name": "Demo", "unit": "celsius"}
KEYWORDS: dict[str, tuple[type, ...]] = {
    **dict.fromkeys(("enum", "examples", "anyOf", "oneOf", "allOf", "required"), (list,)),
    **dict.fromkeys(("minItems", "minLength", "maxLength"), (int,)),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), (int, float)),
    "properties": (dict,),
    "$ref": (str,),
}


def sample(schema: JsonObject) -> Any:
    """A value that satisfies `schema`."""
    return _sample(schema, "", schema, 0)


def _sample(schema: Any, name: str, root: JsonObject, depth: int) -> Any:
    """`name` is the property it is for and makes strings more telling."""
    if not isinstance(schema, Mapping) or depth > MAX_DEPTH:
        return None
    schema = _sound(schema)
    given, value = _stated(schema)
    if given:
        return value
    if "$ref" in schema:
        return _sample(_resolve(schema["$ref"], root), name, root, depth + 1)
    for union in ("anyOf", "oneOf"):
        if schema.get(union):
            return _sample(schema[union][0], name, root, depth + 1)
    if schema.get("allOf"):
        return _sample(_merged(schema, root), name, root, depth + 1)
    return _typed(schema, name, root, depth)


def _sound(schema: Mapping[str, Any]) -> JsonObject:
    return {key: value for key, value in schema.items() if _fits(value, KEYWORDS.get(key, (object,)))}


def _fits(value: Any, types: tuple[type, ...]) -> bool:
    return isinstance(value, types) and (not isinstance(value, bool) or object in types)


def _stated(schema: Mapping[str, Any]) -> tuple[bool, Any]:
    if "const" in schema:
        return True, schema["const"]
    for key in ("enum", "examples"):
        if schema.get(key):
            return True, schema[key][0]
    return ("default" in schema), schema.get("default")


def _resolve(reference: str, root: JsonObject) -> Any:
    node: Any = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step and isinstance(node, Mapping):
            node = node.get(step.replace("~1", "/").replace("~0", "~"))
    return node


def _merged(schema: Mapping[str, Any], root: JsonObject) -> JsonObject:
    merged: JsonObject = {key: value for key, value in schema.items() if key != "allOf"}
    for entry in schema["allOf"]:
        part = _resolve(str(entry["$ref"]), root) if isinstance(entry, Mapping) and "$ref" in entry else entry
        if not isinstance(part, Mapping):
            continue
        part = _sound(part)
        properties = {**merged.get("properties", {}), **part.get("properties", {})}
        required = [*merged.get("required", []), *part.get("required", [])]
        merged = {**merged, **part}
        if properties:
            merged |= {"properties": properties, "required": required}
    return merged


def _typed(schema: Mapping[str, Any], name: str, root: JsonObject, depth: int) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        kind = next((entry for entry in kind if entry != "null"), "null")
    if kind is None:
        kind = "object" if "properties" in schema else "string"
    if kind == "object":
        return _object(schema, root, depth)
    if kind == "array":
        count = max(1, int(schema.get("minItems", 1)))
        return [_sample(schema.get("items") or {"type": "string"}, name, root, depth + 1) for _ in range(count)]
    if kind in ("integer", "number"):
        return _number(schema, kind)
    return {"boolean": True, "null": None}.get(str(kind), _string(schema, name))


def _object(schema: Mapping[str, Any], root: JsonObject, depth: int) -> JsonObject:
    properties = schema.get("properties") or {}
    # A whole answer of nothing would tell a person less than one that fills in what may be left out.
    wanted = schema.get("required") or (properties if depth == 0 else ())
    named = (key for key in wanted if isinstance(key, str))
    return {key: _sample(properties.get(key, {"type": "string"}), key, root, depth + 1) for key in named}


def _number(schema: Mapping[str, Any], kind: str) -> int | float:
    value: float = 1
    if "minimum" in schema:
        value = schema["minimum"]
    elif "exclusiveMinimum" in schema:
        value = schema["exclusiveMinimum"] + 1
    value = min(value, schema.get("maximum", value))
    if "exclusiveMaximum" in schema and value >= schema["exclusiveMaximum"]:
        value = schema["exclusiveMaximum"] - 1
    step = schema.get("multipleOf")
    if step:
        value = -(-value // step) * step
    if not -LARGEST <= value <= LARGEST:
        return 1
    return int(value) if kind == "integer" else value


def _string(schema: Mapping[str, Any], name: str) -> str:
    text = FORMATS.get(str(schema.get("format")), BY_NAME.get(name, f"demo {name}".strip()))
    text = text.ljust(int(schema.get("minLength", 0)), ".")
    return text[: int(schema.get("maxLength", len(text)))]
