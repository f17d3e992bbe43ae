"""Figures as pages write them."""

from decimal import Decimal

from django.utils import formats


def rounded(value: float | Decimal, places: int, *, grouping: bool = False) -> str:
    """In the reader's language, rounded as the browser's scripts round what they write into the same page. Django's own
    `number_format` cuts: $0.00195 were $0.0019 until the page's first frame made it $0.0020."""
    return str(formats.number_format(round(Decimal(str(value)), places), places, force_grouping=grouping))
