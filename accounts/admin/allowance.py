"""Limits and budgets: what a key, a team or everybody may use."""

from typing import Any, ClassVar

from django.contrib import admin
from django.contrib.admin import display
from django.db.models import F, Q, QuerySet
from django.http import HttpRequest
from django.utils.html import format_html
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from unfold.contrib.filters.admin import BooleanRadioFilter, ChoicesCheckboxFilter, RadioFilter

from accounts.admin.columns import grouped, managed, usd
from accounts.admin.forms import BudgetForm, LimitForm
from accounts.budget_spending import with_spending
from accounts.models import Budget, Limit
from rows.admin_pages import EnableActions, RowAdmin, state

ALARM_PERCENT = 80


class LimitAdmin(RowAdmin):
    form = LimitForm
    list_display = ["__str__", "scope", "request_rate", "token_rate", "concurrency", "when_unsure", managed]
    list_filter: ClassVar[Any] = [("scope", ChoicesCheckboxFilter)]
    list_select_related = ["key", "team"]
    search_fields = ["key__name", "team__name"]
    autocomplete_fields = ["key", "team"]
    fields = [
        "scope",
        ("key", "team"),
        ("requests", "requests_window_s"),
        ("tokens", "tokens_window_s"),
        "concurrency",
        "strict",
    ]
    conditional_fields = {"key": "scope == 'key'", "team": "scope == 'team'"}

    @display(description=gettext_lazy("without Redis"), ordering="strict")
    def when_unsure(self, row: Limit) -> str:
        return _("refuses") if row.strict else _("counts per worker")

    @display(description=gettext_lazy("requests"), ordering="requests", empty_value="–")
    def request_rate(self, row: Limit) -> str | None:
        return _rate(row.requests, row.requests_window_s)

    @display(description=gettext_lazy("tokens"), ordering="tokens", empty_value="–")
    def token_rate(self, row: Limit) -> str | None:
        return _rate(row.tokens, row.tokens_window_s)


def _rate(amount: int | None, window_s: int) -> str | None:
    if amount is None:
        return None
    return f"{grouped(amount)} / min" if window_s == 60 else f"{grouped(amount)} / {window_s} s"


class AlmostSpentFilter(RadioFilter):  # type: ignore[misc]
    title = gettext_lazy("spent")
    parameter_name = "spent"

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, str]]:
        return [("alarm", _("over %(percent)d %%") % {"percent": ALARM_PERCENT})]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Budget]) -> QuerySet[Budget]:
        return almost_spent(queryset) if self.value() == "alarm" else queryset


def almost_spent(queryset: QuerySet[Budget]) -> QuerySet[Budget]:
    money = Q(amount_nano_usd__gt=0, spent_nano_usd__gte=F("amount_nano_usd") / 100 * ALARM_PERCENT)
    return with_spending(queryset).filter(money | Q(tokens__gt=0, spent_tokens__gte=F("tokens") * ALARM_PERCENT / 100))


class BudgetAdmin(EnableActions):
    form = BudgetForm
    list_display = ["__str__", "scope", "allowance", "period", "spending", "status", managed]
    list_filter: ClassVar[Any] = [
        ("scope", ChoicesCheckboxFilter),
        ("period", ChoicesCheckboxFilter),
        ("enabled", BooleanRadioFilter),
        AlmostSpentFilter,
    ]
    list_select_related = ["key", "team"]
    search_fields = ["name", "key__name", "team__name"]
    autocomplete_fields = ["key", "team"]
    fields = [
        "name",
        "scope",
        ("key", "team"),
        ("amount_nano_usd", "tokens"),
        ("period", "on_unknown_price"),
        "enabled",
    ]
    conditional_fields = {"key": "scope == 'key'", "team": "scope == 'team'"}

    def get_queryset(self, request: HttpRequest) -> QuerySet[Budget]:
        return with_spending(super().get_queryset(request))

    @display(description=gettext_lazy("allowance"))
    def allowance(self, row: Budget) -> str:
        parts = [usd(row.amount_nano_usd)] if row.amount_nano_usd is not None else []
        if row.tokens is not None:
            parts.append(_("%(tokens)s tokens") % {"tokens": grouped(row.tokens)})
        return " · ".join(parts)

    @display(description=gettext_lazy("spent in this period"))
    def spending(self, row: Any) -> str:
        percent = spent_percent(row)
        words = usd(row.spent_nano_usd or 0) if row.amount_nano_usd is not None else grouped(row.spent_tokens or 0)
        kind = "bad" if percent >= 100 else "warn" if percent >= ALARM_PERCENT else "ok"
        return format_html(
            '<span class="spent"><span class="meter {}"><span style="width:{}%"></span></span>{} '
            '<span class="subtle">· {} %</span></span>',
            kind, min(percent, 100), words, percent,
        )  # fmt: skip

    @display(description=gettext_lazy("state"), ordering="enabled")
    def status(self, row: Budget) -> str:
        if not row.enabled:
            return state("idle", _("disabled"))
        percent = spent_percent(row)
        if percent >= 100:
            return state("bad", _("used up"))
        return state("warn", _("almost used up")) if percent >= ALARM_PERCENT else state("ok", _("active"))


def spent_percent(row: Any) -> int:
    """The larger share of money and tokens, in whole percent rounded down; `row` comes from `with_spending`."""
    shares = [0]
    if row.amount_nano_usd is not None:
        shares.append(_share(row.spent_nano_usd or 0, row.amount_nano_usd))
    if row.tokens is not None:
        shares.append(_share(row.spent_tokens or 0, row.tokens))
    return max(shares)


def _share(spent: int, allowed: int) -> int:
    return 100 * spent // allowed if allowed else 100


admin.site.register(Limit, LimitAdmin)
admin.site.register(Budget, BudgetAdmin)
