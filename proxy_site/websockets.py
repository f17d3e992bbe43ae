"""Where a WebSocket goes, and who may open it: both are decided before it is accepted."""

from typing import Any
from urllib.parse import urlsplit

from channels.auth import AuthMiddlewareStack
from channels.routing import URLRouter
from django.conf import settings
from django.urls import path, re_path

from accounts.callers import is_staff
from monitoring.consumers import DashboardConsumer
from proxy_site.roles import Role
from proxy_site.worker import Worker
from routing.consumers import ChatConsumer

Scope = dict[str, Any]


def websocket_application(worker: Worker, *, role: Role = Role.ALL) -> Any:
    """Sessions are read for every connection; consumers decide what they are worth."""
    chat: Any = ChatConsumer.as_asgi(gateway=worker.gateway, trusted_origin=same_origin_or_trusted)
    nowhere: Any = Refuse(404)
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
    return _authority(origin) == host or origin in {each.lower() for each in settings.CSRF_TRUSTED_ORIGINS}


def _authority(origin: str) -> str | None:
    """None when it is no origin at all, as `http://[` is none."""
    try:
        return urlsplit(origin).netloc
    except ValueError:
        return None


class StaffOnly:
    """Lets signed-in staff in, from pages of ours."""

    def __init__(self, application: Any) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        if not same_origin_or_trusted(scope):
            await Refuse(403)(scope, receive, send)
            return
        if is_staff(scope["user"]):
            await self._application(scope, receive, send)
        else:
            await Refuse(401)(scope, receive, send)


class Refuse:
    """Answers the handshake with a plain HTTP status."""

    def __init__(self, status: int) -> None:
        self._status = status

    async def __call__(self, scope: Scope, receive: Any, send: Any) -> None:
        await receive()
        if "websocket.http.response" not in scope.get("extensions", {}):
            await send({"type": "websocket.close", "code": 4000 + self._status})
            return
        await send({"type": "websocket.http.response.start", "status": self._status, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
