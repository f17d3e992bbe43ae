"""What columns show in lists of teams, keys, limits, budgets and prices."""

from decimal import Decimal
from typing import Any

from django.contrib.admin import display
from django.utils import formats
from django.utils.translation import gettext_lazy as _

from rows.figures import rounded
from rows.file_rows import in_file
from rows.form_fields import NANO_PER_USD


@display(description=_("managed by"), ordering="managed_by")
def managed(row: Any) -> Any:
    return _("file") if in_file(row) else _("admin or API")


def usd(nano_usd: int | None, *, places: int = 2) -> str:
    """$0.0123, with as many decimals as a small sum needs to be seen, in the reader's language."""
    if nano_usd is None:
        return "–"
    amount = Decimal(nano_usd) / NANO_PER_USD
    if amount and abs(amount) < Decimal("0.01"):
        places = 6 if abs(amount) >= Decimal("0.000001") else 9
    return f"${rounded(amount, places, grouping=True)}"


def grouped(number: int) -> str:
    """1,585 in English and 1.585 in Portuguese, where 1,585 is one and a half."""
    return str(formats.number_format(number, force_grouping=True))
