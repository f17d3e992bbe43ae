"""What an upstream says that a call used, as numbers that can be added up. Pure."""

import math
from typing import Final

from rows.bounds import MOST_OF_CALL

MOST: Final = MOST_OF_CALL


def count(value: object) -> int:
    """A count of tokens: some upstreams write it as a float, as null, or not at all."""
    if not value:
        # Most details are absent or 0.
        return 0
    if type(value) is int:
        return value if 0 <= value <= MOST else MOST if value > 0 else 0
    return round(min(value, MOST)) if isinstance(value, float) and 0 < value < math.inf else 0


def nano_of_ticks(ticks: object) -> int | None:
    """What xAI says that a call cost, in 10⁻¹⁰ USD, as nano-USD; None where nothing is said."""
    return min((ticks + 5) // 10, MOST) if type(ticks) is int and ticks >= 0 else None
