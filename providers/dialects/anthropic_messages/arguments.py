"""Tool arguments: OpenAI carries them as JSON text of the model's making, Anthropic as an object. Pure.

Text that is no JSON object still has to travel inside one, or the conversation could not be continued; it is wrapped
under a key that the reverse direction recognises, so a round trip returns the same text.
"""

import json
from typing import Any

import orjson

from providers.types import JsonObject

INVALID_ARGUMENTS_KEY = "__invalid_json_arguments"


def loads_lenient(data: bytes | str) -> Any:
    """JSON of an upstream. Raises ValueError, also for bytes that are not UTF-8. Escaped lone surrogates, which no
    UTF-8 can carry, become U+FFFD."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        text = data.decode() if isinstance(data, bytes) else data
        value = json.loads(text, parse_constant=_refuse_constant)  # big integers, lone surrogates
        return _without_surrogates(value)


def object_from_arguments(text: str) -> JsonObject:
    """The `input` of a tool_use block. No arguments are written `""` by some clients and `{}` by others."""
    if not text.strip():
        return {}
    try:
        value = loads_lenient(text)
    except (ValueError, RecursionError):
        return {INVALID_ARGUMENTS_KEY: text}
    return value if isinstance(value, dict) else {INVALID_ARGUMENTS_KEY: text}


def arguments_from_object(value: Any) -> str:
    if isinstance(value, dict) and list(value) == [INVALID_ARGUMENTS_KEY]:
        return str(value[INVALID_ARGUMENTS_KEY])
    if value is None:
        return "{}"
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)


def _refuse_constant(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _without_surrogates(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    if isinstance(value, list):
        return [_without_surrogates(item) for item in value]
    if isinstance(value, dict):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return value
