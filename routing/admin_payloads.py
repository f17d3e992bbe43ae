"""The admin pages of stored prompts: the list of what is stored, and the download of it as a data set."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar

from asgiref.sync import sync_to_async
from django import forms
from django.contrib import admin
from django.contrib.admin import display
from django.contrib.admin.models import CHANGE, LogEntry
from django.contrib.contenttypes.models import ContentType
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, HttpResponseBase, StreamingHttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import path
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.decorators import action
from unfold.paginator import InfinitePaginator
from unfold.widgets import (
    UnfoldAdminSelectWidget,
    UnfoldAdminSingleDateWidget,
    UnfoldAdminTextInputWidget,
    UnfoldBooleanSwitchWidget,
)

from accounts.admin.columns import grouped
from routing.configuration.stored import usable_section
from routing.export import ExportQuery, archive
from routing.models import GatewaySettings, PayloadRecord
from routing.table_loader import current_revision
from rows.admin_pages import ReadOnlyAdmin, state

FORMATS = (
    ("openai", gettext_lazy("OpenAI fine-tuning: conversations that a model can be trained with")),
    ("sharegpt", gettext_lazy("ShareGPT: conversations and tools")),
    ("raw", gettext_lazy("Raw: every stored field")),
)


class ExportForm(forms.Form):
    """What `export_dataset` takes. Whole days, because a person chooses; the command takes moments."""

    format = forms.ChoiceField(label=gettext_lazy("format"), choices=FORMATS, widget=UnfoldAdminSelectWidget())
    since = forms.DateField(
        label=gettext_lazy("from (UTC)"), required=False, widget=UnfoldAdminSingleDateWidget(attrs={"type": "date"})
    )
    until = forms.DateField(
        label=gettext_lazy("to, included"), required=False, widget=UnfoldAdminSingleDateWidget(attrs={"type": "date"})
    )
    models = forms.CharField(
        label=gettext_lazy("models"),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("Names, separated by commas; gpt-* means all that begin so. Empty: all."),
    )
    teams = forms.CharField(
        label=gettext_lazy("teams"),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("Names, separated by commas. Empty: all."),
    )
    key = forms.CharField(
        label=gettext_lazy("API key"),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("Its name or number. Empty: all."),
    )
    status = forms.RegexField(
        r"^([1-5][0-9]{2}|[1-5][xX]{2})$",
        label=gettext_lazy("status"),
        required=False,
        widget=UnfoldAdminTextInputWidget(),
        help_text=gettext_lazy("Such as 200 or 5xx. Empty: what the format can use."),
        error_messages={"invalid": gettext_lazy("A status is a number such as 200, or a class such as 5xx.")},
    )
    min_tokens = forms.IntegerField(
        label=gettext_lazy("tokens at least"),
        required=False,
        min_value=0,
        widget=UnfoldAdminTextInputWidget(attrs={"inputmode": "numeric"}),
        help_text=gettext_lazy("Input and output together."),
    )
    redact = forms.BooleanField(
        label=gettext_lazy("redact once more"),
        required=False,
        widget=UnfoldBooleanSwitchWidget(),
        help_text=gettext_lazy("Looks for secrets, e-mail addresses, card and phone numbers again, by today's rules."),
    )
    dedupe = forms.BooleanField(
        label=gettext_lazy("equal lines once"), required=False, widget=UnfoldBooleanSwitchWidget()
    )

    def clean(self) -> dict[str, Any]:
        data: dict[str, Any] = super().clean() or {}
        if data.get("since") and data.get("until") and data["since"] > data["until"]:
            self.add_error("until", _("The last day is before the first."))
        return data

    def query(self) -> ExportQuery:
        """Of a form that is valid."""
        data = self.cleaned_data
        until = data["until"]
        return ExportQuery(
            format=data["format"],
            since=_midnight(data["since"]),
            until=_midnight(until + timedelta(days=1) if until else None),
            models=_words(data["models"]),
            teams=_words(data["teams"]),
            key=data["key"].strip(),
            status=_status(data["status"]),
            min_tokens=data["min_tokens"] or 0,
            redact=data["redact"],
            dedupe=data["dedupe"],
        )


def _midnight(day: Any) -> datetime | None:
    return None if day is None else datetime.combine(day, time(), UTC)


def _words(text: str) -> tuple[str, ...]:
    return tuple(word.strip() for word in text.split(",") if word.strip())


def _status(text: str) -> int | None:
    if not text:
        return None
    return int(text[0]) if text[1:].lower() == "xx" else int(text)


@admin.register(PayloadRecord)
class PayloadRecordAdmin(ReadOnlyAdmin):
    """Prompts are people's words: the list does not show them, and whoever takes them away is written down."""

    list_display = ["moment", "request_id", "owner", "model", "outcome", "tokens", "redactions"]
    list_display_links = None
    list_filter: ClassVar[Any] = []
    search_fields = ["=request_id"]
    search_help_text = gettext_lazy("A whole request id (req_…)")
    ordering = ["-id"]
    sortable_by: ClassVar[Any] = ()
    paginator = InfinitePaginator
    show_full_result_count = False
    actions_list: ClassVar[Any] = ["export"]

    @action(  # type: ignore[untyped-decorator]
        description=gettext_lazy("Download as a data set"), url_path="export", icon="download", permissions=["view"]
    )
    def export(self, request: HttpRequest) -> HttpResponse:
        return redirect(f"{self.admin_site.name}:routing_payloadrecord_dataset")

    def get_urls(self) -> Any:
        page = self.admin_site.admin_view(self.dataset)
        return [path("dataset/", page, name="routing_payloadrecord_dataset"), *super().get_urls()]

    def dataset(self, request: HttpRequest) -> HttpResponseBase:
        """The form; posted and valid, the archive."""
        if not self.has_view_permission(request):
            raise PermissionDenied
        form = ExportForm(request.POST or None, initial={"format": "openai", "redact": True})
        if request.method == "POST" and form.is_valid():
            return self._download(request, form.query())
        context = {
            **self.admin_site.each_context(request),
            "title": _("Download as a data set"),
            "opts": self.model._meta,
            "form": form,
            "stored": PayloadRecord.objects.exists(),
            "logging": usable_section("payload_logging", GatewaySettings.load().payload_logging).enabled,
        }
        return TemplateResponse(request, "admin/routing/dataset.html", context)

    def _download(self, request: HttpRequest, query: ExportQuery) -> StreamingHttpResponse:
        assert request.user.pk is not None
        LogEntry.objects.create(
            user_id=request.user.pk,
            content_type=ContentType.objects.get_for_model(PayloadRecord),
            action_flag=CHANGE,
            object_repr=_("data set"),
            change_message=str(query.render()),
        )
        pieces = as_they_come(archive(query, revision=current_revision()))
        response = StreamingHttpResponse(pieces, content_type="application/zip")
        response["Content-Disposition"] = f'attachment; filename="dataset-{query.format}.zip"'
        response["Cache-Control"] = "no-store"
        return response

    @display(description=gettext_lazy("time (UTC)"))
    def moment(self, row: PayloadRecord) -> str:
        return format_html('<span class="nowrap">{}</span>', f"{row.created_at:%Y-%m-%d %H:%M:%S}")

    @display(description=gettext_lazy("key / team"), empty_value="–")
    def owner(self, row: PayloadRecord) -> str | None:
        return " / ".join(filter(None, (row.key_name, row.team))) or None

    @display(description=gettext_lazy("status"))
    def outcome(self, row: PayloadRecord) -> str:
        return state("ok" if row.status < 400 else "bad", row.status)

    @display(description=gettext_lazy("tokens in / out"))
    def tokens(self, row: PayloadRecord) -> str:
        return format_html('<span class="nowrap">{} / {}</span>', grouped(row.input_tokens), grouped(row.output_tokens))


async def as_they_come(pieces: Iterator[bytes]) -> AsyncIterator[bytes]:
    """One piece after the other, each made in the request's own thread when the one before was sent. An iterator that is
    not asynchronous would be read to its end first."""

    def advance() -> bytes | None:
        return next(pieces, None)

    try:
        while (piece := await sync_to_async(advance)()) is not None:
            if piece:
                yield piece
    finally:
        close = pieces.close  # type: ignore[attr-defined]
        await asyncio.shield(sync_to_async(close)())
