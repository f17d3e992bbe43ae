"""Resolves prices from the `genai-prices` catalogue, offline. A program of its own: JSON in, JSON out.

The catalogue takes 100 MB and over a second to load, too much for every worker to keep for the few models it serves;
so it is loaded in a short-lived process, and what it says about those models is kept. It imports nothing of ours.

stdin: [[provider id or null, model], …]; stdout, in the same order: null, or
[[above input tokens, input, output, cached input, cache write, the same for an hour, audio input, audio output,
search], …] in nano-USD per million tokens, searches per thousand.
"""

import json
import sys
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from typing import Any

NAMES = (
    *("input_mtok", "output_mtok", "cache_read_mtok", "cache_write_mtok"),
    *("cache_write_1h_mtok", "input_audio_mtok", "output_audio_mtok", "web_searches_kcount"),
)
SEARCH = NAMES.index("web_searches_kcount")
Rows = list[list[int | None]]


def resolve(provider: str | None, model: str) -> Rows | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return rows_of(found.get_prices(datetime.now(UTC)))


def rows_of(prices: Any) -> Rows | None:
    values = [getattr(prices, name, None) for name in NAMES]
    if values[0] is None and values[1] is None:
        return None
    if values[SEARCH] is None:
        # Perplexity's fee for a request, each of which is a search.
        values[SEARCH] = getattr(prices, "requests_kcount", None)
    starts = sorted({0} | {tier.start for value in values for tier in getattr(value, "tiers", ())})
    return [[start, *(_at(value, start, index) for index, value in enumerate(values))] for start in starts]


def _at(value: Any, start: int, index: int) -> int | None:
    """The price above `start` input tokens; input and output that are not listed are free (embeddings' output)."""
    if value is None:
        return 0 if index < 2 else None
    price = getattr(value, "base", value)
    for tier in getattr(value, "tiers", ()):
        if start >= tier.start:
            price = tier.price
    return int((Decimal(price) * 1_000_000_000).to_integral_value(ROUND_UP))


if __name__ == "__main__":
    json.dump([resolve(provider, model) for provider, model in json.load(sys.stdin)], sys.stdout)
