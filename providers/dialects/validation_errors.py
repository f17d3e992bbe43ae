"""FastAPI's way to say what is wrong with a request: `{"detail": [{"loc": ["body", "x"], "msg": "…", "input": …}]}`. Pure.

Mistral puts the list below `message`. `input` is the client's own and is not read.
"""

from typing import Any

from providers.types import JsonObject


def complaints_in(*holders: JsonObject) -> list[JsonObject]:
    """The entries of the first list that one of `holders` has. Empty when the error is written in another way."""
    for holder in (*holders, *(holder.get("message") for holder in holders)):
        found = holder.get("detail") if isinstance(holder, dict) else None
        if isinstance(found, list):
            return [entry if isinstance(entry, dict) else {"msg": entry} for entry in found]
    return []


def told(complaints: list[JsonObject]) -> str:
    return "; ".join(map(_told, complaints))


def _told(complaint: JsonObject) -> str:
    message = complaint.get("msg")
    path = ".".join(_steps(complaint))
    text = message if isinstance(message, str) and message else "invalid"
    return f"{path}: {text}" if path else text


def first_field(complaints: list[JsonObject]) -> str | None:
    """The place of the first one, as the client would name it."""
    steps = _steps(complaints[0]) if complaints else []
    return ".".join(steps[1:] if steps[:1] == ["body"] else steps) or None


def _steps(complaint: JsonObject) -> list[str]:
    loc: Any = complaint.get("loc")
    return [str(step) for step in loc] if isinstance(loc, list) else []
