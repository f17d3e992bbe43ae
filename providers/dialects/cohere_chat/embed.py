"""Embeddings: OpenAI's `/v1/embeddings` body to `POST /v2/embed`, and its answer to vectors.

Floats are always asked for: base64 is OpenAI's wire form of them and is written where the client's answer is written.
"""

from array import array
from collections.abc import Collection
from typing import Any

from providers.dialects.cohere_chat.answer import read_usage
from providers.errors import BadAnswer, ClientFault, Unsupported
from providers.types import EmbeddingsAnswer, JsonObject, Usage

DEFAULT_INPUT_TYPE = "search_document"
INPUT_TYPES = ("search_document", "search_query", "classification", "clustering")
_TRUNCATIONS = frozenset({"NONE", "START", "END"})


def encode_embeddings_request(body: JsonObject, *, model: str, provider: str, input_type: str) -> JsonObject:
    """`input_type` is the default; a client's own `input_type` and `truncate` fields win.

    Raises `Unsupported` for token arrays. One upstream request holds at most 96 texts.
    """
    encoded: JsonObject = {
        "model": model,
        "texts": _texts(body.get("input"), provider),
        "input_type": _one_of(body, "input_type", INPUT_TYPES) or input_type,
        "embedding_types": ["float"],
    }
    if body.get("dimensions") is not None:
        encoded["output_dimension"] = body["dimensions"]
    truncate = _one_of(body, "truncate", _TRUNCATIONS)
    if truncate:
        encoded["truncate"] = truncate
    return encoded


def _one_of(body: JsonObject, field: str, allowed: Collection[str]) -> str | None:
    value = body.get(field)
    if value is not None and (not isinstance(value, str) or value not in allowed):
        raise ClientFault(f"{field} must be one of {', '.join(sorted(allowed))}.", param=field)
    return value


def _texts(wanted: Any, provider: str) -> list[str]:
    texts = [wanted] if isinstance(wanted, str) else wanted
    if not isinstance(texts, list) or not texts:
        raise ClientFault("input must be a string or a list of strings that is not empty.", param="input")
    if not all(isinstance(text, str) for text in texts):
        raise Unsupported(field="input", provider=provider, why="it takes texts, not arrays of tokens")
    return texts


def decode_embeddings(body: JsonObject, *, model: str) -> EmbeddingsAnswer:
    """Accepts v2's vectors by type and v1's plain list. Raises `BadAnswer`."""
    embeddings = body.get("embeddings")
    vectors = embeddings.get("float") if isinstance(embeddings, dict) else embeddings
    if not isinstance(vectors, list) or not vectors:
        raise BadAnswer("Cohere's answer holds no float embeddings.")
    try:
        for vector in vectors:
            array("d", vector)
    except (TypeError, OverflowError):
        raise BadAnswer("Cohere's embeddings are not lists of numbers.") from None
    return EmbeddingsAnswer(
        vectors=tuple(tuple(vector) for vector in vectors), model=model, usage=_usage(body.get("meta"))
    )


def _usage(meta: Any) -> Usage | None:
    """An embedding has no hidden preamble: what is billed is what was read."""
    billed = meta.get("billed_units") if isinstance(meta, dict) else None
    return read_usage({"tokens": billed}) if billed else None
