"""Strict JSON for bodies of strangers: one meaning, bounded depth. Pure.

orjson refuses NaN, Infinity, invalid UTF-8 and lone surrogates, but keeps the last of duplicate keys, where another
parser on the way may keep the first. Looking for duplicates in Python would cost more than parsing, so quotes are
counted: a key that was lost took its two quotes with it, and they are missing when the value is written again. A quote
inside a string is `\\"` in both texts, unless the sender wrote it as `\\u0022`; then the exact, slow parser decides.
"""

import json
from typing import Any, NoReturn

import orjson

from providers.types import JsonObject

MAX_DEPTH = 64

_SPARE_LEVELS = 254 - MAX_DEPTH
_SHORT_BYTES = 2048


class JsonRefusedError(ValueError):
    """It is not JSON as we take it; `message` is for the client, who reads what was sent, such as "The body", before it."""

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


def loads_strict(data: bytes) -> JsonObject:
    """A JSON object of at most `MAX_DEPTH` levels, without duplicate keys. Raises `JsonRefusedError`."""
    try:
        value = orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise JsonRefusedError(_what_is_wrong(data, error)) from None
    if type(value) is not dict:
        raise JsonRefusedError("must be a JSON object.")
    written = _write(value, data)
    if written != data and (data.count(b'"') != written.count(b'"') or b"\\u0022" in data):
        _refuse_duplicates(data)
    return value


def _what_is_wrong(data: bytes, error: orjson.JSONDecodeError) -> str:
    if not data.strip():
        return "is empty; a JSON object is expected."
    try:
        data.decode()
    except UnicodeDecodeError:
        return "is not valid UTF-8."
    return f"is not valid JSON: {error.msg} (line {error.lineno}, column {error.colno})."


def _write(value: JsonObject, data: bytes) -> bytes:
    """`value` as compact JSON; refuses it when it is too deep.

    In a short text it is enough to count what opens a level. For a long one, the serialiser itself has a limit of 254
    levels, which is brought down to ours by wrapping the value in lists.
    """
    if len(data) <= _SHORT_BYTES and data.count(b"{") + data.count(b"[") <= MAX_DEPTH:
        return orjson.dumps(value)
    wrapped: Any = value
    for _ in range(_SPARE_LEVELS):
        wrapped = [wrapped]
    try:
        return orjson.dumps(wrapped)[_SPARE_LEVELS:-_SPARE_LEVELS]
    except orjson.JSONEncodeError:
        raise JsonRefusedError(f"is nested deeper than {MAX_DEPTH} levels.") from None


def _refuse_duplicates(data: bytes) -> None:
    json.loads(data, object_pairs_hook=_unique, parse_int=_as_is, parse_float=_as_is, parse_constant=_constant)


def _unique(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for key, _ in pairs:
        if key in seen:
            raise JsonRefusedError(f"has the key '{key[:100]}' twice in one object.")
        seen.add(key)


def _as_is(text: str) -> str:
    """Numbers are not looked at here; Python would refuse very long ones."""
    return text


def _constant(name: str) -> NoReturn:
    raise JsonRefusedError(f"is not valid JSON: {name} is not a JSON value.")
