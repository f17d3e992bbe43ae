"""The admin pages of aliases, policies and gateway settings; those of revisions are in `admin_history`."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter

from routing.admin_forms import AliasForm, PolicyForm, SettingsForm
from routing.admin_history import ConfigurationFileAdmin, ConfigurationRevisionAdmin
from routing.admin_payloads import PayloadRecordAdmin
from routing.models import GatewaySettings, ModelAlias, RoutePolicy
from rows.admin_pages import EnableActions, RowAdmin, state

__all__ = [
    "ConfigurationFileAdmin",
    "ConfigurationRevisionAdmin",
    "GatewaySettingsAdmin",
    "ModelAliasAdmin",
    "PayloadRecordAdmin",
    "RoutePolicyAdmin",
]


class _Rule(EnableActions):
    @display(description=_("state"), ordering="enabled")
    def status(self, row: Any) -> str:
        return state("ok", _("active")) if row.enabled else state("idle", _("disabled"))

    @display(description=_("fallbacks"), empty_value="–")
    def then(self, row: Any) -> str | None:
        return " → ".join(row.fallbacks) or None


@admin.register(ModelAlias)
class ModelAliasAdmin(_Rule):
    form = AliasForm
    list_display = ["name", "served_by", "then", "strategy_name", "status", "source"]
    list_filter: ClassVar[Any] = [("enabled", BooleanRadioFilter), ("strategy", ChoicesCheckboxFilter)]
    search_fields = ["name", "targets"]
    fieldsets = [
        (None, {"fields": [("name", "strategy"), ("targets", "fallbacks"), "enabled"]}),
        (_("Behaviour"), {"classes": ["tab"], "fields": ["cache_enabled", "condensation_enabled"]}),
    ]

    @display(description=_("targets"))
    def served_by(self, row: ModelAlias) -> str:
        return ", ".join(row.targets)

    @display(description=_("strategy"), ordering="strategy")
    def strategy_name(self, row: ModelAlias) -> Any:
        return row.get_strategy_display() or _("as the policy says")


@admin.register(RoutePolicy)
class RoutePolicyAdmin(_Rule):
    form = PolicyForm
    list_display = ["name", "pattern", "position", "strategy", "then", "status", "source"]
    list_editable = ["position"]
    list_filter: ClassVar[Any] = [("enabled", BooleanRadioFilter), ("strategy", ChoicesCheckboxFilter)]
    search_fields = ["name", "pattern"]
    fieldsets = [
        (
            None,
            {"fields": [("name", "position"), ("pattern", "strategy"), ("fallbacks", "context_fallbacks"), "enabled"]},
        ),
        (_("Behaviour"), {"classes": ["tab"], "fields": ["sticky", "options"]}),
    ]


@admin.register(GatewaySettings)
class GatewaySettingsAdmin(RowAdmin):
    """One row, so its list is its page."""

    form = SettingsForm
    fieldsets = [
        (None, {"fields": ["app_name", ("default_strategy", "max_attempts"), "request_timeout_s"]}),
        (
            _("Clients"),
            {"fields": [("api_key_header", "cors_origins"), ("rate_limit_rpm", "rate_limit_window_s")]},
        ),
        (_("Circuit breaker"), {"fields": [("circuit_breaker_threshold", "circuit_breaker_timeout_s")]}),
        (_("Response cache"), {"fields": ["cache_enabled", ("cache_ttl_s", "cache_max_entries")]}),
        (
            _("Condensation"),
            {
                "fields": [
                    ("condensation_max_tokens", "condensation_factor"),
                    "condensation_cache_ttl_s",
                    "condensation_keywords",
                ],
                "description": _("What happens when a conversation has outgrown every model that could take it."),
            },
        ),
        (_("Stored prompts and answers"), {"fields": [("payloads_enabled", "payloads_retention_days"), "log_file"]}),
        (_("Discovery"), {"fields": ["discovery"]}),
    ]

    def changelist_view(self, request: HttpRequest, extra_context: Any = None) -> HttpResponse:
        return redirect(f"{self.admin_site.name}:routing_gatewaysettings_change", GatewaySettings.load().pk)

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False
