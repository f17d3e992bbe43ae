"""Deployments: which provider serves which model, at what price."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter, RelatedCheckboxFilter

from providers.admin.forms import DeploymentForm
from providers.models import Deployment
from rows.admin_pages import EnableActions, titled
from rows.form_fields import usd_text


class DeploymentAdmin(EnableActions):
    form = DeploymentForm
    list_display = ["model", "of_provider", "upstream", "price", "context_window", "enabled", "source"]
    list_filter: ClassVar[Any] = [
        ("provider", titled(RelatedCheckboxFilter, _("provider"))),
        ("enabled", BooleanRadioFilter),
        ("source", ChoicesCheckboxFilter),
    ]
    list_select_related = ["provider"]
    search_fields = ["model", "upstream_model", "provider__name"]
    autocomplete_fields = ["provider"]
    fieldsets = [
        (None, {"fields": ["provider", ("model", "upstream_model"), ("priority", "weight"), "enabled"]}),
        (
            _("Prices"),
            {
                "classes": ["tab"],
                "description": _(
                    "These come first, then the rows under “Prices”, then the built-in catalogue of known models."
                ),
                "fields": [
                    ("input_nano_usd_per_mtok", "output_nano_usd_per_mtok"),
                    ("cached_input_nano_usd_per_mtok", "cache_write_nano_usd_per_mtok"),
                    "cache_write_1h_nano_usd_per_mtok",
                    ("audio_input_nano_usd_per_mtok", "audio_output_nano_usd_per_mtok"),
                    "search_nano_usd_per_thousand",
                ],
            },
        ),
        (
            _("Abilities"),
            {
                "classes": ["tab"],
                "fields": [("context_window", "max_output_tokens"), "capabilities", "reasoning", "tags", "options"],
            },
        ),
    ]

    @display(description=_("provider"), ordering="provider__name")
    def of_provider(self, row: Deployment) -> str:
        return row.provider.name

    @display(description=_("upstream model"), ordering="upstream_model", empty_value="–")
    def upstream(self, row: Deployment) -> str | None:
        return row.upstream_model if row.upstream_model != row.model else None

    @display(description=_("$ per million tokens, in / out"), ordering="input_nano_usd_per_mtok", empty_value="–")
    def price(self, row: Deployment) -> str | None:
        prices = (row.input_nano_usd_per_mtok, row.output_nano_usd_per_mtok)
        if prices == (None, None):
            return None
        return " / ".join("?" if price is None else usd_text(price) for price in prices)


admin.site.register(Deployment, DeploymentAdmin)
