"""What OpenAI demands of a schema that is to be kept to strictly, and Anthropic does not: that all objects are closed and have
all their properties. One that is told without it is kept to as well as the model can. Pure."""

from typing import Any

from providers.types import JsonObject

_LISTS = ("anyOf", "prefixItems")
_MAPPINGS = ("properties", "$defs", "definitions")
_NEVER = ("oneOf", "allOf", "not", "patternProperties", "if")


def may_be_strict(schema: Any) -> bool:
    if not isinstance(schema, dict):
        return True
    properties = schema.get("properties")
    if isinstance(properties, dict) or schema.get("type") == "object":
        required = schema.get("required")
        named = {name for name in required if isinstance(name, str)} if isinstance(required, list) else set()
        if schema.get("additionalProperties") is not False or named != (properties or {}).keys():
            return False
    if any(name in schema for name in _NEVER):
        return False
    inner = [schema.get("items")]
    for name in _LISTS:
        inner += schema[name] if isinstance(schema.get(name), list) else []
    for name in _MAPPINGS:
        inner += schema[name].values() if isinstance(schema.get(name), dict) else []
    return all(map(may_be_strict, inner))


def as_strict_as_may_be(described: JsonObject, schema: str) -> JsonObject:
    """A function or a format of the answer; `schema` is what its schema is called there."""
    return (
        {**described, "strict": False}
        if described.get("strict") and not may_be_strict(described.get(schema))
        else described
    )
