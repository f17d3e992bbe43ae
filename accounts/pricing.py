"""What tokens cost. Pure: prices are arguments; where they come from is `price_book`."""

from accounts.records import Rates, Tokens

PER = 1_000_000
NO_PARTS = [0, 0, 0]


def cost_nano_usd(tokens: Tokens, rates: Rates) -> int:
    """Cost of one call, rounded up to whole nano-USD once, at the end.

    Cached and cache-write tokens are taken out of the input and priced on their own, reasoning tokens out of the
    output, so that nothing is paid twice; a provider that reports more parts than the whole is paid for the parts.
    """
    given, made, *parts = tokens
    if parts == NO_PARTS:
        return -(-(given * rates[0] + made * rates[1]) // PER)
    cached = _or(rates.cached_input, rates.input)
    written = _or(rates.cache_write, rates.input)
    reasoning = _or(rates.reasoning, rates.output)
    plain_input = max(0, tokens.input - tokens.cached - tokens.cache_write)
    plain_output = max(0, tokens.output - tokens.reasoning)
    total = (
        plain_input * rates.input
        + tokens.cached * cached
        + tokens.cache_write * written
        + plain_output * rates.output
        + tokens.reasoning * reasoning
    )
    return -(-total // PER)


def dearest(rates: Rates, input_tokens: int, output_tokens: int) -> int:
    """Upper bound of a call's cost: every input token at the dearest input price, every output token likewise."""
    price_in, price_out, cached, written, reasoning = rates.input, rates.output, *rates[2:]
    if cached is not None and cached > price_in:
        price_in = cached
    if written is not None and written > price_in:
        price_in = written
    if reasoning is not None and reasoning > price_out:
        price_out = reasoning
    return -(-(input_tokens * price_in + output_tokens * price_out) // PER)


def _or(price: int | None, default: int) -> int:
    return default if price is None else price
