"""What a failed provider's words may not carry further: our credential, and the client's own text. Pure.

A provider can quote anything that it was sent. The client may read its own prompt again; records, logs and other readers
may not, and nobody may read the credential, whatever its shape.
"""

from collections.abc import Iterator
from typing import Any

from providers.errors import UpstreamError

CONCEALED = "[redacted]"
NOT_KEPT = "The provider's message quotes the request and is not kept."
SHORTEST_SECRET = 8
WINDOW = 16
STRIDE = 8
"""A quotation of WINDOW + STRIDE characters is always recognised; a shorter one may pass."""
SEARCHED_CHARS = 64 * 1024


def conceal(error: UpstreamError, secret: str) -> None:
    """Takes `secret` out of everything that the error says."""
    if len(secret) < SHORTEST_SECRET:
        return
    error.message = error.message.replace(secret, CONCEALED)
    error.args = (error.message,)
    if error.code and secret in error.code:
        error.code = type(error).code
    if error.param and secret in error.param:
        error.param = None
    if error.detail:
        error.detail = {
            name: value.replace(secret, CONCEALED) if isinstance(value, str) else value
            for name, value in error.detail.items()
        }


def fit_to_keep(message: str, body: Any) -> str:
    """`message`, or a sentence in its place when it quotes a text of the request's `body`."""
    windows = [message[at : at + WINDOW] for at in range(0, len(message) - WINDOW + 1, STRIDE)]
    if windows and any(window in text for text in _texts(body) for window in windows):
        return NOT_KEPT
    return message


def _texts(value: Any) -> Iterator[str]:
    """The strings of the request that are long enough to be somebody's words; of endless ones the beginning."""
    if isinstance(value, str):
        if len(value) >= WINDOW:
            yield value[:SEARCHED_CHARS]
    elif isinstance(value, dict):
        for each in value.values():
            yield from _texts(each)
    elif isinstance(value, list):
        for each in value:
            yield from _texts(each)
