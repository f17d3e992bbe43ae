"""Which of two applications answers an HTTP request: a question of the path's beginning, asked once per call.

Channels' URLRouter would copy the scope and try a regular expression per route: 25 µs a call, where this takes 0.3.
"""

from typing import Any


class HttpRouter:
    def __init__(self, *, data_plane: Any, django: Any) -> None:
        self._data_plane = data_plane
        self._django = django

    def __call__(self, scope: Any, receive: Any, send: Any) -> Any:
        path = scope["path"]
        if path.startswith("/v1/") or path == "/v1":
            return self._data_plane(scope, receive, send)
        return self._django(scope, receive, send)
