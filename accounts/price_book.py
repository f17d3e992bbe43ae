"""Which price holds for a model whose deployment has none of its own: our rows by effective date, then the catalogue.

Built in a thread when the routing table is; reading it costs a dictionary lookup.
"""

import fnmatch
import json
import logging
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path

from django.utils import timezone

from accounts.models import Price
from accounts.records import PriceCard, Rates

log = logging.getLogger("llm_proxy.accounts.price_book")
CATALOGUE = Path(__file__).with_name("price_catalogue.py")
CATALOGUE_TIMEOUT_S = 60
ASK_AGAIN_S = 60.0
# Our kinds of provider → the catalogue's ids. An unlisted kind (one's own server, a reseller) has no catalogue price.
CATALOGUE_IDS = {
    "openai": "openai",
    "openai_responses": "openai",
    "anthropic": "anthropic",
    "grok": "x-ai",
    "perplexity": "perplexity",
    "openrouter": "openrouter",
    "cohere": "cohere",
    "azure": "azure",
}
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
    answer = _ask(missing) if missing else []
    if answer is None:
        return False
    # At once: who watches the size sees all or nothing of it.
    found = zip(missing, answer, strict=True)
    _known.update({pair: None if rows is None else card_of(rows) for pair, rows in found})
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


def card_of(rows: Sequence[Sequence[int | None]]) -> PriceCard:
    tiers = []
    for above, price_in, price_out, cached, written, *others in rows:
        kept, heard, spoken, search = others or (None, None, None, None)
        rates = Rates(
            input=price_in or 0,
            output=price_out or 0,
            cached_input=cached,
            cache_write=written,
            cache_write_1h=kept,
            audio_input=heard,
            audio_output=spoken,
            search=search,
        )
        tiers.append((above or 0, rates))
    return PriceCard(tiers=tuple(tiers))


def _ask(pairs: Sequence[Pair]) -> list[list[list[int | None]] | None] | None:
    question = json.dumps([[CATALOGUE_IDS[kind], model] for kind, model in pairs])
    command = [sys.executable, "-I", str(CATALOGUE)]
    try:
        done = subprocess.run(  # noqa: S603 our own program, nothing from outside in its arguments
            command, input=question, capture_output=True, text=True, timeout=CATALOGUE_TIMEOUT_S, check=True
        )
        answer: list[list[list[int | None]] | None] = json.loads(done.stdout)
    except (subprocess.SubprocessError, OSError, ValueError) as error:
        log.error("the price catalogue cannot be read, its prices count as unknown until it can: %s", error)
        return None
    return answer


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
        return None if best is None else _own_card(best[1])

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
    prices = (
        row.input_nano_usd,
        row.output_nano_usd,
        row.cached_input_nano_usd,
        row.cache_write_nano_usd,
        row.reasoning_nano_usd,
        row.cache_write_1h_nano_usd,
        row.audio_input_nano_usd,
        row.audio_output_nano_usd,
        row.search_nano_usd,
    )
    if all(price is None or price >= 0 for price in prices):
        return True
    log.error("the price %s is left out: it is negative", row)
    return False


def _own_card(row: Price) -> PriceCard:
    rates = Rates(
        input=row.input_nano_usd,
        output=row.output_nano_usd,
        cached_input=row.cached_input_nano_usd,
        cache_write=row.cache_write_nano_usd,
        reasoning=row.reasoning_nano_usd,
        cache_write_1h=row.cache_write_1h_nano_usd,
        audio_input=row.audio_input_nano_usd,
        audio_output=row.audio_output_nano_usd,
        search=row.search_nano_usd,
    )
    return PriceCard(tiers=((0, rates),))
