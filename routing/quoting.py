"""What a failed provider's words may not carry further: our credential, and the client's own text. Pure.

A provider can quote anything that it was sent. The client may read its own prompt again; records, logs and other readers
may not, and nobody may read the credential, whatever its shape.
"""

from typing import Any

from providers.errors import UpstreamError

CONCEALED = "[redacted]"
NOT_KEPT = "The provider's message quotes the request and is not kept."
NOT_COMPARED = (
    "The request is too long to be compared with the provider's message, which is not kept as it may quote it."
)
KEPT_CHARS = 200
SHORTEST_SECRET = 8
WINDOW = 16
STRIDE = 8
"""A quotation of WINDOW + STRIDE characters is always recognised; a shorter one may pass."""
SEARCHED_CHARS = 64 * 1024
SEARCHED_IN_ALL = 1024 * 1024
VISIT_CHARS = 8
"""To come to a value takes as long as to search so many characters."""


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
    """The beginning of `message`, or a sentence in its place when it quotes a text of the request's `body`."""
    # What begins to quote at the end of what is kept is recognised by what follows.
    searched = message[: KEPT_CHARS + WINDOW + STRIDE]
    windows = {searched[at : at + WINDOW] for at in range(0, len(searched) - WINDOW + 1, STRIDE)}
    if windows:
        texts = _texts(body)
        if texts is None:
            return NOT_COMPARED
        if any(window in texts for window in windows):
            return NOT_KEPT
    return message[:KEPT_CHARS]


def _texts(body: Any) -> str | None:
    """The strings of the request that are long enough to be somebody's words, one after the other; of endless ones the
    beginning. None when there are more than can be searched while other calls wait."""
    found: list[str] = []
    left = SEARCHED_IN_ALL
    waiting = [body]
    while waiting:
        value = waiting.pop()
        if isinstance(value, str):
            if len(value) >= WINDOW:
                found.append(value[:SEARCHED_CHARS])
                left -= len(found[-1])
        elif isinstance(value, dict):
            waiting.extend(value.values())
            left -= VISIT_CHARS * len(value)
        elif isinstance(value, list):
            waiting.extend(value)
            left -= VISIT_CHARS * len(value)
        if left < 0:
            return None
    return "\0".join(found)
