"""Our own prices, for deployments that have none; they come before what the catalogue says."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import FieldTextFilter

from accounts.admin.columns import managed
from accounts.admin.forms import PriceForm
from accounts.models import Price
from rows.admin_pages import RowAdmin, titled
from rows.form_fields import usd_text


class PriceAdmin(RowAdmin):
    form = PriceForm
    list_display = ["model", "of_provider", "price", "effective_from", "note", managed]
    list_filter: ClassVar[Any] = [("provider", titled(FieldTextFilter, _("provider")))]
    search_fields = ["model", "provider", "note"]
    date_hierarchy = "effective_from"
    fieldsets = [
        (None, {"fields": [("model", "provider"), "effective_from", "note"]}),
        (
            _("US dollars per million tokens"),
            {
                "fields": [
                    ("input_nano_usd", "output_nano_usd"),
                    ("cached_input_nano_usd", "cache_write_nano_usd"),
                    ("cache_write_1h_nano_usd", "reasoning_nano_usd"),
                    ("audio_input_nano_usd", "audio_output_nano_usd"),
                    "search_nano_usd",
                ]
            },
        ),
    ]

    @display(description=_("provider"), ordering="provider")
    def of_provider(self, row: Price) -> Any:
        return row.provider or _("any")

    @display(description=_("$ per million tokens, in / out"), ordering="input_nano_usd")
    def price(self, row: Price) -> str:
        return f"{usd_text(row.input_nano_usd)} / {usd_text(row.output_nano_usd)}"


admin.site.register(Price, PriceAdmin)
