"""Tool arguments: OpenAI carries them as JSON text of the model's making, Anthropic as an object. Pure.

Text that is no JSON object, or whose numbers no JSON writer would give back as they are, still has to travel inside
one, or the conversation could not be continued; it is wrapped under a key that the reverse direction recognises, so a
round trip returns the same text.
"""

import json
import math
import re
from typing import Any

import orjson

from providers.types import JsonObject

TEXT_KEY = "__arguments_as_text"
_MAYBE_EXTREME_NUMBER = re.compile(r"\d{19}|\d[eE]")


def loads_lenient(data: bytes | str) -> Any:
    """JSON of an upstream. Raises ValueError, also for bytes that are not UTF-8. Escaped lone surrogates, which no
    UTF-8 can carry, become U+FFFD."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        text = data.decode() if isinstance(data, bytes) else data
        return _without_surrogates(json.loads(text, parse_constant=_refuse))


def object_from_arguments(text: str) -> JsonObject:
    """The `input` of a tool_use block. No arguments are written `""` by some clients and `{}` by others."""
    if not text.strip():
        return {}
    try:
        value = loads_lenient(text)
        if _MAYBE_EXTREME_NUMBER.search(text):
            json.loads(text, parse_int=_small_integer, parse_float=_finite, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return {TEXT_KEY: text}
    return value if isinstance(value, dict) else {TEXT_KEY: text}


def arguments_from_object(value: Any) -> str:
    if isinstance(value, dict) and list(value) == [TEXT_KEY]:
        return str(value[TEXT_KEY])
    if value is None:
        return "{}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _small_integer(digits: str) -> int:
    """Beyond 64 bits integers would come out as floats, which is another number."""
    value = int(digits)
    return value if -(2**63) <= value < 2**64 else _refuse(digits)


def _finite(digits: str) -> float:
    value = float(digits)
    return value if math.isfinite(value) else _refuse(digits)


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
