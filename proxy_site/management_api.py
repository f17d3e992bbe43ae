"""Composition of the management API: every app's view sets below `/api/`. How they behave is `rest_defaults`."""

from typing import Any

from django.urls import URLPattern, URLResolver, path
from rest_framework.routers import DefaultRouter

from accounts import rest as accounts_rest
from providers import rest as providers_rest
from proxy_site.entity_tags import Tagged
from proxy_site.rest_queries import OwnParametersOnly
from routing import rest as routing_rest

VIEW_SETS = {
    "providers": providers_rest.ProviderViewSet,
    "credentials": providers_rest.CredentialViewSet,
    "deployments": providers_rest.DeploymentViewSet,
    "model-aliases": routing_rest.ModelAliasViewSet,
    "route-policies": routing_rest.RoutePolicyViewSet,
    "teams": accounts_rest.TeamViewSet,
    "api-keys": accounts_rest.ApiKeyViewSet,
    "limits": accounts_rest.LimitViewSet,
    "budgets": accounts_rest.BudgetViewSet,
    "prices": accounts_rest.PriceViewSet,
    "history": routing_rest.HistoryViewSet,
}


class _Router(DefaultRouter):
    """Its root lists the settings, too, which are one row and no set."""

    include_format_suffixes = False

    def get_api_root_view(self, api_urls: Any = None) -> Any:
        listed = {prefix: self.routes[0].name.format(basename=basename) for prefix, _, basename in self.registry}
        return self.APIRootView.as_view(api_root_dict={**listed, "settings": "settings"})


def build_urls() -> list[URLPattern | URLResolver]:
    router = _Router()
    for name, view_set in VIEW_SETS.items():
        router.register(name, _guarded(view_set), basename=name)
    return [path("settings/", _guarded(routing_rest.SettingsView).as_view(), name="settings"), *router.urls]


def _guarded(view: type[Any]) -> type[Any]:
    return type(view.__name__, (Tagged, OwnParametersOnly, view), {"__doc__": view.__doc__ or ""})
