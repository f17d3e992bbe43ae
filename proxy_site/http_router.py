"""Which application answers, and whether this process serves such requests at all: a question of the path's beginning.

Channels' URLRouter would copy the scope and try a regular expression per route: 25 µs a call, where this takes 0.3.
"""

import json
from typing import Any

from proxy_site.roles import ON_EVERY_ROLE, Role
from routing.endpoints.exchange import request_id_of
from routing.endpoints.places import is_of_data_plane
from routing.errors import UnknownRoute, error_body


class ProtocolRouter:
    """The whole program. Channels' ProtocolTypeRouter would put a coroutine of its own around every call."""

    def __init__(self, **applications: Any) -> None:
        self.applications = applications

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        return self.applications[scope["type"]](scope, receive, send)


class HttpRouter:
    def __init__(self, *, data_plane: Any, django: Any, role: Role = Role.ALL) -> None:
        self._data_plane = not_served if role is Role.ADMIN else data_plane
        self._django = ProbesOnly(django) if role is Role.GATEWAY else django

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        path = scope["path"]
        if path.startswith("/v1/") or is_of_data_plane(path):
            return self._data_plane(scope, receive, send)
        return self._django(scope, receive, send)


class ProbesOnly:
    """Django behind a gateway: what orchestrators and Prometheus ask of every process, and nothing else."""

    def __init__(self, django: Any) -> None:
        self._django = django

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        answers = self._django if scope["path"] in ON_EVERY_ROLE else not_served
        return answers(scope, receive, send)


NOT_SERVED = error_body(UnknownRoute("This process does not serve this path: see the role that it was started with."))


async def not_served(scope: Any, receive: Any, send: Any) -> None:
    await refuse(scope, send, 404, NOT_SERVED)


async def refuse(scope: Any, send: Any, status: int, error: dict[str, Any]) -> None:
    """Answers a request whose body is not read, so that nothing more can follow it on its connection."""
    body = json.dumps(error).encode()
    request_id = request_id_of(dict(scope["headers"]).get(b"x-request-id", b""))
    headers = [
        (b"content-type", b"application/json"),
        (b"content-length", b"%d" % len(body)),
        (b"connection", b"close"),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
