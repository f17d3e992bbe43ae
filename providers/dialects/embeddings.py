"""OpenAI's embeddings answer, written from vectors. Pure.

OpenAI's clients ask for base64 whenever their caller asked for nothing, and decode it as little-endian float32.
"""

import base64
import struct
from collections.abc import Sequence
from typing import Any

from providers.errors import BadAnswer
from providers.types import EmbeddingsAnswer, JsonObject


def inputs_of(body: JsonObject) -> list[Any]:
    """The inputs of a request one by one: texts or lists of token ids."""
    given = body["input"]
    if isinstance(given, str) or isinstance(given[0], int):
        return [given]
    return list(given)


def check_count(found: int, request: JsonObject) -> None:
    """Raises `BadAnswer`: whoever asked could not tell which embedding is missing."""
    asked = len(inputs_of(request))
    if found != asked:
        text = f"The provider answered with {found} embeddings, and was asked for {asked}."
        raise BadAnswer(text, upstream_status=200)


def encode_answer(answer: EmbeddingsAnswer, request: JsonObject) -> JsonObject:
    as_base64 = request.get("encoding_format") == "base64"
    usage = answer.usage
    tokens = usage.input_tokens if usage is not None else 0
    return {
        "object": "list",
        "data": [
            {"object": "embedding", "index": index, "embedding": pack(vector) if as_base64 else list(vector)}
            for index, vector in enumerate(answer.vectors)
        ],
        "model": answer.model,
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


def pack_rows(rows: list[JsonObject]) -> bool:
    """Packs vectors that came as numbers, from servers that do not know base64; True when there were some. OpenAI's client
    for JavaScript would decode numbers as well, into nonsense."""
    plain = [row for row in rows if isinstance(row.get("embedding"), list)]
    try:
        for row in plain:
            row["embedding"] = pack(row["embedding"])
    except (struct.error, OverflowError):
        raise BadAnswer("The provider's embedding is no list of numbers.", upstream_status=200) from None
    return bool(plain)


def pack(vector: Sequence[float]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
