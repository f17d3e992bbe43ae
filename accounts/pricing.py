"""What tokens cost. Pure: prices are arguments; where they come from is `price_book`."""

from accounts.records import Rates, Tokens

PER = 1_000_000


def cost_nano_usd(tokens: Tokens | tuple[int, int, int, int, int, int, int, int], rates: Rates) -> int:
    """Cost of one call, rounded up to whole nano-USD once, at the end.

    Cached, cache-write and audio tokens are taken out of the input and priced on their own, reasoning and audio tokens out
    of the output, so that nothing is paid twice; a provider that reports more parts than the whole is paid for the parts.
    Audio that was also cached or thought is counted there.
    """
    given, made, cached, written, thought, kept, heard, spoken = tokens
    if not (cached or written or thought or heard or spoken):
        return -(-(given * rates[0] + made * rates[1]) // PER)
    kept = min(kept, written)
    plain_input, plain_output = max(0, given - cached - written), max(0, made - thought)
    heard, spoken = min(heard, plain_input), min(spoken, plain_output)
    write_rate = _or(rates.cache_write, rates.input)
    total = (
        (plain_input - heard) * rates.input
        + heard * _or(rates.audio_input, rates.input)
        + cached * _or(rates.cached_input, rates.input)
        + (written - kept) * write_rate
        + kept * _or(rates.cache_write_1h, write_rate)
        + (plain_output - spoken) * rates.output
        + spoken * _or(rates.audio_output, rates.output)
        + thought * _or(rates.reasoning, rates.output)
    )
    return -(-total // PER)


def dearest(rates: Rates, input_tokens: int, output_tokens: int) -> int:
    """Upper bound of a call's cost: every input token at the dearest input price, every output token likewise."""
    price_in, price_out, cached, written, reasoning, kept, heard, spoken = rates
    if cached is not None and cached > price_in:
        price_in = cached
    if written is not None and written > price_in:
        price_in = written
    if kept is not None and kept > price_in:
        price_in = kept
    if heard is not None and heard > price_in:
        price_in = heard
    if reasoning is not None and reasoning > price_out:
        price_out = reasoning
    if spoken is not None and spoken > price_out:
        price_out = spoken
    return -(-(input_tokens * price_in + output_tokens * price_out) // PER)


def _or(price: int | None, default: int) -> int:
    return default if price is None else price
