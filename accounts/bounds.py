"""What keys, limits and budgets may hold beside what `rows.bounds` says of every row. Pure."""

from typing import Final

MOST_NANO_USD: Final = 10**18
"""Of a budget: a billion dollars."""
MOST_TOKENS: Final = 9_000_000_000_000_000
LONGEST_NAME: Final = 100
