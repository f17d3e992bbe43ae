"""The ledger, read-only. Never counted and never scanned without need: it holds millions of rows."""

from datetime import timedelta
from typing import Any, ClassVar
from urllib.parse import quote

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import Q, QuerySet
from django.http import HttpRequest
from django.utils import timezone
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold import paginator
from unfold.contrib.filters.admin import RadioFilter

from accounts.admin.columns import grouped, usd
from accounts.models import ApiKey, Team, UsageRecord
from accounts.owner_names import owner_name, owners_named
from rows.admin_pages import ReadOnlyAdmin, state

SPANS = {"hour": timedelta(hours=1), "day": timedelta(days=1), "week": timedelta(days=7), "month": timedelta(days=30)}


LOOK_BACK_ROWS = 200_000


def newest(queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
    """Only the newest rows, for conditions without an index: what is rare would else be looked for in all of them."""
    last = UsageRecord.objects.order_by("-pk").values_list("pk", flat=True).first() or 0
    return queryset.filter(pk__gt=last - LOOK_BACK_ROWS)


class SpanFilter(RadioFilter):  # type: ignore[misc]
    title = gettext_lazy("time")
    parameter_name = "span"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [
            ("hour", _("last hour")),
            ("day", _("last day")),
            ("week", _("last 7 days")),
            ("month", _("last 30 days")),
        ]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
        span = SPANS.get(self.value() or "")
        return queryset if span is None else queryset.filter(created_at__gte=timezone.now() - span)


class OutcomeFilter(RadioFilter):  # type: ignore[misc]
    title = gettext_lazy("outcome, of the newest 200,000")
    parameter_name = "outcome"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("good", _("answered")), ("failed", _("failed")), ("unpriced", _("without a price"))]

    def queryset(self, request: HttpRequest, queryset: QuerySet[UsageRecord]) -> QuerySet[UsageRecord]:
        chosen = {"good": Q(status__lt=400), "failed": Q(status__gte=400), "unpriced": Q(cost_nano_usd=None)}
        found = chosen.get(self.value() or "")
        return queryset if found is None else newest(queryset).filter(found)


class InfinitePaginator(paginator.InfinitePaginator):  # type: ignore[misc]
    """Finds a page's rows by their ids alone: PostgreSQL would look up the names of all rows that it skips, too. Its name is
    what unfold's template knows such a list by; under another it would show a number of results that is none."""

    def page(self, number: Any) -> Any:
        number = self.validate_number(number)
        first = (number - 1) * self.per_page
        ids = list(self.object_list.values_list("pk", flat=True)[first : first + self.per_page])
        return self._get_page(self.object_list.filter(pk__in=ids), number, self)


