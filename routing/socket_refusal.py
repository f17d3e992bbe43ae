"""What a WebSocket's handshake is answered that is not accepted: an error in OpenAI's shape, where the server can give one."""

from collections.abc import Mapping
from typing import Any

import orjson

from accounts.errors import AccessDenied
from routing.endpoints.exchange import Send, request_id_of
from routing.errors import RequestError, error_body


async def refuse(scope: Mapping[str, Any], send: Send, error: AccessDenied | RequestError, request_id: str) -> None:
    if "websocket.http.response" not in scope.get("extensions", {}):
        await send({"type": "websocket.close", "code": 4000 + error.status})
        return
    headers = [(b"content-type", b"application/json"), (b"x-request-id", request_id.encode()), *error.headers]
    await send({"type": "websocket.http.response.start", "status": error.status, "headers": headers})
    await send({"type": "websocket.http.response.body", "body": orjson.dumps(error_body(error))})


def handshake_id(scope: Mapping[str, Any]) -> str:
    """The client's own, when it is well formed."""
    return request_id_of(dict(scope["headers"]).get(b"x-request-id", b""))
