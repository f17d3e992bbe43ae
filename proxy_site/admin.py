"""The admin as one site: what only the whole knows is added to providers, and other people's apps are given our look."""

from typing import Any, ClassVar

from axes.models import AccessAttempt, AccessAttemptExpiration, AccessFailureLog, AccessLog
from celery.schedules import ParseException
from django.contrib import admin
from django.contrib.admin import display
from django.contrib.auth.admin import GroupAdmin as BaseGroupAdmin
from django.contrib.auth.admin import UserAdmin as BaseUserAdmin
from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import HttpRequest
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from django_celery_beat.admin import ClockedScheduleAdmin as BaseClockedAdmin
from django_celery_beat.admin import CrontabScheduleAdmin as BaseCrontabAdmin
from django_celery_beat.admin import PeriodicTaskAdmin as BasePeriodicTaskAdmin
from django_celery_beat.admin import PeriodicTaskForm as BasePeriodicTaskForm
from django_celery_beat.admin import TaskSelectWidget
from django_celery_beat.models import (
    ClockedSchedule,
    CrontabSchedule,
    IntervalSchedule,
    PeriodicTask,
    SolarSchedule,
)
from kombu.utils.json import loads
from unfold.admin import ModelAdmin
from unfold.forms import AdminPasswordChangeForm, UserChangeForm, UserCreationForm
from unfold.widgets import UnfoldAdminSelectWidget

from accounts.price_book import catalogue_prices
from monitoring.models import HealthState
from monitoring.views.words import in_words
from providers.admin.provider import ProviderAdmin
from providers.models import Provider
from providers.specs import Prices
from proxy_site.admin_versions import FirstCome
from routing.deployment_prices import flat_prices
from rows.admin_pages import state

SCHEDULES = ("interval", "crontab", "clocked")
SHAPES = {"healthy": "ok", "degraded": "warn", "unhealthy": "bad", "unknown": "idle"}

for _model in (
    *(Provider, User, Group),
    *(PeriodicTask, IntervalSchedule, CrontabSchedule, SolarSchedule, ClockedSchedule),
    *(AccessAttempt, AccessLog, AccessFailureLog, AccessAttemptExpiration),
):
    if admin.site.is_registered(_model):
        admin.site.unregister(_model)


@admin.register(Provider)
class SiteProviderAdmin(ProviderAdmin):
    """With health from monitoring and prices from the catalogue, neither of which `providers` may know."""

    list_display = [
        "name",
        "kind_label",
        "status",
        "health",
        "priority",
        "models_served",
        "address",
        "source",
    ]

    def get_queryset(self, request: HttpRequest) -> QuerySet[Provider]:
        present = HealthState.objects.filter(provider=OuterRef("pk"), deployment=None)
        return (
            super()
            .get_queryset(request)
            .annotate(
                health_status=Subquery(present.values("status")[:1]), health_cause=Subquery(present.values("cause")[:1])
            )
        )

    @display(description=_("health"), empty_value="–")
    def health(self, row: Any) -> str | None:
        if row.health_status is None or not row.enabled:
            return None
        word = dict(HealthState._meta.get_field("status").choices or ())[row.health_status]
        # Since when, how it was over days, and what its breaker does stand on its page.
        page, cause = reverse("dashboard_provider", args=[row.pk]), in_words(row.health_cause or "")
        return format_html('<a href="{}" title="{}">{}</a>', page, cause, state(SHAPES[row.health_status], word))

    def suggested_prices(self, kind: str, models: list[str]) -> dict[str, Prices]:
        cards = catalogue_prices((kind, model) for model in models)
        return {model: flat_prices(card.rates(0)) for (_kind, model), card in cards.items() if card is not None}


# --------------------------------------------------------------------------------------------------- people and logins


@admin.register(User)
class UserAdmin(BaseUserAdmin, ModelAdmin):  # type: ignore[misc,type-arg]
    form = UserChangeForm
    add_form = UserCreationForm
    change_password_form = AdminPasswordChangeForm


@admin.register(Group)
class GroupAdmin(BaseGroupAdmin, ModelAdmin):  # type: ignore[misc]
    pass


@admin.register(AccessAttempt)
class AccessAttemptAdmin(ModelAdmin):  # type: ignore[misc]
    """Failed logins. Deleting a row lets that user and address try again at once."""

    list_display = ["attempt_time", "username", "ip_address", "failures_since_start", "path_info"]
    search_fields = ["username", "ip_address"]
    date_hierarchy = "attempt_time"
    fields = ["attempt_time", "username", "ip_address", "user_agent", "failures_since_start", "path_info"]
    readonly_fields = fields

    def has_add_permission(self, request: HttpRequest) -> bool:
        return False

    def has_change_permission(self, request: HttpRequest, obj: Any = None) -> bool:
        return False


# ----------------------------------------------------------------------------------------------------------- schedules


