"""Takes secrets out of texts that upstreams send, before a client or a log sees them. Pure."""

import re
from collections.abc import Iterable

from providers.errors import UpstreamError

MAX_MESSAGE_CHARS = 2000
CONCEALED = "[redacted]"
SHORTEST_SECRET = 8
"""A shorter one would be found in words."""

_LABELLED = re.compile(
    r"""(
      \bbearer\s+
    | (?:x-)?api[-_ ]?(?:key|token)(?:\s+provided)?["']?\s*[:=]\s*["']?
    | [?&](?:key|api[-_]key|token|access_token)=
    )[^\s"'&,;]+""",
    re.VERBOSE | re.IGNORECASE,
)
_BARE = re.compile(
    r"""
      \b(?:sk|pk|rk|xai|pplx|llmp|gsk|hf|bb|co|r8|nvapi|sess|key)[-_][A-Za-z0-9*_\-.]{8,}
    | \bAIza[0-9A-Za-z_\-]{20,}
    | \beyJ[A-Za-z0-9_\-]{8,}\.[A-Za-z0-9_\-.]+
    | \b[A-Za-z0-9]{0,16}\*{3,}[A-Za-z0-9]{0,16}
    | \b[A-Fa-f0-9]{32,}\b
    """,
    re.VERBOSE,
)


def redact(text: str, *, limit: int = MAX_MESSAGE_CHARS) -> str:
    """`text` without anything that looks like a key, cut to `limit` characters, control characters made spaces."""
    text = _LABELLED.sub(rf"\1{CONCEALED}", text[: limit * 4])
    text = _BARE.sub(CONCEALED, text)
    text = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"


def conceal(error: UpstreamError, secrets: Iterable[str]) -> None:
    """Takes what the provider was sent and nobody may read, whatever its shape, out of everything that the error says."""
    for secret in secrets:
        if len(secret) >= SHORTEST_SECRET:
            _conceal(error, secret)


def _conceal(error: UpstreamError, secret: str) -> None:
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
