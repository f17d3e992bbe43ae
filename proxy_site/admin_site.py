"""What the admin's frame asks of the site: the navigation, the label of the environment, the state of things at home."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.db.models import Count, Q, QuerySet, Sum
from django.http import HttpRequest
from django.urls import reverse, reverse_lazy
from django.utils import timezone
from django.utils.functional import Promise
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext, pgettext

from accounts.admin.allowance import almost_spent, spent_percent
from accounts.admin.columns import grouped, usd
from accounts.admin.key import EXPIRES_SOON
from accounts.models import ApiKey, Budget, UsageHourly
from accounts.models.key import keys_let_in, keys_on
from monitoring.models import HealthState
from monitoring.views.words import in_words
from providers.adapters import REGISTRY
from providers.admin.wizard import WRITES
from providers.models import Credential, Deployment, Discovered, Provider
from routing.models import ConfigurationFile, GatewaySettings
from routing.socket_access import TRY

MOST_OF_A_SORT = 5
DEFAULT_TITLE = "LLM Proxy API"


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """Something that needs attention: what is the case, where it came from, and the one link that helps."""

    kind: str
    text: str
    link: str
    action: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tile:
    label: str
    value: str
    note: str
    link: str
    permission: str


# ------------------------------------------------------------------------------------------------------------- frame


def site_title(request: HttpRequest) -> str:
    """`app_name` of the configuration."""
    return GatewaySettings.objects.filter(pk=1).values_list("app_name", flat=True).first() or DEFAULT_TITLE


def environment(request: HttpRequest) -> list[Any] | None:
    """The label in the header: DEMO as long as only the demo provider answers."""
    enabled = Provider.objects.filter(enabled=True)
    if enabled.filter(source="demo").exists() and not enabled.exclude(source="demo").exists():
        return [_("DEMO provider only"), "warning"]
    return None


def _item(title: Promise, icon: str, model: str) -> dict[str, Any]:
    app, name = model.split(".")

    def permitted(request: HttpRequest) -> bool:
        user = request.user
        return user.has_perm(f"{app}.view_{name}") or user.has_perm(f"{app}.change_{name}")

    link = reverse_lazy(f"admin:{app}_{name}_changelist")
    return {"title": title, "icon": icon, "link": link, "permission": permitted}


def _may_try(request: HttpRequest) -> bool:
    return request.user.has_perm(TRY)


def navigation(request: HttpRequest) -> list[dict[str, Any]]:
    return [
        {
            "items": [
                {"title": gettext_lazy("Home"), "icon": "home", "link": reverse_lazy("admin:index")},
                {"title": gettext_lazy("Dashboard"), "icon": "monitoring", "link": "/dashboard/"},
                {"title": gettext_lazy("Playground"), "icon": "chat", "link": "/playground/", "permission": _may_try},
            ]
        },
        {
            "title": gettext_lazy("Providers"),
            "separator": True,
            "items": [
                _item(gettext_lazy("Providers"), "dns", "providers.provider"),
                _item(gettext_lazy("Models"), "deployed_code", "providers.deployment"),
                _item(gettext_lazy("Credentials"), "key", "providers.credential"),
                _item(gettext_lazy("Discovered"), "travel_explore", "providers.discovered"),
                _item(gettext_lazy("Discovery sources"), "hub", "providers.discoverysource"),
            ],
        },
        {
            "title": gettext_lazy("Clients"),
            "separator": True,
            "items": [
                _item(gettext_lazy("API keys"), "vpn_key", "accounts.apikey"),
                _item(gettext_lazy("Teams"), "groups", "accounts.team"),
                _item(gettext_lazy("Limits"), "speed", "accounts.limit"),
                _item(gettext_lazy("Budgets"), "savings", "accounts.budget"),
                _item(gettext_lazy("Prices"), "sell", "accounts.price"),
                _item(gettext_lazy("Usage"), "receipt_long", "accounts.usagerecord"),
                _item(gettext_lazy("Stored prompts"), "forum", "routing.payloadrecord"),
            ],
        },
        {
            "title": gettext_lazy("Routing"),
            "separator": True,
            "items": [
                _item(gettext_lazy("Model aliases"), "alt_route", "routing.modelalias"),
                _item(gettext_lazy("Route policies"), "rule", "routing.routepolicy"),
                _item(gettext_lazy("Gateway settings"), "tune", "routing.gatewaysettings"),
                _item(gettext_lazy("Revisions"), "history", "routing.configurationrevision"),
                _item(gettext_lazy("Configuration files"), "description", "routing.configurationfile"),
            ],
        },
        {
            "title": gettext_lazy("System"),
            "separator": True,
            "collapsible": True,
            "items": [
                _item(gettext_lazy("Users"), "person", "auth.user"),
                _item(gettext_lazy("Groups"), "group", "auth.group"),
                _item(gettext_lazy("Schedules"), "schedule", "django_celery_beat.periodictask"),
                _item(gettext_lazy("Failed logins"), "gpp_maybe", "axes.accessattempt"),
            ],
        },
    ]


# -------------------------------------------------------------------------------------------------------------- home


def home(request: HttpRequest, context: dict[str, Any]) -> dict[str, Any]:
    notices = [notice for permissions, find in _CHECKS if request.user.has_perms(permissions) for notice in find()]
    own = Provider.objects.exclude(source="demo").filter(enabled=True).exists()
    context.update(
        title=_("Home"),
        notices=notices,
        tiles=[tile for tile in _tiles() if request.user.has_perm(tile.permission)],
        steps=None if own else [step for step in _first_steps() if request.user.has_perms(step["permissions"])],
        may_use_wizard=request.user.has_perms(WRITES),
        address=f"{request.scheme}://{request.get_host()}",
    )
    return context


def _first_steps() -> list[dict[str, Any]]:
    return [
        {
            "done": Provider.objects.exclude(source="demo").exists(),
            "text": _("Add your first provider"),
            "help": _("Choose whose API it speaks, paste its key, test it, and tick the models to serve."),
            "link": reverse("admin:providers_provider_wizard"),
            "permissions": WRITES,
        },
        {
            "done": ApiKey.objects.exists(),
            "text": _("Make an API key for an application"),
            "help": _("With limits and a budget if you like. It is shown once."),
            "link": reverse("admin:accounts_apikey_add"),
            "permissions": ("accounts.add_apikey",),
        },
        {
            "done": UsageHourly.objects.exists(),
            "text": _("Send the first call"),
            "help": _("From any OpenAI library, or right here in the playground."),
            "link": "/playground/",
            "permissions": (TRY,),
        },
    ]


def _tiles() -> list[Tile]:
    enabled = Provider.objects.filter(enabled=True).count()
    today = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    sums = UsageHourly.objects.filter(start_at__gte=today).aggregate(
        requests=Sum("requests"), errors=Sum("errors"), cost=Sum("cost_nano_usd")
    )
    keys = ApiKey.objects.filter(keys_let_in(timezone.now())).count()
    models = Deployment.objects.filter(enabled=True, provider__enabled=True)
    names = models.values("model").distinct().count()
    return [
        Tile(
            label=_("Providers"),
            value=grouped(enabled),
            note=_("enabled, of %(count)d") % {"count": Provider.objects.count()},
            link=reverse("admin:providers_provider_changelist"),
            permission="providers.view_provider",
        ),
        Tile(
            label=_("Models"),
            value=grouped(names),
            note=_("in %(count)d deployments") % {"count": models.count()},
            link=reverse("admin:providers_deployment_changelist"),
            permission="providers.view_deployment",
        ),
        Tile(
            label=_("API keys"),
            value=grouped(keys),
            note=pgettext("API keys", "active"),
            link=reverse("admin:accounts_apikey_changelist"),
            permission="accounts.view_apikey",
        ),
        Tile(
            label=_("Calls today"),
            value=grouped(sums["requests"] or 0),
            note=_("%(count)s failed · since 00:00 UTC") % {"count": grouped(sums["errors"] or 0)},
            link=reverse("admin:accounts_usagerecord_changelist"),
            permission="accounts.view_usagerecord",
        ),
        Tile(
            label=_("Cost today"),
            value=usd(sums["cost"] or 0),
            note=_("since 00:00 UTC"),
            link="/dashboard/usage/",
            permission="accounts.view_usagerecord",
        ),
    ]


def _rest(rows: QuerySet[Any], link: str, kind: str = "warn") -> Iterator[Notice]:
    """How many of a sort are left when the first of them were named."""
    count = rows.count() - MOST_OF_A_SORT
    if count > 0:
        text = ngettext("%(count)d more like the one above.", "%(count)d more like the one above.", count)
        yield Notice(kind=kind, text=text % {"count": count}, link=link, action=_("See all"))


def _unhealthy() -> Iterator[Notice]:
    rows = HealthState.objects.filter(status="unhealthy", deployment=None, provider__enabled=True)
    for row in rows.select_related("provider")[:MOST_OF_A_SORT]:
        yield Notice(
            kind="bad",
            text=_("%(name)s is unhealthy: %(cause)s")
            % {"name": row.provider.name, "cause": in_words(row.cause) if row.cause else _("unknown")},
            link=reverse("dashboard_provider", args=[row.provider_id]),
            action=_("See the provider"),
        )
    yield from _rest(rows, reverse("dashboard"), "bad")


def _without_key() -> Iterator[Notice]:
    kinds = [kind for kind, adapter in REGISTRY.items() if adapter.needs_credential]
    keyless = Provider.objects.annotate(held=Count("credentials", filter=Q(credentials__enabled=True)))
    rows = keyless.filter(enabled=True, kind__in=kinds, held=0)
    for row in rows[:MOST_OF_A_SORT]:
        yield Notice(
            kind="bad",
            text=_("%(name)s has no key, so every call to it would fail.") % {"name": row.name},
            link=reverse("admin:providers_provider_wizard_connection", args=[row.pk]),
            action=_("Enter the key"),
        )
    yield from _rest(rows, reverse("admin:providers_provider_changelist"), "bad")


def _unset_variables() -> Iterator[Notice]:
    rows = Credential.objects.filter(enabled=True, provider__enabled=True).exclude(environment_variable="")
    for row in rows.select_related("provider")[:100]:
        if not settings.PROVIDER_SECRET(row.environment_variable):
            words = {"name": row.provider.name, "variable": row.environment_variable}
            yield Notice(
                kind="bad",
                text=_("%(name)s needs the environment variable %(variable)s, which is not set.") % words,
                link=reverse("admin:providers_credential_change", args=[row.pk]),
                action=_("Change the credential"),
            )


def _without_models() -> Iterator[Notice]:
    counted = Provider.objects.annotate(served=Count("deployments", filter=Q(deployments__enabled=True)))
    rows = counted.filter(served=0).exclude(source="demo")
    for row in rows[:MOST_OF_A_SORT]:
        text = _("%(name)s serves no models, so it gets no calls.") if row.enabled else _("%(name)s is not set up yet.")
        yield Notice(
            kind="warn",
            text=text % {"name": row.name},
            link=reverse("admin:providers_provider_wizard_test", args=[row.pk]),
            action=_("Choose models") if row.enabled else _("Go on with the wizard"),
        )
    yield from _rest(rows, reverse("admin:providers_provider_changelist"))


def _expiring() -> Iterator[Notice]:
    now = timezone.now()
    rows = ApiKey.objects.filter(keys_on(), expires_at__gt=now, expires_at__lte=now + EXPIRES_SOON)
    for row in rows.order_by("expires_at")[:MOST_OF_A_SORT]:
        assert row.expires_at is not None
        days = (row.expires_at - now) // timedelta(days=1)
        text = (
            ngettext("The key %(name)s expires in %(days)d day.", "The key %(name)s expires in %(days)d days.", days)
            if days
            else _("The key %(name)s expires within a day.")
        )
        yield Notice(
            kind="warn",
            text=text % {"name": row.name, "days": days},
            link=reverse("admin:accounts_apikey_change", args=[row.pk]),
            action=_("Look at the key"),
        )
    yield from _rest(rows, reverse("admin:accounts_apikey_changelist"))


def _spent() -> Iterator[Notice]:
    rows = almost_spent(Budget.objects.filter(enabled=True).select_related("key", "team"))
    for row in rows[:MOST_OF_A_SORT]:
        percent = spent_percent(row)
        yield Notice(
            kind="bad" if percent >= 100 else "warn",
            text=_("%(percent)d %% of the %(name)s is used.") % {"percent": percent, "name": row},
            link=reverse("admin:accounts_budget_change", args=[row.pk]),
            action=_("Change the budget"),
        )
    yield from _rest(rows, reverse("admin:accounts_budget_changelist"))


def _refused_files() -> Iterator[Notice]:
    for row in ConfigurationFile.objects.exclude(refusal="")[:MOST_OF_A_SORT]:
        words = {"path": row.path, "why": row.refusal.splitlines()[0][:300]}
        yield Notice(
            kind="bad",
            text=_("%(path)s was refused, so the configuration before it stays in force: %(why)s") % words,
            link=reverse("admin:routing_configurationfile_change", args=[row.pk]),
            action=_("See what is wrong"),
        )


def _proposed() -> Iterator[Notice]:
    count = Discovered.objects.filter(Q(state="proposed") | Q(state="approved") & ~Q(difference={})).count()
    if count:
        text = ngettext(
            "%(count)d discovery waits for your approval.", "%(count)d discoveries wait for your approval.", count
        )
        yield Notice(
            kind="warn",
            text=text % {"count": count},
            link=reverse("admin:providers_discovered_changelist"),
            action=_("Approve or reject"),
        )


_CHECKS: tuple[tuple[tuple[str, ...], Callable[[], Iterator[Notice]]], ...] = (
    (("routing.view_configurationfile",), _refused_files),
    (("providers.view_provider",), _unhealthy),
    (WRITES, _without_key),
    (("providers.change_credential",), _unset_variables),
    (WRITES, _without_models),
    (("providers.change_discovered",), _proposed),
    (("accounts.view_apikey",), _expiring),
    (("accounts.view_budget",), _spent),
)
