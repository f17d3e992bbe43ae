"""Takes secrets out of texts that upstreams send, before a client or a log sees them. Pure."""

import re

MAX_MESSAGE_CHARS = 2000

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
    text = _LABELLED.sub(r"\1[redacted]", text[: limit * 4])
    text = _BARE.sub("[redacted]", text)
    text = "".join(character if character.isprintable() or character == "\n" else " " for character in text)
    return text if len(text) <= limit else text[: limit - 1] + "…"
