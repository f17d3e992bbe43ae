"""Django's own pages: admin, APIs and dashboard. `/v1` never reaches this module (see `proxy_site.asgi`)."""

from django.contrib import admin
from django.urls import include, path
from django.views.generic import RedirectView

from monitoring.metrics_view import metrics
from monitoring.views import urls as dashboard_urls
from proxy_site import openapi
from proxy_site.control_plane import operations
from proxy_site.log_out import log_out
from proxy_site.management_api import build_urls
from routing.playground import playground

urlpatterns = [
    path("", RedirectView.as_view(url="/dashboard/")),
    path("", operations.urls),
    path("metrics", metrics, name="metrics"),
    path("api/", include(build_urls())),
    path("openapi.json", openapi.openapi_json, name="openapi"),
    path("docs", openapi.docs, name="docs"),
    path("dashboard/", include(dashboard_urls)),
    path("playground/", playground, name="playground"),
    path("admin/logout/", log_out),
    path("admin/", admin.site.urls),
    path("favicon.ico", RedirectView.as_view(url="/static/img/mark.svg")),
    path("i18n/", include("django.conf.urls.i18n")),
]

handler400 = "proxy_site.errors.bad_request"
handler403 = "proxy_site.errors.permission_denied"
handler404 = "proxy_site.errors.not_found"
handler500 = "proxy_site.errors.server_error"
