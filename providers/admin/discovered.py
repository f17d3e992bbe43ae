"""What discovery has found, to be approved or rejected, and how the last look at each source went."""

from collections.abc import Callable
from typing import Any, ClassVar

from django.contrib import admin, messages
from django.contrib.admin import action, display
from django.core.exceptions import ValidationError
from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils import formats
from django.utils.html import format_html_join
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext
from unfold.contrib.filters.admin import ChoicesCheckboxFilter

from providers.discovery.adoption import approve, reject
from providers.discovery.settings import surroundings
from providers.models import Discovered, DiscoverySource, DiscoveryState
from rows.admin_pages import ReadOnlyAdmin, state

SHAPES = {
    DiscoveryState.PROPOSED: "warn",
    DiscoveryState.APPROVED: "ok",
    DiscoveryState.REJECTED: "idle",
    DiscoveryState.DRAINING: "warn",
    DiscoveryState.DISABLED: "idle",
}


@admin.register(Discovered)
class DiscoveredAdmin(ReadOnlyAdmin):
    list_display = ["name", "source", "status", "leads_to", "waiting", "note", "last_seen"]
    list_filter: ClassVar[Any] = [("state", ChoicesCheckboxFilter)]
    list_filter_submit = True
    list_select_related = ["provider"]
    search_fields = ["name", "external_id", "source"]
    fields = [
        "name", "source", "external_id", "status", "leads_to", "found", "waiting", "note", "provider", "first_seen",
        "last_seen", "draining", "missed_looks",
    ]  # fmt: skip
    readonly_fields = fields
    actions = ["approve_rows", "reject_rows"]

    def has_decide_permission(self, request: HttpRequest) -> bool:
        return bool(request.user.has_perm("providers.change_discovered"))

    @action(description=gettext_lazy("Approve"), permissions=["decide"])
    def approve_rows(self, request: HttpRequest, queryset: QuerySet[Discovered]) -> None:
        rules = surroundings().settings().addresses
        done = self._each(request, queryset, "approved", lambda row: approve(row, rules))
        for row in filter(_is_off, done):
            text = _("%(name)s was approved and stays switched off, as its provider was.") % {"name": row}
            self.message_user(request, text, messages.WARNING)
        if live := len(done) - sum(map(_is_off, done)):
            text = ngettext("%(count)d is live now.", "%(count)d are live now.", live) % {"count": live}
            self.message_user(request, text, messages.SUCCESS)

    @action(description=gettext_lazy("Reject"), permissions=["decide"])
    def reject_rows(self, request: HttpRequest, queryset: QuerySet[Discovered]) -> None:
        done = len(self._each(request, queryset, "rejected", reject))
        if done:
            words = ngettext(
                "%(count)d was rejected; it will not be proposed again.",
                "%(count)d were rejected; they will not be proposed again.",
                done,
            )
            self.message_user(request, words % {"count": done}, messages.SUCCESS)

    def _each(
        self, request: HttpRequest, rows: QuerySet[Discovered], word: str, decide: Callable[[Discovered], None]
    ) -> list[Discovered]:
        """Each row is a change of its own, so that one that cannot be carried out keeps none of the others back."""
        done = []
        for row in rows:
            wanted = DiscoveryState.APPROVED if word == "approved" else DiscoveryState.REJECTED
            try:
                with surroundings().one_change(source="admin", reason=f"{word} {row}", author=request.user):
                    # As it is now that it is our turn: a look may have ended since.
                    row.refresh_from_db()
                    decide(row)
            except ValidationError as error:
                self._tell(request, row, "; ".join(error.messages))
                continue
            if row.state == wanted:
                done.append(row)
            else:
                self._tell(request, row, row.note)
        return done

    def _tell(self, request: HttpRequest, row: Discovered, why: str) -> None:
        text = _("%(name)s stays as it was: %(why)s") % {"name": row, "why": why}
        self.message_user(request, text, messages.ERROR)

    @display(description=gettext_lazy("state"), ordering="state")
    def status(self, row: Discovered) -> SafeString:
        if row.state == DiscoveryState.APPROVED and _is_off(row):
            return state("idle", _("approved, switched off"))
        return state(SHAPES[DiscoveryState(row.state)], row.get_state_display())

    @display(description=gettext_lazy("address"), empty_value="–")
    def leads_to(self, row: Discovered) -> str | None:
        place: str | None = row.document.get("base_url") or row.document.get("provider")
        return place

    @display(description=gettext_lazy("what was found"))
    def found(self, row: Discovered) -> SafeString:
        return format_html_join("", "<div>{}: {}</div>", ((name, value) for name, value in row.document.items()))

    @display(description=gettext_lazy("waits for approval"), empty_value="–")
    def waiting(self, row: Discovered) -> str | None:
        steps = (f"{name}: {before} → {after}" for name, (before, after) in row.difference.items())
        return "; ".join(steps) or None

    @display(description=gettext_lazy("first seen"), ordering="first_seen_at")
    def first_seen(self, row: Discovered) -> Any:
        return formats.localize(row.first_seen_at)

    @display(description=gettext_lazy("last seen"), ordering="last_seen_at")
    def last_seen(self, row: Discovered) -> Any:
        return formats.localize(row.last_seen_at)

    @display(description=gettext_lazy("fading out since"), empty_value="–")
    def draining(self, row: Discovered) -> Any:
        return formats.localize(row.draining_since)

    @display(description=gettext_lazy("looks in a row that did not show it"))
    def missed_looks(self, row: Discovered) -> int:
        return row.missed


def _is_off(row: Discovered) -> bool:
    return row.provider is not None and not row.provider.enabled


@admin.register(DiscoverySource)
class DiscoverySourceAdmin(ReadOnlyAdmin):
    list_display = ["name", "status", "found", "looked", "worked", "error"]
    fields = list_display
    readonly_fields = fields

    @display(description=gettext_lazy("last look"), ordering="looked_at", empty_value="–")
    def looked(self, row: DiscoverySource) -> Any:
        return formats.localize(row.looked_at)

    @display(description=gettext_lazy("last that worked"), ordering="worked_at", empty_value="–")
    def worked(self, row: DiscoverySource) -> Any:
        return formats.localize(row.worked_at)

    @display(description=gettext_lazy("state"))
    def status(self, row: DiscoverySource) -> SafeString:
        if row.error:
            return state("bad", _("failed"))
        return state("ok", _("answered")) if row.worked_at else state("idle", _("not asked yet"))
