"""Where a WebSocket goes, and who may open it: both are decided before it is accepted."""

import asyncio
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.conf import settings
from django.urls import path, re_path
from django.utils.http import is_same_domain

from accounts.callers import is_staff
from accounts.errors import AccessDenied, InvalidApiKey, PermissionDenied
from monitoring.consumers import DashboardConsumer
from proxy_site.roles import Role
from proxy_site.worker import Worker
from routing.consumers import ChatConsumer
from routing.errors import RequestError, UnknownRoute
from routing.socket_refusal import handshake_id, refuse

LEAVING_S = 1.0

Scope = dict[str, Any]


def websocket_application(worker: Worker, *, role: Role = Role.ALL) -> Any:
    """Sessions are read for every connection; consumers decide what they are worth."""
    chat: Any = ChatConsumer.as_asgi(gateway=worker.gateway, trusted_origin=same_origin_or_trusted)
    nowhere: Any = Refuse(UnknownRoute("There is no WebSocket here; there is one at /ws/v1/chat/completions."))
    dashboard: Any = nowhere if role is Role.GATEWAY else StaffOnly(DashboardConsumer.as_asgi())
    routes = [
        path("ws/v1/chat/completions", chat),
        path("ws/v1/chat/completions/", chat),
        path("ws/dashboard/", dashboard),
        # Whatever it is: a path converter takes neither the empty path nor one with a line's end in it.
        re_path("", nowhere),
    ]
    return AuthMiddlewareStack(URLRouter(routes))


def same_origin_or_trusted(scope: Scope) -> bool:
    """Whether the page that opens this socket is ours. Programs send no Origin; browsers always do."""
    headers = dict(scope["headers"])
    origin = headers.get(b"origin", b"").decode("latin-1").lower()
    if not origin:
        return True
    host = headers.get(b"host", b"").decode("latin-1").lower()
    parts = _parts(origin)
    return parts is not None and (
        parts[1] == host or any(_is_of(parts, each) for each in settings.CSRF_TRUSTED_ORIGINS)
    )


def _parts(origin: str) -> tuple[str, str] | None:
    """Scheme and authority; None when it is no origin at all, as `http://[` is none."""
    try:
        found = urlsplit(origin)
    except ValueError:
        return None
    return found.scheme, found.netloc


def _is_of(origin: tuple[str, str], trusted: str) -> bool:
    """As Django reads its setting for forms: `https://*.example.com` is every subdomain."""
    scheme, authority = urlsplit(trusted.lower())[:2]
    return origin[0] == scheme and is_same_domain(origin[1], authority.removeprefix("*"))


class StaffOnly:
    """Lets signed-in staff in, from pages of ours."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if not same_origin_or_trusted(scope):
            await Refuse(PermissionDenied("Pages of this origin may not connect."))(scope, receive, send)
            return
        if is_staff(scope["user"]):
            await self._application(scope, receive, send)
        else:
            await Refuse(InvalidApiKey("This is for staff: sign in."))(scope, receive, send)


class Refuse:
    """Answers the handshake with an error."""

    def __init__(self, error: AccessDenied | RequestError) -> None:
        self._error = error

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await receive()
        await refuse(scope, send, self._error, handshake_id(scope))
        with suppress(TimeoutError):
            async with asyncio.timeout(LEAVING_S):
                # uvicorn tells of the refusal, and of the connection's end: who is back before that is logged as an error.
                await receive()
                await receive()
