"""Which price holds for a model whose deployment has none of its own: our rows by effective date, then the catalogue.

Built in a thread when the routing table is; reading it costs a dictionary lookup.
"""

import fnmatch
import logging
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime

from django.utils import timezone

from accounts.models import Price
from accounts.records import PriceCard, Rates
from rows.catalogue import CATALOGUE_IDS, CatalogueUnreadable, Listed, look_up

log = logging.getLogger("llm_proxy.accounts.price_book")
ASK_AGAIN_S = 60.0
Pair = tuple[str, str]
_known: dict[Pair, PriceCard | None] = {}
_asking: set[Pair] = set()
_lock = threading.Lock()


def catalogue_prices(pairs: Iterable[Pair]) -> dict[Pair, PriceCard | None]:
    """(provider kind, upstream model) → its card, or None when the catalogue does not know it. Blocks up to seconds at
    the first sight of a model; what was found is kept for the life of the process."""
    asked = dict.fromkeys(pairs)
    _look_up([pair for pair in asked if pair not in _known and pair[0] in CATALOGUE_IDS])
    return {pair: _known.get(pair) for pair in asked}


def _look_up(missing: Sequence[Pair]) -> bool:
    """False when the catalogue could not be read: what it would have said is still to be found out."""
    try:
        answer = look_up(missing) if missing else []
    except CatalogueUnreadable as error:
        log.error("the price catalogue cannot be read, its prices count as unknown until it can: %s", error)
        return False
    # At once: who watches the size sees all or nothing of it.
    _known.update({pair: _card_of(listed) for pair, listed in zip(missing, answer, strict=True)})
    return True


def known_prices(pairs: Iterable[Pair]) -> dict[Pair, PriceCard | None]:
    """As `catalogue_prices`, but never waits: what is not known yet is asked for in the background, and
    `catalogue_size` grows when the answer is there."""
    asked = dict.fromkeys(pairs)
    with _lock:
        missing = [pair for pair in asked if pair[0] in CATALOGUE_IDS and pair not in _known and pair not in _asking]
        _asking.update(missing)
    if missing:
        threading.Thread(target=_find_out, args=(missing,), name="price-catalogue", daemon=True).start()
    return {pair: _known.get(pair) for pair in asked}


def catalogue_size() -> int:
    """How many models were looked up so far: when it changes, prices may have."""
    return len(_known)


def _find_out(missing: Sequence[Pair]) -> None:
    try:
        # The program that reads it may be killed for want of memory while everything starts.
        while not _look_up(missing):
            time.sleep(ASK_AGAIN_S)
    finally:
        with _lock:
            _asking.difference_update(missing)


def _card_of(listed: Listed | None) -> PriceCard | None:
    """None where neither input nor output has a price; of two, the one that is not listed is free."""
    if listed is None or listed["tiers"][0]["input"] is None is listed["tiers"][0]["output"]:
        return None
    return PriceCard(tiers=tuple(map(_tier_of, listed["tiers"])))


def _tier_of(prices: dict[str, int | None]) -> tuple[int, Rates]:
    others = {name: price for name, price in prices.items() if name not in ("above", "input", "output")}
    return prices["above"] or 0, Rates(prices["input"] or 0, prices["output"] or 0, **others)


class PriceBook:
    """Own rows, newest first. `card` is None where nobody knows a price."""

    def __init__(self, rows: Iterable[Price] = ()) -> None:
        self._rows = sorted(rows, key=lambda row: row.effective_from, reverse=True)

    @classmethod
    def load(cls) -> "PriceBook":
        return cls(row for row in Price.objects.all() if _is_usable(row))

    def own(self, provider: str, model: str, at: datetime) -> PriceCard | None:
        """The row in force at `at`: a row for this provider before one for any, an exact name before a pattern."""
        best: tuple[tuple[bool, bool, datetime], Price] | None = None
        for row in self._rows:
            if row.effective_from > at or row.provider not in {"", provider}:
                continue
            exact = row.model == model
            if not exact and not fnmatch.fnmatchcase(model, row.model):
                continue
            rank = (row.provider == provider, exact, row.effective_from)
            if best is None or rank > best[0]:
                best = (rank, row)
        return None if best is None else PriceCard(tiers=((0, _rates(best[1])),))

    def card(self, *, provider: str, kind: str, model: str, at: datetime | None = None) -> PriceCard | None:
        """The catalogue's prices come with a later call when they are not known yet. A row that says nothing of searches
        leaves them to the catalogue."""
        own = self.own(provider, model, at or timezone.now())
        if own is not None and own.rates(0).search is not None:
            return own
        listed = known_prices([(kind, model)])[(kind, model)]
        if own is None or listed is None:
            return listed if own is None else own
        search = listed.rates(0).search
        return PriceCard(tiers=tuple((above, rates._replace(search=search)) for above, rates in own.tiers))

    def next_change(self, after: datetime) -> datetime | None:
        """When the next own price comes into force: build the book's users again then."""
        return min((row.effective_from for row in self._rows if row.effective_from > after), default=None)


def _is_usable(row: Price) -> bool:
    """A negative price is of before there was a check. It would make budgets grow by spending."""
    if all(price is None or price >= 0 for price in _rates(row)):
        return True
    log.error("the price %s is left out: it is negative", row)
    return False


def _rates(row: Price) -> Rates:
    """Its columns are named after them."""
    return Rates(**{name: getattr(row, f"{name}_nano_usd") for name in Rates._fields})
