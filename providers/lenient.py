"""Values of a JSON that nobody has checked, read as what they should be: what is something else says nothing. Pure."""

from typing import Any

from providers.types import JsonObject


def an_object(value: Any) -> JsonObject:
    return value if isinstance(value, dict) else {}


def a_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def objects(value: Any) -> list[JsonObject]:
    """Those in a list."""
    return [entry for entry in value if isinstance(entry, dict)] if isinstance(value, list) else []
