"""API keys for everything that Django serves: the same keys, headers and scopes as on `/v1`.

KeyAuthenticationMiddleware   gives each request `identify()`; asking costs a query, so pages for everybody are free
KeyOrSession                  the ninja routes: a key, or a signed-in person with a CSRF token where one writes
KeyAuthentication             the same for Django REST framework, beside its own session authentication
"""

from collections.abc import Callable
from typing import Any

from django.db import DatabaseError
from django.http import HttpRequest, HttpResponseBase
from ninja.security.base import AuthBase
from ninja.utils import check_csrf
from rest_framework.authentication import BaseAuthentication
from rest_framework.request import Request

from accounts.callers import ADMIN, Caller, identify, is_staff, permitted, presented_token, required
from accounts.errors import AccountsUnavailable, InvalidApiKey, PermissionDenied
from monitoring import live
from routing.models import GatewaySettings

SAFE_METHODS = ("GET", "HEAD", "OPTIONS")
DEFAULT_KEY_HEADER = "X-API-Key"


def key_header() -> str:
    """From the worker's table, so that a database that is away does not matter; from SQL where there is no worker."""
    state = live.current()
    if state is not None:
        return state.key_header()
    try:
        row = GatewaySettings.objects.filter(pk=1).values_list("api_key_header", flat=True).first()
    except DatabaseError as error:
        raise AccountsUnavailable("API keys cannot be checked at the moment.") from error
    return row or DEFAULT_KEY_HEADER


class KeyAuthenticationMiddleware:
    """After Django's session and authentication middleware."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        found: list[Caller | None] = []

        def once() -> Caller | None:
            if not found:
                found.append(identify(request, key_header()))
                # What records a change names who made it, and must neither ask nor fail again.
                request.api_caller = found[0]  # type: ignore[attr-defined]
            return found[0]

        request.identify = once  # type: ignore[attr-defined]
        return self._get_response(request)


class KeyOrSession(AuthBase):
    """Authentication of a ninja route that needs `scope`, and of a person `permission` as well. Raises AccessDenied, which
    the API's handler answers."""

    openapi_type = "http"
    openapi_scheme = "bearer"

    def __init__(self, scope: str, permission: str = "") -> None:
        self._scope = scope
        self._permission = permission
        super().__init__()

    def __call__(self, request: HttpRequest) -> Caller:
        caller = required(request, self._scope)
        if caller.user is not None and request.method not in SAFE_METHODS and check_csrf(request) is not None:
            raise PermissionDenied("The CSRF token is missing or wrong.")
        if self._permission:
            permitted(caller, self._permission)
        return caller


class KeyAuthentication(BaseAuthentication):
    """Sets `request.auth` to the caller; `request.user` stays anonymous for keys. Sessions are left to the next class,
    which checks their CSRF token."""

    def authenticate(self, request: Request) -> tuple[Any, Caller] | None:
        if presented_token(request._request, key_header()) is None:
            return None
        caller: Caller | None = request._request.identify()  # type: ignore[attr-defined]
        if caller is None:
            raise InvalidApiKey("The API key is wrong.")
        return (request._request.user, caller)

    def authenticate_header(self, request: Request) -> str:
        return "Bearer"


def may_administer(request: Request) -> bool:
    """An `admin` key, or a session of staff; what staff may do with what is there, their permissions say."""
    if isinstance(request.auth, Caller):
        return request.auth.may(ADMIN)
    return bool(request.user and is_staff(request.user))
