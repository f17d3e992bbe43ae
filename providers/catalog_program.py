"""Looks models up in the `genai-prices` catalogue, offline. A program of its own: JSON in, JSON out; see `catalog`.

The catalogue takes 100 MB and over a second to load: too much for a server that asks once in a while.

stdin: [[catalogue's provider id or null, model], …]; stdout, in the same order: null, or
{"context_window", the names of `PRICES`, "search"}: tokens, nano-USD per million tokens, and per thousand searches.
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
}


def look_up(provider: str | None, model: str) -> dict[str, int | None] | None:
    from genai_prices.data_snapshot import get_snapshot

    try:
        _, found = get_snapshot().find_provider_model(model, None, provider, None)
    except LookupError:
        return None
    prices = found.get_prices(datetime.now(UTC))
    facts = {name: nano_usd(getattr(prices, field, None)) for name, field in PRICES.items()}
    # Perplexity asks its fee for a request, each of which is a search.
    fees = (getattr(prices, name, None) for name in ("web_searches_kcount", "requests_kcount"))
    facts["search"] = nano_usd(next((fee for fee in fees if fee is not None), None))
    if facts["input"] is not None and facts["output"] is None:
        # Embeddings: output that is not listed is free.
        facts["output"] = 0
    return {"context_window": found.context_window, **facts}


def nano_usd(price: Any) -> int | None:
    """Of tiered prices the base: a deployment has one price, and tiers are accounting's own business."""
    if price is None:
        return None
    return int((Decimal(getattr(price, "base", price)) * 1_000_000_000).to_integral_value(ROUND_UP))


if __name__ == "__main__":
    json.dump([look_up(provider, model) for provider, model in json.load(sys.stdin)], sys.stdout)
