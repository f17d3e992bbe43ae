"""Shorter texts: the longest give most, each keeps its beginning and its end. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from providers.types import JsonObject
from routing.estimation import BYTES_PER_TOKEN

HEAD_SHARE = 0.6
LEAST_TOKENS = 48
"""No text is trimmed below this: less would say nothing."""
MARK_TOKENS = 16
"""What the remark in the middle of a trimmed text takes at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """A text of a message: its content, or one part of it. `tokens` as estimated."""

    message: int
    part: int | None
    text: str
    tokens: int


def pieces(at: int, message: JsonObject) -> list[Piece]:
    content = message.get("content")
    if isinstance(content, str):
        return [_piece(at, None, content)]
    if not isinstance(content, list):
        return []
    return [
        _piece(at, number, part["text"])
        for number, part in enumerate(content)
        if isinstance(part, dict) and isinstance(part.get("text"), str)
    ]


def _piece(at: int, part: int | None, text: str) -> Piece:
    return Piece(message=at, part=part, text=text, tokens=len(text.encode("utf-8", "replace")) // BYTES_PER_TOKEN)


def cap_tokens(found: Sequence[Piece], excess: int) -> int:
    """The length above which texts are to be cut, so that together they give `excess` tokens, or all they can."""
    low, high = LEAST_TOKENS, max((piece.tokens for piece in found), default=LEAST_TOKENS)
    while low < high:
        middle = (low + high + 1) // 2
        if _given(found, middle) >= excess:
            low = middle
        else:
            high = middle - 1
    return low


def _given(found: Sequence[Piece], cap: int) -> int:
    return sum(piece.tokens - cap for piece in found if piece.tokens > cap)


def trim(text: str, tokens: int) -> str:
    """At most about `tokens` of the text, remark included: its beginning, a remark about what is missing, its end."""
    data = text.encode("utf-8", "replace")
    room = max(tokens - MARK_TOKENS, 0) * BYTES_PER_TOKEN
    if len(data) <= tokens * BYTES_PER_TOKEN:
        return text
    head = int(room * HEAD_SHARE)
    tail = room - head
    start = data[:head].decode("utf-8", "ignore")
    end = data[len(data) - tail :].decode("utf-8", "ignore")
    missing = len(text) - len(start) - len(end)
    return f"{start}\n[… {missing} characters left out …]\n{end}"


def replace_text(message: JsonObject, part: int | None, text: str) -> JsonObject:
    """A copy of the message with one text changed."""
    if part is None:
        return {**message, "content": text}
    content = list(message["content"])
    content[part] = {**content[part], "text": text}
    return {**message, "content": content}
