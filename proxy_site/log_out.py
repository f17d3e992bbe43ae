"""`/admin/logout/`: since Django 5 only a form logs out, so that no other site's link can. Opened as an address it asks."""

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.cache import never_cache

from proxy_site.errors import wants_page


@never_cache
def log_out(request: HttpRequest) -> HttpResponseBase:
    if request.method != "GET" or not wants_page(request):
        view: HttpResponseBase = admin.site.admin_view(admin.site.logout)(request)
        return view
    if not request.user.is_authenticated:
        return redirect("admin:login")
    return render(request, "log_out.html")
