"""API keys. A token is shown once, on the page that answers its making; digests are shown never."""

from datetime import timedelta
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import formats, timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import RadioFilter, RelatedDropdownFilter
from unfold.decorators import action

from accounts.admin.columns import managed
from accounts.admin.forms import ApiKeyForm, NewApiKeyForm
from accounts.models import ApiKey
from accounts.models.key import keys_let_in, keys_on
from accounts.provisioning import IssuedKey, KeyOrder, NotRotatable, issue_key, revoke_key, rotate_key
from rows.admin_pages import EnableActions, state
from rows.file_rows import in_file

EXPIRES_SOON = timedelta(days=14)
OVERLAPS = (
    (24, gettext_lazy("for another day")),
    (168, gettext_lazy("for another week")),
    (1, gettext_lazy("for another hour")),
    (0, gettext_lazy("no longer, from now on")),
)


class StateFilter(RadioFilter):  # type: ignore[misc]
    title = gettext_lazy("state")
    parameter_name = "state"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        return [
            ("active", _("active")),
            ("soon", _("expires soon")),
            ("expired", _("expired")),
            ("disabled", _("disabled")),
            ("revoked", _("revoked")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> QuerySet[ApiKey]:
        now = timezone.now()
        chosen = {
            "active": keys_let_in(now),
            "soon": keys_on() & Q(expires_at__gt=now, expires_at__lte=now + EXPIRES_SOON),
            "expired": keys_on() & Q(expires_at__lte=now),
            "disabled": Q(revoked_at=None) & ~keys_on(),
            "revoked": Q(revoked_at__isnull=False),
        }.get(self.value() or "")
        return queryset if chosen is None else queryset.filter(chosen)


class ApiKeyAdmin(EnableActions):
    form = ApiKeyForm
    list_display = ["name", "shown", "team", "status", "scope_words", "last_used", managed]
    list_filter: ClassVar[Any] = [StateFilter, ("team", RelatedDropdownFilter)]
    list_select_related = ["team"]
    search_fields = ["name", "=public_id", "hint", "team__name"]
    search_help_text = gettext_lazy("Name, team, id or last four characters")
    autocomplete_fields = ["team"]
    readonly_fields = ["shown", "status", "last_used"]
    actions = [*EnableActions.actions, "revoke_selected"]
    actions_detail = ["rotate", "revoke"]
    fieldsets = [
        (None, {"fields": [("name", "team"), ("shown", "status"), "scopes", "expires_at", "enabled", "last_used"]}),
        (
            gettext_lazy("Restrictions"),
            {"classes": ["tab"], "fields": [("allowed_models", "allowed_networks"), "tags"]},
        ),
        (
            gettext_lazy("Behaviour"),
            {"classes": ["tab"], "fields": ["cache_enabled", "condensation", "payload_logging"]},
        ),
    ]
    add_fieldsets = [
        (None, {"fields": [("name", "team"), "scopes", "expires_at"]}),
        (
            gettext_lazy("Limits and budget"),
            {
                "fields": [("requests_per_minute", "tokens_per_minute"), "concurrency", ("budget_usd", "period")],
                "description": gettext_lazy(
                    "All of them may be left empty, and changed later under Limits and Budgets."
                ),
            },
        ),
        (gettext_lazy("Restrictions"), {"fields": [("allowed_models", "allowed_networks"), "tags"]}),
    ]

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **options: Any) -> Any:
        return super().get_form(request, obj, change, **{**options, "form": ApiKeyForm if change else NewApiKeyForm})

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> Any:
        return self.readonly_fields if obj else []

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        return True

    # --------------------------------------------------------------------------------------------------- columns

    @display(description=gettext_lazy("key"))
    def shown(self, row: ApiKey) -> str:
        return format_html('<span class="nowrap">llmp-{}…{}</span>', row.public_id[:4], row.hint)

    @display(description=gettext_lazy("state"), ordering="revoked_at")
    def status(self, row: ApiKey) -> str:
        return state(*key_state(row))

    @display(description=gettext_lazy("scopes"))
    def scope_words(self, row: ApiKey) -> str:
        return ", ".join(row.scopes) or "–"

    @display(description=gettext_lazy("last used"), ordering="last_used_at", empty_value="–")
    def last_used(self, row: ApiKey) -> str | None:
        return formats.localize(row.last_used_at)

    # ---------------------------------------------------------------------------------------------------- making

    def save_model(self, request: Any, obj: ApiKey, form: Any, change: bool) -> None:
        if change:
            super().save_model(request, obj, form, change)
            return
        data = form.cleaned_data
        request.issued_key = issue_key(
            obj,
            KeyOrder(
                name=obj.name,
                requests_per_minute=data["requests_per_minute"],
                tokens_per_minute=data["tokens_per_minute"],
                concurrency=data["concurrency"],
                budget_nano_usd=data["budget_usd"],
                period=data["period"],
            ),
        )

    def response_add(self, request: Any, obj: ApiKey, post_url_continue: str | None = None) -> HttpResponse:
        return self._show_once(request, request.issued_key, _("The key is made"))

    def _show_once(self, request: HttpRequest, issued: IssuedKey, title: str) -> HttpResponse:
        address = f"{request.scheme}://{request.get_host()}"
        response = self._page(request, issued.key, "token", title, issued=issued, address=address)
        response["Cache-Control"] = "no-store"
        return response

    # --------------------------------------------------------------------------------------------------- actions

    @action(description=gettext_lazy("New secret"), url_path="rotate", icon="autorenew", permissions=["change"])  # type: ignore[untyped-decorator]
    def rotate(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._changeable(request, object_id)
        if row is None:
            return redirect(f"{self.admin_site.name}:accounts_apikey_change", object_id)
        form = OverlapForm(request.POST or None)
        if request.method == "POST" and form.is_valid():
            try:
                issued = rotate_key(row.pk, overlap=timedelta(hours=form.cleaned_data["hours"]))
            except NotRotatable as error:
                self.message_user(request, str(error), messages.ERROR)
                return redirect(f"{self.admin_site.name}:accounts_apikey_change", object_id)
            return self._show_once(request, issued, _("The key has a new secret"))
        return self._page(request, row, "ask", _("A new secret for this key?"), what="rotate", overlaps=OVERLAPS)

    @action(description=gettext_lazy("Revoke"), url_path="revoke", icon="block", permissions=["change"])  # type: ignore[untyped-decorator]
    def revoke(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = self._changeable(request, object_id)
        if row is not None and request.method != "POST":
            return self._page(request, row, "ask", _("Revoke this key?"), what="revoke")
        if row is not None:
            revoke_key(row.pk)
            self.message_user(request, _("%(name)s is revoked.") % {"name": row}, messages.SUCCESS)
        return redirect(f"{self.admin_site.name}:accounts_apikey_change", object_id)

    @action(description=gettext_lazy("Revoke for good"), permissions=["change"])  # type: ignore[untyped-decorator]
    def revoke_selected(self, request: HttpRequest, queryset: QuerySet[ApiKey]) -> None:
        self.change_rows(request, queryset, _revoke)

    def _changeable(self, request: HttpRequest, object_id: str) -> ApiKey | None:
        row = get_object_or_404(ApiKey, pk=object_id)
        if in_file(row):
            self.message_user(request, _("A configuration file manages this key; change it there."), messages.ERROR)
            return None
        if row.revoked_at:
            self.message_user(request, _("This key is revoked already; make a new one."), messages.WARNING)
            return None
        return row

    def _page(self, request: HttpRequest, row: ApiKey, name: str, title: str, **context: Any) -> HttpResponse:
        shared = {
            **self.admin_site.each_context(request),
            "title": title,
            "opts": self.model._meta,
            "original": row,
            "key_url": reverse(f"{self.admin_site.name}:accounts_apikey_change", args=[row.pk]),
            **context,
        }
        return TemplateResponse(request, f"admin/accounts/apikey/{name}.html", shared)


class OverlapForm(forms.Form):
    hours = forms.TypedChoiceField(choices=OVERLAPS, coerce=int)


def key_state(row: ApiKey) -> tuple[str, Any]:
    now = timezone.now()
    if row.revoked_at:
        return "bad", _("revoked")
    if not row.is_on:
        return "idle", _("disabled")
    if row.expires_at and row.expires_at <= now:
        return "bad", _("expired")
    if row.expires_at and row.expires_at <= now + EXPIRES_SOON:
        return "warn", _("expires soon")
    return "ok", _("active")


def _revoke(row: ApiKey) -> None:
    revoke_key(row.pk)


admin.site.register(ApiKey, ApiKeyAdmin)
