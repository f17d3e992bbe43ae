"""What the `options` of a route policy may say: the weights of `balanced`, and when to hedge. Pure.

Rows and documents are checked before they are stored, because a value that is no number would keep every worker from
building its table, and another name would be something that was meant and does not happen. Rows from before may hold such
names, which mean nothing.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from routing.strategies import Balance
from rows import names

HEDGE_AFTER = "hedge_after"
WEIGHTS = tuple(field.name for field in fields(Balance))
NAMES = (*WEIGHTS, HEDGE_AFTER)
EXPECTED = "a number of at least 0"


def problems(options: Mapping[str, Any]) -> Iterator[str]:
    """The names whose value is not what `EXPECTED` says."""
    for name in NAMES:
        value = options.get(name, 0)
        if isinstance(value, bool) or not isinstance(value, int | float) or not (math.isfinite(value) and value >= 0):
            yield name


def unknown(options: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Names that mean nothing, each with what may have been meant: `hedge_after?`, or all that there are."""
    for name in options:
        if name not in NAMES:
            yield str(name), names.meant(str(name), NAMES)


def known(options: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in options.items() if name in NAMES}


def balance(options: Mapping[str, Any]) -> Balance | None:
    """None when no weight is given."""
    weights = {name: float(options[name]) for name in WEIGHTS if name in options}
    return Balance(**weights) if weights else None


def hedge_after_s(options: Mapping[str, Any]) -> float:
    """0.0: never."""
    return float(options.get(HEDGE_AFTER, 0.0))
