"""Providers, with their credentials and deployments on the same page."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from unfold.admin import TabularInline
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter, RadioFilter
from unfold.decorators import action

from providers.adapters import REGISTRY
from providers.admin.credential import state_of
from providers.admin.form_fields import headers_text
from providers.admin.forms import (
    CredentialForm,
    DeploymentForm,
    ProviderForm,
    kind_choices,
    kind_label,
)
from providers.admin.wizard import WRITES, wizard_urls
from providers.models import Credential, Deployment, Provider
from providers.specs import Prices
from rows.admin_pages import EnableActions, state
from rows.file_rows import in_file

ADVANCED = ("tab",)


class KindFilter(RadioFilter):  # type: ignore[misc]
    title = _("kind")
    parameter_name = "kind"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        used = set(Provider.objects.values_list("kind", flat=True))
        return [choice for choice in kind_choices() if choice[0] in used]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Provider]) -> QuerySet[Provider]:
        return queryset.filter(kind=self.value()) if self.value() else queryset


class _OfProvider(TabularInline):  # type: ignore[misc]
    """Rows on the page of a provider; read-only where a file manages it."""

    extra = 0
    tab = True
    show_change_link = True

    def has_add_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_add_permission(request, obj)) and not in_file(obj)

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not in_file(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not in_file(obj)


class CredentialInline(_OfProvider):
    model = Credential
    form = CredentialForm
    fields = ["name", "present", "secret", "environment_variable", "weight", "enabled"]
    readonly_fields = ["present"]
    verbose_name_plural = _("API keys of the provider")

    @display(description=_("secret"))
    def present(self, row: Credential) -> str:
        return state_of(row)


class DeploymentInline(_OfProvider):
    model = Deployment
    form = DeploymentForm
    fields = ["model", "upstream_model", "input_nano_usd_per_mtok", "output_nano_usd_per_mtok", "enabled"]
    per_page = 25
    verbose_name_plural = _("models")


class ProviderAdmin(EnableActions):
    form = ProviderForm
    inlines = [CredentialInline, DeploymentInline]
    list_display = ["name", "kind_label", "status", "priority", "models_served", "address", "source"]
    list_display_links = ["name"]
    list_editable = ["priority"]
    list_filter: ClassVar[Any] = [KindFilter, ("enabled", BooleanRadioFilter), ("source", ChoicesCheckboxFilter)]
    search_fields = ["name", "base_url", "deployments__model", "deployments__upstream_model"]
    # The model's own does not hold where rows are counted, and pages of the search would overlap.
    ordering = Provider._meta.ordering
    actions_list = ["add_with_wizard"]
    actions_detail = ["test"]
    fieldsets = [
        (None, {"fields": [("name", "kind"), "base_url", ("priority", "weight"), "enabled"]}),
        (_("Requests"), {"classes": ADVANCED, "fields": ["headers", "tags", "options", "allow_private"]}),
        (
            _("Timeouts and retries"),
            {
                "classes": ADVANCED,
                "fields": [
                    ("timeout_s", "connect_timeout_s"),
                    ("idle_timeout_s", "request_timeout_s"),
                    ("max_retries", "retry_delay_s"),
                    ("max_connections", "keepalive_timeout_s"),
                    ("circuit_breaker_threshold", "circuit_breaker_timeout_s"),
                ],
            },
        ),
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        usable = Q(credentials__enabled=True)
        rows: QuerySet[Provider] = super().get_queryset(request)
        return rows.annotate(
            keys_enabled=Count("credentials", filter=usable, distinct=True),
            models_enabled=Count("deployments", filter=Q(deployments__enabled=True), distinct=True),
        )

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look is shown columns instead of fields, which would tell the values of headers."""
        shown = super().get_fieldsets(request, obj)
        if obj is None or self.has_change_permission(request, obj):
            return shown
        return [
            (
                title,
                {**options, "fields": ["headers_shown" if name == "headers" else name for name in options["fields"]]},
            )
            for title, options in shown
        ]

    @display(description=_("extra headers"), empty_value="-")
    def headers_shown(self, row: Provider) -> str | None:
        return headers_text(row.headers) or None

    @display(description=_("kind"), ordering="kind")
    def kind_label(self, row: Provider) -> str:
        return kind_label(row.kind)

    @display(description=_("state"))
    def status(self, row: Provider) -> str:
        return state(*configured_state(row))

    @display(description=_("models"), ordering="models_enabled")
    def models_served(self, row: Any) -> str:
        count = row.models_enabled
        return format_html(
            '<a class="quiet-link" href="../deployment/?provider__id__exact={}">{}</a>',
            row.pk,
            ngettext("%(count)d model", "%(count)d models", count) % {"count": count},
        )

    @display(description=_("address"), ordering="base_url")
    def address(self, row: Provider) -> str:
        return row.base_url.removeprefix("https://")

    def has_wizard_permission(self, request: HttpRequest) -> bool:
        return request.user.has_perms(WRITES)

    @action(description=_("Test"), url_path="try", icon="network_check", permissions=["change"])  # type: ignore[untyped-decorator]
    def test(self, request: HttpRequest, object_id: str) -> HttpResponse:
        return redirect(f"{self.admin_site.name}:providers_provider_wizard_test", object_id)

    @action(description=_("Add with the wizard"), url_path="start", icon="auto_fix_high", permissions=["wizard"])  # type: ignore[untyped-decorator]
    def add_with_wizard(self, request: HttpRequest) -> HttpResponse:
        return redirect(f"{self.admin_site.name}:providers_provider_wizard")

    def suggested_prices(self, kind: str, models: list[str]) -> dict[str, Prices]:
        """Known prices of a kind's models, for the wizard; whoever composes the site knows where to ask."""
        return {}

    def get_urls(self) -> Any:
        return [*wizard_urls(self), *super().get_urls()]


def configured_state(row: Any) -> tuple[str, object]:
    """What the configuration alone says; `row` carries keys_enabled and models_enabled."""
    adapter = REGISTRY.get(row.kind)
    if not row.enabled:
        return "idle", _("disabled")
    if adapter is None:
        return "bad", _("unknown kind")
    if adapter.needs_credential and not row.keys_enabled:
        return "bad", _("no key")
    if not row.models_enabled:
        return "warn", _("no models")
    return ("ok", _("demo")) if row.source == "demo" else ("ok", _("ready"))


admin.site.register(Provider, ProviderAdmin)