class _TaskSelect(UnfoldAdminSelectWidget, TaskSelectWidget):  # type: ignore[misc]
    pass


class PeriodicTaskForm(BasePeriodicTaskForm):  # type: ignore[misc]
    """With one field for the task, which offers those that are there, and with every fault at its field."""

    task = None

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        if "regtask" in self.fields:
            self.fields["regtask"].widget = widget = _TaskSelect()
            self.fields["regtask"].label = gettext("Task")
            self.fields["regtask"].required = True
            self.initial["regtask"] = self.instance.task
            if self.instance.task and self.instance.task not in dict(widget.choices):
                widget._choices = (*widget.choices, (self.instance.task, self.instance.task))

    def clean(self) -> Any:
        """The library's own asks for the task in another field, and for the schedule at none and in English."""
        super(BasePeriodicTaskForm, self).clean()
        data = self.cleaned_data
        self.instance.task = data.get("regtask", self.instance.task)
        chosen = [name for name in SCHEDULES if data.get(name)]
        if len(chosen) != 1 and not self.instance.solar:
            self.add_error(chosen[-1] if chosen else SCHEDULES[0], gettext("Choose one of interval, crontab and date."))
        elif chosen == ["clocked"] and not data.get("one_off"):
            self.add_error("one_off", gettext("What runs at a date runs once: switch this on."))
        return data

    def validate_unique(self) -> None:
        if not self.errors:
            super().validate_unique()

    def _clean_json(self, field: str) -> Any:
        try:
            loads(self.cleaned_data[field])
        except (ValueError, RecursionError):
            raise ValidationError(gettext("Enter a valid JSON.")) from None
        return self.cleaned_data[field]


@admin.register(PeriodicTask)
class PeriodicTaskAdmin(BasePeriodicTaskAdmin, ModelAdmin):  # type: ignore[misc]
    form = PeriodicTaskForm
    # The library's own has a script inside, which looks for parts that unfold's page does not have.
    change_form_template = None
    list_display: ClassVar[Any] = ["name", "enabled", "runs", "last_run_at"]
    list_filter: ClassVar[Any] = ["enabled"]
    date_hierarchy = None
    readonly_fields = ["last_run_at"]
    # Without what belongs to other brokers and to a library that is not installed.
    fieldsets: ClassVar[Any] = [
        (None, {"fields": ["name", "regtask", "enabled", "description"]}),
        (_("Schedule"), {"fields": [*SCHEDULES, "start_time", "one_off", "last_run_at"]}),
        (_("Arguments"), {"fields": ["args", "kwargs"], "classes": ["collapse"]}),
    ]

    def get_fieldsets(self, request: HttpRequest, obj: Any = None) -> Any:
        """Who may only look sees the task's column, as a field of the form alone has nothing to show."""
        if self.has_change_permission(request, obj):
            return self.fieldsets
        return [(None, {"fields": ["name", "task", "enabled", "description"]}), *self.fieldsets[1:]]

    @display(description=_("Schedule"))
    def runs(self, row: PeriodicTask) -> str:
        return str(row.scheduler or "–")

    def get_actions(self, request: HttpRequest) -> Any:
        """The library's own ask for no permission, so that who may only look could stop every task."""
        found = super().get_actions(request)
        if self.has_change_permission(request):
            return found
        return {name: each for name, each in found.items() if name not in BasePeriodicTaskAdmin.actions}


@admin.register(IntervalSchedule)
class IntervalScheduleAdmin(ModelAdmin):  # type: ignore[misc]
    list_display = ["__str__", "every", "period"]


@admin.register(CrontabSchedule)
class CrontabScheduleAdmin(BaseCrontabAdmin, ModelAdmin):  # type: ignore[misc]
    def formfield_for_choice_field(self, db_field: Any, request: HttpRequest, **options: Any) -> Any:
        """A time zone's name becomes a file's, also of the one that the form says it began with."""

        def time_zone(name: str) -> Any:
            try:
                return db_field.to_python(name)
            except OSError as error:  # A directory, or longer than the system lets a name be.
                raise ValueError(name) from error

        return super().formfield_for_choice_field(db_field, request, coerce=time_zone, **options)

    @display(description=_("human readable"))
    def human_readable(self, row: CrontabSchedule) -> str:
        """Also of a form that was refused, whose schedule cannot be read."""
        try:
            return str(row.human_readable)
        except (ParseException, ValueError):
            return "–"


@admin.register(ClockedSchedule)
class ClockedScheduleAdmin(BaseClockedAdmin, ModelAdmin):  # type: ignore[misc]
    pass


# --------------------------------------------------------------------------------------------- two people with one page

for _model, _page in list(admin.site._registry.items()):
    admin.site.unregister(_model)
    admin.site.register(_model, type(type(_page).__name__, (FirstCome, type(_page)), {}))
