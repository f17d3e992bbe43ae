"""Which extra headers a provider may be given, and what is shown of them. Pure."""

import re
from collections.abc import Mapping

HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
# Set by the adapter or the transport; letting configuration override them would unbind a credential from its host.
RESERVED_HEADERS = frozenset(
    {"host", "content-length", "transfer-encoding", "connection", "authorization", "x-api-key", "api-key"}
)

VEIL = "•••"
"""What is shown of a value, any of which may be a secret. Coming back it is the value that is stored."""


def veiled(headers: object) -> dict[str, str]:
    return dict.fromkeys(headers, VEIL) if isinstance(headers, dict) else {}


def unveiled(headers: Mapping[str, str], stored: object) -> tuple[dict[str, str], list[str]]:
    """What to store of `headers` as they came back, and the names of those that stand for a value that is not there."""
    present = stored if isinstance(stored, dict) else {}
    values = {name: present.get(name) if value == VEIL else value for name, value in headers.items()}
    return (
        {name: value for name, value in values.items() if value is not None},
        [name for name, value in values.items() if value is None],
    )
