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


def build_urls() -> list[URLPattern | URLResolver]:
    router = DefaultRouter()
    router.include_format_suffixes = False
    for name, view_set in VIEW_SETS.items():
        router.register(name, _guarded(view_set), basename=name)
    return [path("settings/", _guarded(routing_rest.SettingsView).as_view(), name="settings"), *router.urls]


def _guarded(view: type[Any]) -> type[Any]:
    return type(view.__name__, (Tagged, OwnParametersOnly, view), {"__doc__": view.__doc__ or ""})
