"""What the columns of both databases hold, whatever they are of: the rows and the configuration document keep to the same
bounds, because what one door lets in, every other has to be able to let out. Pure."""

import math
import re
from typing import Final

MOST_WHOLE: Final = 2**31 - 1
"""What a column of whole numbers holds in both databases."""
LONGEST_WORD: Final = 200
DEEPEST: Final = 16
"""Levels of a nested object. A document around it has a few levels of its own."""
DEAREST_NANO_USD: Final = 10**15
"""For a million tokens: a million dollars."""
MOST_OF_CALL: Final = 10**15
"""No call has more tokens or costs more nano-USD (a million dollars). An upstream that says otherwise is cut to it, so that
sums of calls stay inside 64 bits everywhere."""
LEAST_INT64, MOST_INT64 = -(2**63), 2**63 - 1

NOT_SEEN: Final = (
    r"\x00-\x1f\x7f-\x9f\xad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u2028-\u202e\u2060-\u206f\u3164"
    r"\ufeff\uffa0\ufff0-\ufffb\U000e0000-\U000e0fff\ud800-\udfff"
)
"""Within the brackets of an expression: control characters, halves of pairs, and what shows nothing or turns the direction
of what follows, so that two different names would look alike. The selector that makes an emoji of a sign is none of them."""
UNPRINTABLE: Final = re.compile(f"[{NOT_SEEN}]")
UNSTORABLE: Final = re.compile(r"[\x00\ud800-\udfff]")
"""What PostgreSQL keeps in no text and no JSON."""


def is_line(text: object, *, at_most: int) -> bool:
    return isinstance(text, str) and 0 < len(text) <= at_most and UNPRINTABLE.search(text) is None


def are_words(value: object) -> bool:
    """A list of words, each once."""
    if not isinstance(value, list) or not all(is_line(word, at_most=LONGEST_WORD) for word in value):
        return False
    return len(set(value)) == len(value)


def is_json_object(value: object) -> bool:
    """One that both databases store and both formats of the document can say."""
    return isinstance(value, dict) and _is_json(value, DEEPEST)


def _is_json(value: object, levels: int) -> bool:
    if isinstance(value, dict):
        names = all(isinstance(name, str) and not UNSTORABLE.search(name) for name in value)
        return levels > 0 and names and all(_is_json(each, levels - 1) for each in value.values())
    if isinstance(value, list):
        return levels > 0 and all(_is_json(each, levels - 1) for each in value)
    return _is_scalar(value)


def _is_scalar(value: object) -> bool:
    if isinstance(value, str):
        return UNSTORABLE.search(value) is None
    if isinstance(value, float):
        return math.isfinite(value)
    return value is None or (isinstance(value, int) and LEAST_INT64 <= value <= MOST_INT64)
