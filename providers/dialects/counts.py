"""What an upstream says that a call used, as numbers that can be added up. Pure."""

import math

MOST = 10**15
"""No call has more tokens or costs more nano-USD (a million dollars). One that says so would spoil every sum it gets into."""


def count(value: object) -> int:
    """A count of tokens: some upstreams write it as a float, as null, or not at all."""
    if not value:
        # Most details are absent or 0.
        return 0
    if type(value) is int:
        return value if 0 <= value <= MOST else MOST if value > 0 else 0
    return round(min(value, MOST)) if isinstance(value, float) and 0 < value < math.inf else 0
