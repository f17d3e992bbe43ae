"""Values that are compared and written down, but not shown. Pure."""

import re
from dataclasses import dataclass, field
from typing import Final

from providers.header_rules import VEIL

_CUSTOMARY: Final = re.compile(r"[A-Z][A-Z0-9]*(?:_[A-Z0-9]+)+")
_TOO_SHORT_FOR_A_KEY: Final = 8


@dataclass(frozen=True, slots=True)
class Veiled:
    """`shown` is what a person sees of it, `written` what a document says in its place: None is the stored value."""

    value: str = field(repr=False)
    shown: str = VEIL
    written: str | None = None

    def __str__(self) -> str:
        return self.shown


def shown_variable(name: str) -> str:
    """The name of a variable, for messages. One in another form than usual may be a key that was pasted in its place."""
    return name if len(name) <= _TOO_SHORT_FOR_A_KEY or _CUSTOMARY.fullmatch(name) else f"{name[:4]}…"
