"""Deterministic embeddings: a unit vector drawn from the SHA-256 of the text. Pure.

Equal texts have equal vectors; different texts are nearly orthogonal. Nothing about meaning is claimed.
"""

import base64
import hashlib
import math
import struct

DIMENSIONS = 256


def embed(text: str, dimensions: int = DIMENSIONS) -> list[float]:
    """`dimensions` floats of Euclidean norm 1, exactly representable in 32 bits."""
    stream = hashlib.shake_256(text.encode()).digest(dimensions * 2)
    raw = [value - 32767.5 for value in struct.unpack(f"<{dimensions}H", stream)]
    norm = math.sqrt(sum(value * value for value in raw))
    packed = struct.pack(f"<{dimensions}f", *(value / norm for value in raw))
    return list(struct.unpack(f"<{dimensions}f", packed))


def to_base64(vector: list[float]) -> str:
    """Little-endian 32-bit floats, as OpenAI and Cohere encode them."""
    return base64.b64encode(struct.pack(f"<{len(vector)}f", *vector)).decode()
