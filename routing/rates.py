"""From a deployment's prices to the rates that accounting multiplies with, and to what a call cost."""

from accounts.pricing import cost_nano_usd
from accounts.records import CEILING, RateFields, Tokens
from providers.identity_cache import IdentityCache
from providers.specs import Prices
from providers.types import Usage


class RateBook:
    """Every call asks for its rates at its beginning and at its end."""

    def __init__(self) -> None:
        self._flat = IdentityCache(_rates)

    def at(self, prices: Prices, input_tokens: int) -> RateFields | None:
        """None while the input or the output price is unknown."""
        return _rates(prices.at(input_tokens)) if prices.tiers else self._flat.get(prices)

    def cost(self, usage: Usage, prices: Prices) -> int | None:
        """In nano-USD: what the provider says, or else its tokens and searches at our prices; of the tokens, those it
        charges."""
        given, made, cached, written, thought, told, billed, kept, heard, spoken, searches = usage
        if told is not None:
            return told
        charged = (
            (given, made, cached, written, thought, kept, heard, spoken, searches)
            if billed is None
            else Tokens(*billed, searches=searches)
        )
        rates = self.at(prices, charged[0])
        if rates is None:
            return None
        cost = cost_nano_usd(charged, rates)
        return cost if cost < CEILING else CEILING


def _rates(prices: Prices) -> RateFields | None:
    if prices.input is None or prices.output is None:
        return None
    return (
        prices.input,
        prices.output,
        prices.cached_input,
        prices.cache_write,
        prices.reasoning,
        prices.cache_write_1h,
        prices.audio_input,
        prices.audio_output,
        prices.search,
    )
