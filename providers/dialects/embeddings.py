"""OpenAI's embeddings answer, written from vectors. Pure.

OpenAI's Python client asks for base64 whenever its caller asked for nothing, and decodes it as little-endian float32.
"""

import base64
import struct

from providers.types import EmbeddingsAnswer, JsonObject


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


def pack(vector: tuple[float, ...]) -> str:
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode("ascii")
