"""Gives each deployment its price while a table is built, and says when a table's prices are no longer right."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from accounts.price_book import PriceBook, catalogue_size, known_prices
from accounts.records import PriceCard, Rates
from providers.catalog import is_listed
from providers.specs import DeploymentSpec, Prices
from routing.table import RoutingTable

SIDES = (
    ("input", "cached_input", "cache_write", "cache_write_1h", "audio_input"),
    ("output", "reasoning", "audio_output"),
    ("search",),
)
ONLY_EMBEDDINGS = frozenset({"embeddings"})
"""These have no output, which needs no price."""


def priced(deployments: Iterable[DeploymentSpec], book: PriceBook, now: datetime) -> list[DeploymentSpec]:
    """A deployment's own prices hold before our price rows, and those before the catalogue, which say what it does not:
    the price of its output, say, where only its input has one, or that of searches. Unknown stays unknown."""
    found = list(deployments)
    # All at once: the catalogue is asked in one process, not in one for each model.
    known_prices(_pair(item) for item in found if _unpriced(item.prices) or _may_search(item))
    return [_priced(item, book, now) for item in found]


def outdated(table: RoutingTable, now: float) -> bool:
    """Whether another price came into force since the table was built, or the catalogue answered. `now`: epoch seconds."""
    return table.catalogue_size != catalogue_size() or now >= table.prices_until


def until(book: PriceBook, now: datetime) -> float:
    change = book.next_change(now)
    return float("inf") if change is None else change.timestamp()


def _unpriced(prices: Prices) -> bool:
    return prices.input is None or prices.output is None


def _may_search(deployment: DeploymentSpec) -> bool:
    """Its fee for that would have to be looked up."""
    return deployment.prices.search is None and deployment.capabilities != ONLY_EMBEDDINGS


def _pair(deployment: DeploymentSpec) -> tuple[str, str]:
    """What the catalogue is asked for. It has nothing for no kind, which a model of somebody else's server is of."""
    provider = deployment.provider
    listed = not provider.demo and is_listed(provider.kind, provider.endpoint.host, provider.options)
    return provider.kind if listed else "", deployment.upstream_model


def _priced(deployment: DeploymentSpec, book: PriceBook, now: datetime) -> DeploymentSpec:
    complete = not _unpriced(deployment.prices)
    if complete and not _may_search(deployment):
        return deployment
    kind, model = _pair(deployment)
    card = book.card(provider=deployment.provider.name, kind=kind, model=model, at=now)
    if complete:
        # Without the tiers of others, which would all say the same.
        fee = None if card is None else card.rates(0).search
        return deployment if fee is None else replace(deployment, prices=replace(deployment.prices, search=fee))
    if card is not None:
        return replace(deployment, prices=_completed(deployment.prices, _prices(card)))
    if deployment.prices.input is not None and deployment.capabilities == ONLY_EMBEDDINGS:
        return replace(deployment, prices=replace(deployment.prices, output=0))
    return deployment


def _completed(own: Prices, others: Prices) -> Prices:
    """What `own` does not say, as `others` do. An input price is the default of all input, an output price of all output:
    beside one of those nothing of that side is taken from others."""
    kept = {
        name: price
        for side in SIDES
        for name in side
        if (price := getattr(own, name)) is not None or getattr(own, side[0]) is not None
    }
    return replace(others, **kept, tiers=tuple((above, _completed(own, higher)) for above, higher in others.tiers))


def _prices(card: PriceCard) -> Prices:
    (_, lowest), *higher = card.tiers
    return replace(flat_prices(lowest), tiers=tuple((above, flat_prices(rates)) for above, rates in higher))


def flat_prices(rates: Rates) -> Prices:
    """The same under the names that deployments have them by."""
    return Prices(**rates._asdict())
