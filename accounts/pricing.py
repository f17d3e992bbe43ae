"""What tokens and searches cost. Pure: prices are arguments; where they come from is `price_book`."""

from accounts.records import RateFields, Tokens

PER = 1_000_000
PER_SEARCH = PER // 1_000


def cost_nano_usd(tokens: Tokens | tuple[int, int, int, int, int, int, int, int, int], rates: RateFields) -> int:
    """Cost of one call, rounded up to whole nano-USD once, at the end.

    Cached, cache-write and audio tokens are taken out of the input and priced on their own, reasoning and audio tokens out
    of the output, so that nothing is paid twice; a provider that reports more parts than the whole is paid for the parts.
    Audio that was also cached or thought is counted there.
    """
    given, made, cached, written, thought, kept, heard, spoken, searches = tokens
    if not (cached or written or thought or heard or spoken or searches):
        return -(-(given * rates[0] + made * rates[1]) // PER)
    price_in, price_out, price_cached, price_written, price_thought, price_kept, price_heard, price_spoken, fee = rates
    kept = min(kept, written)
    plain_input, plain_output = max(0, given - cached - written), max(0, made - thought)
    heard, spoken = min(heard, plain_input), min(spoken, plain_output)
    price_written = _or(price_written, price_in)
    total = (
        (plain_input - heard) * price_in
        + heard * _or(price_heard, price_in)
        + cached * _or(price_cached, price_in)
        + (written - kept) * price_written
        + kept * _or(price_kept, price_written)
        + (plain_output - spoken) * price_out
        + spoken * _or(price_spoken, price_out)
        + thought * _or(price_thought, price_out)
        + searches * _or(fee, 0) * PER_SEARCH
    )
    return -(-total // PER)


def dearest(rates: RateFields, input_tokens: int, output_tokens: int, for_an_hour: bool = True) -> int:
    """Upper bound of a call's cost: every input token at the dearest input price, every output token likewise.
    `for_an_hour`: it may ask for a cache that keeps its input so long. Searches are not in it: nobody says how many there
    will be."""
    price_in, price_out, cached, written, reasoning, kept, heard, spoken, _ = rates
    if cached is not None and cached > price_in:
        price_in = cached
    if written is not None and written > price_in:
        price_in = written
    if for_an_hour and kept is not None and kept > price_in:
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
