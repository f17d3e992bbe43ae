"""Looks models up in the `genai-prices` catalogue, offline. A program of its own: JSON in, JSON out; see `catalogue`.

stdin: [[catalogue's provider id or null, model], …]; stdout, in the same order: null, or
{"context_window", "tiers": [{"above" so many input tokens, the names of `PRICES`}, …]}, the lowest tier first: tokens,
nano-USD per million tokens, and per thousand searches.
"""

import json
import sys
from datetime import UTC, datetime
from decimal import ROUND_UP, Decimal
from typing import Any

PRICES = {
    "input": "input_mtok",
    "output": "output_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "cache_write_1h": "cache_write_1h_mtok",
    "audio_input": "input_audio_mtok",
    "audio_output": "output_audio_mtok",
    "search": "web_searches_kcount",
}
Tier = dict[str, int | None]


def look_up(provider: str | None, model: str) -> dict[str, Any] | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    return {"context_window": found.context_window, "tiers": tiers_of(found.get_prices(datetime.now(UTC)))}


def tiers_of(prices: Any) -> list[Tier]:
    values = {name: getattr(prices, field, None) for name, field in PRICES.items()}
    if values["search"] is None:
        # Perplexity's fee for a request, each of which is a search.
        values["search"] = getattr(prices, "requests_kcount", None)
    if values["input"] is not None and values["output"] is None:
        # Embeddings: output that is not listed is free.
        values["output"] = 0
    starts = sorted({0} | {tier.start for value in values.values() for tier in getattr(value, "tiers", ())})
    return [{"above": start, **{name: nano_usd(value, start) for name, value in values.items()}} for start in starts]


def nano_usd(price: Any, start: int) -> int | None:
    """The price above `start` input tokens."""
    if price is None:
        return None
    tiers = getattr(price, "tiers", ())
    dollars = next((tier.price for tier in reversed(tiers) if start >= tier.start), getattr(price, "base", price))
    return int((Decimal(dollars) * 1_000_000_000).to_integral_value(ROUND_UP))


if __name__ == "__main__":
    json.dump([look_up(provider, model) for provider, model in json.load(sys.stdin)], sys.stdout)
