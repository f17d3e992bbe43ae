"""Django's own pages: admin, APIs and dashboard. `/v1` never reaches this module (see `proxy_site.asgi`)."""

from django.contrib import admin
from django.urls import path

urlpatterns = [path("admin/", admin.site.urls)]
