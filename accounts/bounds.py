"""What the numbers of teams, limits, budgets and prices may be; the configuration document has the same bounds. Pure."""

from typing import Final

DEAREST_NANO_USD: Final = 10**15
"""For a million tokens: a million dollars."""
