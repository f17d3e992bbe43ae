"""Teams: who keys belong to."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Count, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext_lazy as _
from unfold.contrib.filters.admin import BooleanRadioFilter

from accounts.admin.columns import managed
from accounts.admin.forms import TeamForm
from accounts.models import Team
from rows.admin_pages import EnableActions, state, titled


class TeamAdmin(EnableActions):
    form = TeamForm
    list_display = ["name", "status", "key_count", managed]
    list_filter: ClassVar[Any] = [("enabled", titled(BooleanRadioFilter, _("enabled")))]
    search_fields = ["name"]
    # The model's own does not hold where rows are counted, and pages of the search would overlap.
    ordering = ["name"]
    fields = [("name", "enabled"), ("payload_logging", "cache_enabled"), "metadata"]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Team]:
        rows: QuerySet[Team] = super().get_queryset(request)
        return rows.annotate(keys_held=Count("keys"))

    @display(description=_("state"), ordering="enabled")
    def status(self, row: Team) -> str:
        return state("ok", _("active")) if row.enabled else state("idle", _("disabled"))

    @display(description=_("keys"), ordering="keys_held")
    def key_count(self, row: Any) -> str:
        return format_html('<a class="quiet-link" href="../apikey/?team__id__exact={}">{}</a>', row.pk, row.keys_held)


admin.site.register(Team, TeamAdmin)
