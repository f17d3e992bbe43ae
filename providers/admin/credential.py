"""Credentials. What is stored is never shown again: only its hint, and when it last worked."""

from typing import Any, ClassVar

from django.conf import settings
from django.contrib import admin
from django.contrib.admin import display
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import BooleanRadioFilter, RelatedCheckboxFilter

from providers.admin.forms import CredentialForm
from providers.models import Credential
from rows.admin_pages import EnableActions, state, titled
from rows.file_rows import beside_file


class CredentialAdmin(EnableActions):
    form = CredentialForm
    list_display = ["__str__", "present", "weight", "enabled", "last_worked"]
    list_filter: ClassVar[Any] = [
        ("provider", titled(RelatedCheckboxFilter, gettext_lazy("provider"))),
        ("enabled", BooleanRadioFilter),
    ]
    list_select_related = ["provider"]
    search_fields = ["name", "provider__name", "environment_variable"]
    autocomplete_fields = ["provider"]
    fields = [("provider", "name"), "present", ("secret", "environment_variable"), ("weight", "enabled"), "last_worked"]
    readonly_fields = ["present", "last_worked"]

    def get_readonly_fields(self, request: HttpRequest, obj: Any = None) -> list[str]:
        # What else there is about it comes from the file again.
        of_the_file = ["provider", "name", "environment_variable", "weight", "enabled"] if beside_file(obj) else []
        return [*super().get_readonly_fields(request, obj), *of_the_file]

    def revert_disabled(self, request: HttpRequest, obj: Any = None) -> bool:
        # History leaves the secret out, so that an older version could not be had back whole.
        return True

    @display(description=gettext_lazy("secret"))
    def present(self, row: Credential) -> str:
        return state_of(row)

    @display(description=gettext_lazy("last worked"), ordering="last_worked_at", empty_value="–")
    def last_worked(self, row: Credential) -> str | None:
        return ago(row)


def ago(row: Credential) -> str | None:
    if row.last_worked_at is None:
        return None
    return _("%(time)s ago") % {"time": timesince(row.last_worked_at, timezone.now(), depth=1)}


def state_of(row: Credential) -> str:
    """`sk-…3f2a`, or the variable and whether it is set, and when it last worked."""
    if row.environment_variable:
        found = bool(settings.PROVIDER_SECRET(row.environment_variable))
        mark = state("ok", _("set")) if found else state("bad", _("not set in this process"))
        return format_html("<code>${}</code> {}", row.environment_variable, mark)
    if not row.hint:
        return state("idle", _("none yet"))
    worked = ago(row)
    return format_html(
        '<code>{}</code> <span class="subtle">{}</span>',
        row.hint,
        _("worked %(when)s") % {"when": worked} if worked else _("not used yet"),
    )


admin.site.register(Credential, CredentialAdmin)
