"""A provider's own list of its models. Pure."""

from dataclasses import dataclass, field
from typing import Any

import orjson

from providers.errors import BadAnswer
from providers.types import JsonObject


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelInfo:
    """A model in a provider's own list."""

    id: str
    context_window: int | None = None
    max_output_tokens: int | None = None
    raw: JsonObject = field(default_factory=dict)


def read_model_list(body: bytes) -> tuple[ModelInfo, ...]:
    """OpenAI's list, and the fields by which OpenRouter, vLLM, Mistral and others add sizes to it."""
    try:
        listing = orjson.loads(body)
    except orjson.JSONDecodeError:
        raise BadAnswer("The provider's model list is not JSON.") from None
    rows = listing.get("data") if isinstance(listing, dict) else listing
    if not isinstance(rows, list):
        raise BadAnswer("The provider's model list has no 'data'.")
    return tuple(_model_info(row) for row in rows if isinstance(row, dict) and isinstance(row.get("id"), str))


def _model_info(row: JsonObject) -> ModelInfo:
    top = row.get("top_provider")
    names = ("context_length", "max_model_len", "context_window", "max_context_length")
    window = next((size for name in names if (size := row.get(name))), None)
    largest = row.get("max_output_tokens") or row.get("max_completion_tokens")
    if isinstance(top, dict):
        largest = largest or top.get("max_completion_tokens")
    # Google's list has `models/` before each name, which its chats are called without.
    name = row["id"].removeprefix("models/") if row.get("owned_by") == "google" else row["id"]
    return ModelInfo(id=name, context_window=_size(window), max_output_tokens=_size(largest), raw=row)


def _size(value: Any) -> int | None:
    return int(value) if isinstance(value, int | float) and value > 0 else None