class UsageRecordAdmin(ReadOnlyAdmin):
    list_display = ["moment", "identifier", "owner", "went_to", "outcome", "token_counts", "cost", "times"]
    list_display_links = ["identifier"]
    fields: ClassVar[Any] = [
        "page", "whole_moment", "owner", "went_to", "upstream", "way", "outcome", "which", "token_counts", "kinds_of_tokens",
        "searched", "cost", "paid", "origin", "times", "asked_tags", "in_force", "call",
    ]  # fmt: skip
    readonly_fields = fields
    list_filter: ClassVar[Any] = [SpanFilter, OutcomeFilter]
    list_filter_submit = True
    search_fields = ["request_id"]
    search_help_text = gettext_lazy("A whole request id (req_…), key:NAME, team:NAME, model:NAME or provider:NAME")
    paginator = InfinitePaginator
    show_full_result_count = False
    ordering = ["-id"]
    sortable_by: ClassVar[Any] = ()

    def get_search_results(
        self, request: HttpRequest, queryset: QuerySet[UsageRecord], search_term: str
    ) -> tuple[QuerySet[UsageRecord], bool]:
        word = search_term.strip()
        if not word:
            return queryset, False
        field, colon, name = word.partition(":")
        if colon and field in ("key", "team"):
            owners = owners_named(ApiKey if field == "key" else Team, name)
            return newest(queryset).filter(**{f"{field}_id__in": owners}), False
        if colon and field in ("model", "provider"):
            return newest(queryset).filter(**{field: name}), False
        return queryset.filter(Q(request_id=word) | Q(call_id=word)), False

    def get_queryset(self, request: HttpRequest) -> QuerySet[UsageRecord]:
        # The ledger holds plain ids on purpose; names are looked up for the rows of one page only.
        rows: QuerySet[UsageRecord] = super().get_queryset(request)
        return rows.annotate(key_name=owner_name(ApiKey, "key_id"), team_name=owner_name(Team, "team_id"))

    @display(description=gettext_lazy("request"))
    def identifier(self, row: UsageRecord) -> str:
        return row.request_id

    @display(description=gettext_lazy("key / team"), empty_value="–")
    def owner(self, row: Any) -> str | None:
        return " / ".join(filter(None, (row.key_name, row.team_name))) or None

    @display(description=gettext_lazy("time (UTC)"))
    def moment(self, row: UsageRecord) -> str:
        return format_html('<span class="nowrap">{}</span>', f"{row.created_at:%m-%d %H:%M:%S}")

    @display(description=gettext_lazy("model → provider"))
    def went_to(self, row: UsageRecord) -> str:
        return f"{row.model} → {row.provider}" if row.provider else row.model

    @display(description=gettext_lazy("outcome"))
    def outcome(self, row: UsageRecord) -> str:
        if row.status < 400:
            return state("ok", row.status)
        return state("warn" if row.status in (429, 499) else "bad", f"{row.status} {row.error_code}".strip())

    @display(description=gettext_lazy("tokens in / out"))
    def token_counts(self, row: UsageRecord) -> str:
        return format_html('<span class="nowrap">{} / {}</span>', grouped(row.input_tokens), grouped(row.output_tokens))

    @display(description=gettext_lazy("cost"))
    def cost(self, row: UsageRecord) -> str:
        return usd(row.cost_nano_usd, places=4)

    @display(description=gettext_lazy("first token / total"))
    def times(self, row: UsageRecord) -> str:
        first = "–" if row.time_to_first_token_ms is None else grouped(row.time_to_first_token_ms)
        return format_html('<span class="nowrap">{} / {} ms</span>', first, grouped(row.duration_ms))

    @display(description=gettext_lazy("request"))
    def page(self, row: UsageRecord) -> str:
        """The explorer tells of all attempts, and why each was made."""
        return format_html(
            '<a class="quiet-link" href="/dashboard/requests/{}/">{}</a>',
            quote(row.request_id, safe=""),
            row.request_id,
        )

    @display(description=gettext_lazy("time (UTC)"))
    def whole_moment(self, row: UsageRecord) -> str:
        return f"{row.created_at:%Y-%m-%d %H:%M:%S}"

    @display(description=gettext_lazy("upstream model"), empty_value="–")
    def upstream(self, row: UsageRecord) -> str | None:
        return row.upstream_model or None

    @display(description=gettext_lazy("endpoint"))
    def way(self, row: UsageRecord) -> str:
        return f"{row.endpoint}, stream" if row.stream else row.endpoint

    @display(description=gettext_lazy("Attempt"))
    def which(self, row: UsageRecord) -> int:
        return row.attempt

    @display(description=gettext_lazy("of these cached / written to the cache / of reasoning"))
    def kinds_of_tokens(self, row: UsageRecord) -> str:
        return " / ".join(map(grouped, (row.cached_tokens, row.cache_write_tokens, row.reasoning_tokens)))

    @display(description=gettext_lazy("searches"))
    def searched(self, row: UsageRecord) -> str:
        return grouped(row.searches)

    @display(description=gettext_lazy("paid to the provider"))
    def paid(self, row: UsageRecord) -> str:
        return usd(row.provider_cost_nano_usd, places=4)

    @display(description=gettext_lazy("usage"))
    def origin(self, row: UsageRecord) -> str:
        return row.get_usage_source_display()

    @display(description="x-llm-proxy-tags", empty_value="–")
    def asked_tags(self, row: UsageRecord) -> str | None:
        return row.tags or None

    @display(description=gettext_lazy("revision"))
    def in_force(self, row: UsageRecord) -> str:
        return f"r{row.revision}"

    @display(description=gettext_lazy("call id"))
    def call(self, row: UsageRecord) -> str:
        return row.call_id


admin.site.register(UsageRecord, UsageRecordAdmin)
