"""Typed reading of a client's JSON: a wrong type becomes a 400 that names the field. Pure."""

from typing import Any, NoReturn

from providers.errors import ClientFault
from providers.types import JsonObject

MOST = 2**53
"""Beyond it, languages whose numbers are floats no longer count in ones."""
MOST_OF_SEED = 2**63 - 1
"""A seed is any number of 64 bits; beyond them no JSON writer gives it back."""


def refuse(param: str, wanted: str) -> NoReturn:
    raise ClientFault(f"'{param}' must be {wanted}.", param=param, code="invalid_type")


def text(source: JsonObject, key: str, where: str = "") -> str | None:
    value = source.get(key)
    if value is not None and not isinstance(value, str):
        refuse(where + key, "a string")
    return value


def required_text(source: JsonObject, key: str, where: str = "") -> str:
    value = text(source, key, where)
    if value is None:
        refuse(where + key, "a string")
    return value


def flag(source: JsonObject, key: str, where: str = "") -> bool | None:
    value = source.get(key)
    if value is not None and not isinstance(value, bool):
        refuse(where + key, "a boolean")
    return value


def number(source: JsonObject, key: str, where: str = "") -> float | None:
    value = source.get(key)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        refuse(where + key, "a number")
    return value


def integer(source: JsonObject, key: str, where: str = "", *, most: int = MOST) -> int | None:
    """Whole floats count, since some clients send every number as one."""
    value = number(source, key, where)
    if value is None:
        return None
    if not -most <= value <= most or not float(value).is_integer():
        refuse(where + key, f"an integer from {-most} to {most}")
    return int(value)


def mapping(source: JsonObject, key: str, where: str = "") -> JsonObject | None:
    value = source.get(key)
    if value is not None and not isinstance(value, dict):
        refuse(where + key, "an object")
    return value


def required_mapping(source: JsonObject, key: str, where: str = "") -> JsonObject:
    value = mapping(source, key, where)
    if value is None:
        refuse(where + key, "an object")
    return value


def objects(source: JsonObject, key: str, where: str = "") -> list[JsonObject]:
    """A list of objects; absent and null are an empty list."""
    value = source.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        refuse(where + key, "an array of objects")
    return value


def texts(source: JsonObject, key: str) -> tuple[str, ...]:
    """A string or a list of strings."""
    value: Any = source.get(key)
    if value is None:
        return ()
    if isinstance(value, str):
        return (value,)
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        refuse(key, "a string or an array of strings")
    return tuple(value)


def present(**fields: Any) -> JsonObject:
    """The fields that are not None."""
    return {key: value for key, value in fields.items() if value is not None}
