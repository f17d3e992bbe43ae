"""Deterministic embeddings: a unit vector drawn from the SHA-256 of the text. Pure.

Equal texts have equal vectors; different texts are nearly orthogonal. Nothing about meaning is claimed.
"""

import base64
import hashlib
import math
import struct
from collections.abc import Callable, Iterable

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


def bytes_to_base64(values: Iterable[int]) -> str:
    """Values are 0..255."""
    return base64.b64encode(bytes(values)).decode()


def to_int8(vector: list[float]) -> list[int]:
    """Scaled so that the largest component is ±127."""
    scale = 127 / max(abs(value) for value in vector)
    return [round(value * scale) for value in vector]


def to_uint8(vector: list[float]) -> list[int]:
    return [value + 128 for value in to_int8(vector)]


def to_ubinary(vector: list[float]) -> list[int]:
    """One bit for each component, 1 when it is positive, eight to a byte, the first in the highest bit."""
    bits = [int(value > 0) for value in vector] + [0] * (-len(vector) % 8)
    return [int("".join(map(str, bits[start : start + 8])), 2) for start in range(0, len(bits), 8)]


def to_binary(vector: list[float]) -> list[int]:
    return [value - 128 for value in to_ubinary(vector)]


ENCODERS: dict[str, Callable[[list[float]], list[float] | list[int] | str]] = {
    "float": list,
    "base64": to_base64,
    "int8": to_int8,
    "uint8": to_uint8,
    "binary": to_binary,
    "ubinary": to_ubinary,
}
