"""From a deployment's prices to the rates that accounting multiplies with."""

from accounts.records import Rates
from providers.specs import Prices

REMEMBERED = 4096


class RateBook:
    """Flat prices are turned into rates once: every call asks for them, at its beginning and at its end. Remembered by
    identity, because hashing a price list would cost more than making its rates."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[Prices, Rates | None]] = {}

    def at(self, prices: Prices, input_tokens: int) -> Rates | None:
        """None while the input or the output price is unknown."""
        known = self._known.get(id(prices))
        if known is not None and known[0] is prices:
            return known[1]
        if prices.tiers:
            return _rates(prices.at(input_tokens))
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        rates = _rates(prices)
        self._known[id(prices)] = (prices, rates)
        return rates


def _rates(prices: Prices) -> Rates | None:
    if prices.input is None or prices.output is None:
        return None
    return Rates(
        input=prices.input,
        output=prices.output,
        cached_input=prices.cached_input,
        cache_write=prices.cache_write,
        reasoning=prices.reasoning,
    )
