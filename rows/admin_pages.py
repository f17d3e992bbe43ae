"""What all admin pages of rows share: rows that a file manages are read-only and say so."""

import functools
from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import messages
from django.contrib.admin import action
from django.contrib.messages.storage import default_storage
from django.core.exceptions import PermissionDenied
from django.db import IntegrityError, models, transaction
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext
from simple_history.admin import SimpleHistoryAdmin
from unfold.admin import ModelAdmin

from rows.file_rows import in_file
from rows.locks import locked


def state(kind: str, word: object) -> SafeString:
    """A state as colour, shape and word. `kind` is ok, warn, bad or idle."""
    return format_html('<span class="state {}">{}</span>', kind, word)


def titled(kind: Any, title: object) -> Any:
    """A filter of that kind, for a column whose own name is no title."""

    class Titled(kind):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            self.title = title

    return Titled


class InPlaceForm(forms.ModelForm):  # type: ignore[type-arg]
    """One row of a list in which some columns are edited in place."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for field in self.fields.values():
            field.disabled = in_file(self.instance)
            field.widget.attrs["aria-label"] = f"{field.label}: {self.instance}"


def asked_again(view: Callable[..., Any]) -> Callable[..., Any]:
    """For a page whose form is saved in one transaction. Of two people who save the same name at once both were told by
    their forms that it is free: the second one's form is asked again, and finds what the first has saved."""

    @functools.wraps(view)
    def answer(page: Any, request: HttpRequest, *args: Any, **options: Any) -> Any:
        try:
            return view(page, request, *args, **options)
        except IntegrityError:
            # A transaction that fails at its end had said already that all is saved.
            request._messages = default_storage(request)  # type: ignore[attr-defined]
            return view(page, request, *args, **options)

    return answer


class RowAdmin(SimpleHistoryAdmin, ModelAdmin):  # type: ignore[misc]
    """What a file manages is changed in the file, as both cannot be right."""

    compressed_fields = True
    warn_unsaved_form = True
    list_filter_submit = True
    list_per_page = 50
    change_form_before_template = "admin/managed_by_file.html"

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_change_permission(request, obj)) and not in_file(obj)

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return bool(super().has_delete_permission(request, obj)) and not in_file(obj)

    def get_changelist_form(self, request: HttpRequest, **options: Any) -> Any:
        return super().get_changelist_form(request, **{**options, "form": InPlaceForm})

    def get_object(self, request: HttpRequest, object_id: str, from_field: str | None = None) -> Any:
        """For a form that was sent, as it is behind a lock: every column will be written, and what others changed since the
        row was read, such as a revocation, must not be undone, also in columns that the form does not show."""
        found = super().get_object(request, object_id, from_field)
        if found is not None and request.method == "POST" and transaction.get_connection().in_atomic_block:
            found = locked(self.model).filter(pk=found.pk).first()
        return found

    def history_form_view(
        self, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> Any:
        """simple_history hides its button from those who may only look, and saves what they send all the same."""
        if request.method == "POST":
            row = self.get_object(request, object_id)
            if not self.has_change_permission(request, row) or self.revert_disabled(request, row):
                raise PermissionDenied
        return super().history_form_view(request, object_id, version_id, extra_context)

    def change_rows(self, request: HttpRequest, rows: models.QuerySet[Any], change: Callable[[Any], None]) -> None:
        """Applies `change` to each row, which saves it, so that history and workers learn of it; rows of files stay."""
        changed = kept = 0
        with transaction.atomic():
            # As they are behind a lock: every column is written, and what others changed meanwhile must not be undone.
            numbers = [row.pk for row in rows]
            for row in locked(self.model).filter(pk__in=numbers).order_by("pk"):
                if in_file(row):
                    kept += 1
                    continue
                change(row)
                changed += 1
        if changed:
            text = ngettext("%(count)d changed.", "%(count)d changed.", changed) % {"count": changed}
            self.message_user(request, text, messages.SUCCESS)
        if kept:
            text = ngettext(
                "%(count)d is managed by a configuration file and was left as it is.",
                "%(count)d are managed by a configuration file and were left as they are.",
                kept,
            ) % {"count": kept}
            self.message_user(request, text, messages.WARNING)


class ReadOnlyAdmin(ModelAdmin):  # type: ignore[misc]
    """Rows that the program writes and people read."""

    actions: Any = None
    list_per_page = 50

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False

    def has_delete_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


class EnableActions(RowAdmin):
    actions = ["enable", "disable"]

    @action(description=_("Enable"), permissions=["change"])
    def enable(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        self.change_rows(request, queryset, lambda row: _switch(row, True))

    @action(description=_("Disable"), permissions=["change"])
    def disable(self, request: HttpRequest, queryset: models.QuerySet[Any]) -> None:
        self.change_rows(request, queryset, lambda row: _switch(row, False))


def _switch(row: Any, enabled: bool) -> None:
    row.enabled = enabled
    row.save()
