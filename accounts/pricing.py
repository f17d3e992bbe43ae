"""What tokens cost. Pure: prices are arguments; where they come from is `price_book`."""

from accounts.records import Rates, Tokens

PER = 1_000_000


def cost_nano_usd(tokens: Tokens | tuple[int, int, int, int, int], rates: Rates) -> int:
    """Cost of one call, rounded up to whole nano-USD once, at the end.

    Cached and cache-write tokens are taken out of the input and priced on their own, reasoning tokens out of the
    output, so that nothing is paid twice; a provider that reports more parts than the whole is paid for the parts.
    """
    given, made, cached, written, thought = tokens
    if not (cached or written or thought):
        return -(-(given * rates[0] + made * rates[1]) // PER)
    total = (
        max(0, given - cached - written) * rates.input
        + cached * _or(rates.cached_input, rates.input)
        + written * _or(rates.cache_write, rates.input)
        + max(0, made - thought) * rates.output
        + thought * _or(rates.reasoning, rates.output)
    )
    return -(-total // PER)


def dearest(rates: Rates, input_tokens: int, output_tokens: int) -> int:
    """Upper bound of a call's cost: every input token at the dearest input price, every output token likewise."""
    price_in, price_out, cached, written, reasoning = rates
    if cached is not None and cached > price_in:
        price_in = cached
    if written is not None and written > price_in:
        price_in = written
    if reasoning is not None and reasoning > price_out:
        price_out = reasoning
    return -(-(input_tokens * price_in + output_tokens * price_out) // PER)


def _or(price: int | None, default: int) -> int:
    return default if price is None else price
