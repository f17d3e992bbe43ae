import asyncio
import json
from typing import Any

from django.core.asgi import get_asgi_application

from proxy_site.body_limit import BodyLimit
from tests.integration.api.fake_live import FakeLive


async def exchange(app: Any, chunks: list[bytes], headers: list[tuple[bytes, bytes]]) -> tuple[int, bytes, int]:
    """Status, body, and how many chunks were read."""
    read = 0
    sent: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        nonlocal read
        if read == len(chunks):
            await asyncio.Event().wait()  # the client waits for its answer
        read += 1
        return {"type": "http.request", "body": chunks[read - 1], "more_body": read < len(chunks)}

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "http", "method": "POST", "path": "/check", "headers": headers, "query_string": b""}
    await app(scope, receive, send)
    (start,) = [message for message in sent if message["type"] == "http.response.start"]
    assert dict((name.lower(), value) for name, value in start["headers"])[b"x-request-id"].startswith(b"req_")
    return start["status"], b"".join(message.get("body", b"") for message in sent), read


async def test_a_body_that_says_it_is_too_long_is_not_read() -> None:
    app = BodyLimit(get_asgi_application(), limit=100)
    status, body, read = await exchange(app, [b"x" * 101], [(b"content-length", b"101")])
    assert (status, json.loads(body)["error"]["code"], read) == (413, "request_too_large", 0)


async def test_a_body_that_does_not_say_how_long_it_is_is_read_up_to_the_limit() -> None:
    app = BodyLimit(get_asgi_application(), limit=100)
    status, _, read = await exchange(app, [b"x" * 60] * 50, [])
    assert (status, read) == (413, 2)


async def test_a_body_within_the_limit_goes_through(worker: FakeLive) -> None:
    status, body, _ = await exchange(BodyLimit(get_asgi_application(), limit=100), [b"x" * 50, b"x" * 50], [])
    assert (status, json.loads(body)["error"]["code"]) == (401, "invalid_api_key")
