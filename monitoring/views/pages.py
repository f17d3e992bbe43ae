"""Who may see the pages, and what their addresses carry in common."""

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib.auth.decorators import user_passes_test
from django.http import HttpRequest, HttpResponseBase

from accounts.callers import is_staff

View = Callable[..., HttpResponseBase]


def staff_only(view: View) -> View:
    """Others are sent to the login page, which brings them back."""
    return user_passes_test(is_staff, login_url=settings.LOGIN_URL)(view)


def chosen(request: HttpRequest, name: str, allowed: Any, default: str) -> str:
    """A parameter that has few values; anything else is the default."""
    value = request.GET.get(name, default)
    return value if value in allowed else default


def whole_number(request: HttpRequest, name: str, default: int, *, most: int = 1_000_000) -> int:
    value = request.GET.get(name, "")
    return min(int(value), most) if value.isascii() and value.isdigit() and len(value) < 10 else default
