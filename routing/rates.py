"""From a deployment's prices to the rates that accounting multiplies with."""

from accounts.records import Rates
from providers.identity_cache import IdentityCache
from providers.specs import Prices


class RateBook:
    """Every call asks for its rates at its beginning and at its end."""

    def __init__(self) -> None:
        self._flat = IdentityCache(_rates)

    def at(self, prices: Prices, input_tokens: int) -> Rates | None:
        """None while the input or the output price is unknown."""
        return _rates(prices.at(input_tokens)) if prices.tiers else self._flat.get(prices)


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
