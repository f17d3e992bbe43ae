"""Addresses under `/dashboard/`."""

from django.urls import path, re_path

from monitoring.views.actions import ACTIONS, act
from monitoring.views.dashboard import dashboard, history_json, live_json
from monitoring.views.provider import provider, provider_json
from monitoring.views.requests import one_request, requests
from monitoring.views.usage import usage

urlpatterns = [
    path("", dashboard, name="dashboard"),
    path("live.json", live_json, name="dashboard_live"),
    path("history.json", history_json, name="dashboard_history"),
    path("providers/<int:provider_id>/", provider, name="dashboard_provider"),
    path("providers/<int:provider_id>/history.json", provider_json, name="dashboard_provider_history"),
    re_path(
        rf"^providers/(?P<provider_id>\d{{1,18}})/(?P<action>{'|'.join(ACTIONS)})/$",
        act,
        name="dashboard_provider_action",
    ),
    path("requests/", requests, name="dashboard_requests"),
    path("requests/<str:request_id>/", one_request, name="dashboard_request"),
    path("usage/", usage, name="dashboard_usage"),
]
