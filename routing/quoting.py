"""What a failed provider's words may not carry further: the client's own text. Pure.

A provider can quote anything that it was sent. The client may read its own prompt again; records, logs and other readers
may not. (Nobody may read what we sent of our own: `providers.dialects.redaction`.)
"""

import string
from itertools import pairwise
from struct import unpack_from
from typing import Any

NOT_KEPT = "The provider's message quotes the request and is not kept."
NOT_COMPARED = (
    "The request is too long to be compared with the provider's message, which is not kept as it may quote it."
)
KEPT_CHARS = 200
WINDOW = 16
STRIDE = 8
"""In bytes. A quotation of WINDOW + STRIDE is always recognised; a shorter one may pass."""
PADDING = "\0" * STRIDE
PIECE_WORDS = 2048
SEARCHED_IN_ALL = 4 * 1024 * 1024
VISIT_CHARS = 32
"""To come to a value takes as long as to search so many characters."""
BASE64 = (string.ascii_letters + string.digits + "+/=-_").encode()
MARKS_OF_AN_ADDRESS = 8
"""More than `data:image/png;base64,` has beside letters, digits and what base64 is written with."""
BEGINNING = 64 * 1024


def fit_to_keep(message: str, body: Any) -> str:
    """The beginning of `message`, or a sentence in its place when it quotes a text of the request's `body`."""
    # What begins to quote at the end of what is kept is recognised by what follows.
    searched = _bytes(message[: KEPT_CHARS + WINDOW + STRIDE])
    if len(searched) >= WINDOW:
        texts = _texts(body)
        if texts is None:
            return NOT_COMPARED
        if _quotes(searched, texts):
            return NOT_KEPT
    return message[:KEPT_CHARS]


def _quotes(message: bytes, texts: bytes) -> bool:
    """Whether WINDOW bytes of `texts` that begin with one of its words, which have STRIDE bytes, are somewhere in `message`.

    The short message is cut at every byte, the long texts only at words: so each word is looked at twice at most, whatever
    stands in either. To search for window after window takes some thirty times that. Words are compared as numbers, which
    is fastest; and of a window at least every other word must be known, so that mostly half a look is enough.
    """
    windows = {unpack_from("QQ", message, at) for at in range(len(message) - WINDOW + 1)}
    known = {word for window in windows for word in window}
    words = memoryview(texts).cast("Q")
    for start in range(0, len(words), PIECE_WORDS):
        piece = words[start : start + PIECE_WORDS + 1]
        if not known.isdisjoint(piece[::2]) and not windows.isdisjoint(pairwise(piece)):
            return True
    return False


def _texts(body: Any) -> bytes | None:
    """The strings of the request that are long enough to be somebody's words, one after the other, in whole words. None
    when there are more than can be searched while other calls wait."""
    found: list[str] = []
    left = SEARCHED_IN_ALL
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if len(value) >= WINDOW:
                text = value if len(value) <= BEGINNING or not _is_encoded(value) else value[:BEGINNING]
                found += text, PADDING[len(text) % STRIDE :]
                left -= len(text)
        elif isinstance(value, dict):
            waiting.extend(value.values())
            left -= VISIT_CHARS * len(value)
        elif isinstance(value, list):
            waiting.extend(value)
            left -= VISIT_CHARS * len(value)
        if left < 0:
            return None
    texts = _bytes("".join(found))
    return None if len(texts) > SEARCHED_IN_ALL + STRIDE else texts[: len(texts) // STRIDE * STRIDE]


def _is_encoded(text: str) -> bool:
    """Whether it is an image, sound or file in base64, whose beginning is as good as all of it: it has no words."""
    return text.isascii() and len(text.encode().translate(None, BASE64)) <= MARKS_OF_AN_ADDRESS


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")
