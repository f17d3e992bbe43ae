"""Form fields for what people type differently from how it is stored: words, JSON, money."""

import json
import re
from decimal import Decimal
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.forms.fields import InvalidJSONInput
from django.utils.translation import gettext_lazy as _
from unfold.widgets import UnfoldAdminTextareaWidget, UnfoldAdminTextInputWidget

from rows.bounds import DEAREST_NANO_USD
from rows.validation import check_json_object

NANO_PER_USD = 1_000_000_000
DEAREST_USD = Decimal(DEAREST_NANO_USD) / NANO_PER_USD
TWO_AMOUNTS = re.compile(r"[1-9]\d{0,2}(?:,\d{3}|\.\d\d0)")
WITH_THOUSANDS = re.compile(r"[1-9]\d{0,2}(?:(?:,\d{3})+\.\d+|(?:,\d{3}){2,}|(?:\.\d{3})+,\d+|(?:\.\d{3}){2,})")


class WordsField(forms.Field):
    """A list of words, stored as a JSON list, typed with commas or one a line."""

    def __init__(self, **options: Any) -> None:
        options.setdefault("required", False)
        options.setdefault("widget", UnfoldAdminTextareaWidget(attrs={"rows": 2, "class": "words"}))
        super().__init__(**options)

    def to_python(self, value: Any) -> list[str]:
        if isinstance(value, list):
            return value
        return list(dict.fromkeys(word for part in re.split(r"[,\n]", value or "") if (word := part.strip())))

    def prepare_value(self, value: Any) -> Any:
        return "\n".join(str(word) for word in value) if isinstance(value, list) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        return not self.disabled and self.to_python(data) != (initial or [])


class JsonObjectField(forms.JSONField):
    """What Python cannot read (too deep, too many digits) or send (half of a pair) is a mistake of who typed it."""

    def to_python(self, value: Any) -> Any:
        try:
            found = super().to_python(value)
            json.dumps(found, ensure_ascii=False).encode()
        except (RecursionError, ValueError):
            raise ValidationError(self.error_messages["invalid"], code="invalid") from None
        return found

    def clean(self, value: Any) -> dict[str, Any]:
        """Nothing typed is an empty object. Rows do not check what is empty, which an empty list is, too."""
        found = super().clean(value)
        if found is None:
            return {}
        check_json_object(found)
        return dict(found)

    def bound_data(self, data: Any, initial: Any) -> Any:
        """As it was typed."""
        return initial if self.disabled else None if data is None else InvalidJSONInput(data)


class UsdField(forms.DecimalField):
    """US dollars, stored as integer nano-USD. Up to nine decimals, so that nothing is rounded; at most what a million
    tokens may cost, unless told otherwise."""

    def __init__(self, **options: Any) -> None:
        options = {"required": False, "min_value": Decimal(0), "max_value": DEAREST_USD, "decimal_places": 9, **options}
        options.setdefault("widget", UnfoldAdminTextInputWidget(attrs={"inputmode": "decimal", "class": "usd"}))
        super().__init__(**options)

    def clean(self, value: Any) -> Any:
        if isinstance(value, int):  # a disabled field is cleaned from what is stored
            return value
        usd = super().clean(with_a_point(value) if isinstance(value, str) else value)
        return None if usd is None else int(usd * NANO_PER_USD)

    def prepare_value(self, value: Any) -> Any:
        return usd_text(value) if isinstance(value, int) else value

    def has_changed(self, initial: Any, data: Any) -> bool:
        try:
            return not self.disabled and self.clean(data) != initial
        except ValidationError:
            return True


def with_a_point(typed: str) -> str:
    """1000.50 of 1,000.50, of 1.000,50 and of 1000,50. What could be a dollar or a thousand is refused: 1,000 and 1.000.
    (1.125 is a dollar and an eighth: `usd_text` writes it so.)"""
    text = typed.strip().removeprefix("+")
    if TWO_AMOUNTS.fullmatch(text):
        raise ValidationError(
            _("'%(typed)s' can be read as two amounts; write %(large)s or %(small)s."),
            params={
                "typed": text,
                "large": re.sub("[.,]", "", text),
                "small": text.replace(",", ".").rstrip("0").rstrip("."),
            },
        )
    if WITH_THOUSANDS.fullmatch(text):
        *thousands, last = re.split("[.,]", text)
        return "".join(thousands) + ("." if {".", ","} <= set(text) else "") + last
    return text.replace(",", ".")


def usd_text(nano_usd: int) -> str:
    """2500000000 → 2.5; always with a point, never in exponents."""
    text = f"{Decimal(nano_usd) / NANO_PER_USD:.9f}".rstrip("0")
    return text.rstrip(".") if text.endswith(".") else text
