"""The admin pages of what was changed: revisions, with the way back to each of them, and the files that were loaded."""

import json
from collections.abc import Iterable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import display
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action

from routing.models import ConfigurationFile, ConfigurationRevision
from routing.rollback import RollbackRefused, roll_back
from rows.admin_pages import ReadOnlyAdmin, state

LONGEST_VALUE = 300


@admin.register(ConfigurationRevision)
class ConfigurationRevisionAdmin(ReadOnlyAdmin):
    """`undo` holds encrypted secrets and is shown nowhere."""

    list_display = ["number", "moment", "by", "origin", "why", "what"]
    list_filter: ClassVar[Any] = []
    list_select_related = ["author"]
    search_fields = ["changes", "reason"]
    date_hierarchy = "created_at"
    fields = ["number", "moment", "by", "origin", "why", "every_change", "every_difference"]
    readonly_fields = fields
    ordering = ["-pk"]
    show_full_result_count = False
    actions_detail = ["roll_back"]

    def has_roll_back_permission(self, request: HttpRequest, object_id: Any = None) -> bool:
        """Going back touches rows of every kind, so it has a permission of its own: to change revisions."""
        return bool(request.user.has_perm("routing.change_configurationrevision"))

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Roll back to this revision"),
        url_path="roll-back",
        icon="undo",
        permissions=["roll_back"],
    )
    def roll_back(self, request: HttpRequest, object_id: str) -> HttpResponse:
        row = get_object_or_404(ConfigurationRevision, pk=object_id)
        page = reverse(f"{self.admin_site.name}:routing_configurationrevision_change", args=[row.pk])
        if request.method != "POST":
            later = ConfigurationRevision.objects.filter(pk__gt=row.pk).order_by("-pk")
            context = {
                **self.admin_site.each_context(request),
                "title": _("Back to %(revision)s?") % {"revision": row},
                "opts": self.model._meta,
                "original": row,
                "undone": [(each, "; ".join(map(str, each.changes[:3]))) for each in later[:20]],
                "count": later.count(),
                "page": page,
            }
            return TemplateResponse(request, "admin/routing/roll_back.html", context)
        return self._go_back(request, row, page)

    def _go_back(self, request: HttpRequest, row: ConfigurationRevision, page: str) -> HttpResponse:
        try:
            made = roll_back(row.pk, author=request.user, reason=request.POST.get("reason", "").strip())
        except RollbackRefused as refusal:
            self.message_user(request, str(refusal), messages.ERROR)
            return redirect(page)
        if made is None:
            text = _("Nothing differs from %(revision)s.") % {"revision": row}
            self.message_user(request, text, messages.WARNING)
            return redirect(page)
        text = _("%(revision)s is in force again, as revision r%(made)d.") % {"revision": row, "made": made}
        self.message_user(request, text, messages.SUCCESS)
        return redirect(f"{self.admin_site.name}:routing_configurationrevision_changelist")

    @display(description=gettext_lazy("revision"), ordering="pk")
    def number(self, row: ConfigurationRevision) -> str:
        return str(row)

    @display(description=gettext_lazy("time (UTC)"), ordering="created_at")
    def moment(self, row: ConfigurationRevision) -> str:
        return format_html('<span class="nowrap">{}</span>', f"{row.created_at:%Y-%m-%d %H:%M:%S}")

    @display(description=gettext_lazy("source"), ordering="source")
    def origin(self, row: ConfigurationRevision) -> str:
        return row.source

    @display(description=gettext_lazy("reason"), ordering="reason", empty_value="–")
    def why(self, row: ConfigurationRevision) -> str | None:
        return row.reason or None

    @display(description=gettext_lazy("by"), ordering="author")
    def by(self, row: ConfigurationRevision) -> Any:
        return row.author or ("–" if row.source == "api" else _("the system"))

    @display(description=gettext_lazy("changes"))
    def what(self, row: ConfigurationRevision) -> str:
        rest = len(row.changes) - 2
        return "; ".join(map(str, row.changes[:2])) + (f" (+{rest})" if rest > 0 else "")

    @display(description=gettext_lazy("changes"))
    def every_change(self, row: ConfigurationRevision) -> str:
        return format_html_join("", "<div>{}</div>", ((change,) for change in row.changes))

    @display(description=gettext_lazy("difference"), empty_value="–")
    def every_difference(self, row: ConfigurationRevision) -> str | None:
        lines = [line for step in row.difference for line in _lines(step)]
        if not lines:
            return None
        heads = [(str(name),) for name in (_("object"), _("field"), _("before"), _("after"))]
        head = format_html_join("", '<th scope="col">{}</th>', heads)
        body = format_html_join("", "<tr><td>{}</td><td>{}</td><td>{}</td><td>{}</td></tr>", lines)
        return format_html('<table class="findings"><thead><tr>{}</tr></thead><tbody>{}</tbody></table>', head, body)


def _lines(step: Any) -> Iterable[tuple[str, str, str, str]]:
    for name, (before, after) in step["fields"].items():
        yield str(step["object"]), name, _shown(before), _shown(after)


def _shown(value: Any) -> str:
    text = value if isinstance(value, str) else "–" if value is None else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else text[:LONGEST_VALUE] + "…"


@admin.register(ConfigurationFile)
class ConfigurationFileAdmin(ReadOnlyAdmin):
    list_display = ["path", "status", "loaded_at", "refused_at"]
    fields = ["path", "status", "loaded_at", "refused_at", "refusal"]
    readonly_fields = fields

    @display(description=gettext_lazy("state"))
    def status(self, row: ConfigurationFile) -> SafeString:
        return state("bad", _("refused")) if row.refusal else state("ok", _("in force"))
