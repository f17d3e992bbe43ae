"""Bounds what Django is sent. Its ASGI handler writes a whole body to disk before any view or key check sees the request,
so without this anybody could fill the disk."""

from typing import Any

from proxy_site.errors import WORDS, error_object
from proxy_site.http_router import refuse

LIMIT_BYTES = 2_621_440
"""Django's own DATA_UPLOAD_MAX_MEMORY_SIZE: more than this no view would read."""


class BodyLimit:
    """An ASGI application around Django's. Answers 413 for a longer body, declared or not."""

    def __init__(self, app: Any, *, limit: int = LIMIT_BYTES) -> None:
        self._app = app
        self._limit = limit

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        declared = dict(scope["headers"]).get(b"content-length", b"0")
        if declared.isdigit() and int(declared) > self._limit:
            await _refuse(scope, send)
            return
        size = 0
        refused = False

        async def bounded_receive() -> Any:
            nonlocal size, refused
            message = await receive()
            size += len(message.get("body", b""))
            if size > self._limit and not refused:
                refused = True
                await _refuse(scope, send)
            # Django stops reading when its client is gone.
            return {"type": "http.disconnect"} if refused else message

        async def quiet_send(message: Any) -> None:
            if not refused:
                await send(message)

        await self._app(scope, bounded_receive, quiet_send)


async def _refuse(scope: Any, send: Any) -> None:
    await refuse(scope, send, 413, error_object(*WORDS[413]))
