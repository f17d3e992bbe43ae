"""The demo upstream as a plain ASGI application: reads a request, asks the dialect, writes JSON or a paced stream."""

import asyncio
import itertools
import time
from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any, TypeAlias
from urllib.parse import parse_qsl

import orjson

from providers.demo import (
    anthropic_dialect,
    cohere_dialect,
    openai_dialect,
    openai_responses_dialect,
    perplexity_dialect,
)
from providers.demo.wire import Answer, Call, DemoSettings, Dialect, JsonAnswer, RefusalError, StreamAnswer

Message: TypeAlias = MutableMapping[str, Any]
Receive: TypeAlias = Callable[[], Awaitable[Message]]
Send: TypeAlias = Callable[[Message], Awaitable[None]]
Application: TypeAlias = Callable[[Message, Receive, Send], Awaitable[None]]

DIALECTS: dict[str, Dialect] = {
    dialect.name: dialect
    for dialect in (
        openai_dialect.DIALECT,
        anthropic_dialect.DIALECT,
        cohere_dialect.DIALECT,
        openai_responses_dialect.DIALECT,
        perplexity_dialect.DIALECT,
    )
}
MAX_BODY_BYTES = 32 * 1024 * 1024


class ClientGoneError(Exception):
    """The client closed the connection: there is nobody left to answer."""


def create_app(
    dialect: str = "openai",
    latency_ms: float = 0.0,
    tokens: int | None = None,
    fail_rate: float = 0.0,
    *,
    events_per_second: float = 0.0,
    require_key: str | None = None,
) -> Application:
    """An ASGI application speaking `dialect` (one of `DIALECTS`); see `DemoSettings` for the rest.

    `ValueError` for an unknown dialect or a value out of range.
    """
    if dialect not in DIALECTS:
        raise ValueError(f"unknown dialect {dialect!r}: choose one of {', '.join(DIALECTS)}")
    if not 0 <= fail_rate <= 1 or latency_ms < 0 or events_per_second < 0 or (tokens is not None and tokens < 1):
        raise ValueError("fail_rate must be within 0..1, latency and pace not negative, tokens at least 1")
    settings = DemoSettings(
        latency_ms=latency_ms,
        tokens=tokens,
        fail_rate=fail_rate,
        events_per_second=events_per_second,
        require_key=require_key,
    )
    return DemoUpstream(DIALECTS[dialect], settings)


class DemoUpstream:
    def __init__(self, dialect: Dialect, settings: DemoSettings) -> None:
        self.dialect = dialect
        self.settings = settings
        self.numbers = itertools.count(1)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _live(receive, send)
        elif scope["type"] == "http":
            try:
                await self._serve(scope, receive, send)
            except ClientGoneError:
                return
        else:
            raise ValueError(f"the demo upstream does not speak {scope['type']}")

    async def _serve(self, scope: Message, receive: Receive, send: Send) -> None:
        body = await _read_body(receive)
        call = self._call(scope, body)
        await _pause(self.settings.latency_ms / 1000, receive)
        headers = {self.dialect.request_id_header: f"req_demo{call.id}"}
        try:
            answer = self._answer(call)
        except RefusalError as refusal:
            await _send_json(send, refusal.status, self.dialect.error_body(refusal, call), headers)
            return
        if isinstance(answer, JsonAnswer):
            await _send_json(send, 200, answer.body, headers)
        else:
            await self._send_stream(answer, headers, receive, send)

    def _call(self, scope: Message, body: bytes) -> Call:
        path = str(scope["path"]).strip("/")
        for prefix in self.dialect.prefixes:
            path = path.removeprefix(prefix)
        return Call(
            method=scope["method"],
            path=path,
            query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]},
            body=body,
            number=next(self.numbers),
            now_s=time.time(),
            settings=self.settings,
        )

    def _answer(self, call: Call) -> Answer:
        self.dialect.authorize(call)
        if len(call.body) > MAX_BODY_BYTES:
            raise RefusalError(
                413, f"The request body is larger than {MAX_BODY_BYTES} bytes.", kind="request_too_large"
            )
        handler = _route(self.dialect, call)
        if call.method == "POST" and _fails(call.number, self.settings.fail_rate):
            raise RefusalError(503, "DEMO: this request was chosen to fail.", kind="overloaded")
        return handler(call)

    async def _send_stream(self, answer: StreamAnswer, headers: dict[str, str], receive: Receive, send: Send) -> None:
        content_type = "text/event-stream; charset=utf-8"
        await send(_start(200, headers | {"content-type": content_type, "cache-control": "no-cache"}))
        pace_s = 1 / self.settings.events_per_second if self.settings.events_per_second else 0.0
        for event in answer.events:
            await send({"type": "http.response.body", "body": event, "more_body": True})
            await _pause(pace_s, receive)
        await send({"type": "http.response.body", "body": b""})


def _fails(number: int, rate: float) -> bool:
    """Spreads failures evenly and reproducibly: of any n requests, n·rate fail (rounded)."""
    return int(number * rate + 1e-9) > int((number - 1) * rate + 1e-9)


def _route(dialect: Dialect, call: Call) -> Callable[[Call], Answer]:
    first, _, rest = call.path.partition("/")
    for pattern in (call.path, f"{first}/*" if rest else ""):
        handler = dialect.routes.get(f"{call.method} {pattern}")
        if handler is not None:
            return handler
        if pattern and any(route.partition(" ")[2] == pattern for route in dialect.routes):
            raise RefusalError(405, f"Not allowed to {call.method} on /{call.path}.", kind="invalid_request_error")
    raise RefusalError(404, f"Invalid URL ({call.method} /{call.path})", kind="not_found_error")


async def _live(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return


async def _read_body(receive: Receive) -> bytes:
    """The whole body, or one byte more than allowed of a larger one (which is still read to its end)."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGoneError
        chunk = message.get("body", b"")
        if size <= MAX_BODY_BYTES:
            chunks.append(chunk)
        size += len(chunk)
        if not message.get("more_body"):
            return b"".join(chunks)


async def _pause(seconds: float, receive: Receive) -> None:
    """Waits, and notices meanwhile when the client leaves."""
    if seconds <= 0:
        return
    try:
        async with asyncio.timeout(seconds):
            while (await receive())["type"] != "http.disconnect":
                pass
    except TimeoutError:
        return
    raise ClientGoneError


def _start(status: int, headers: dict[str, str]) -> Message:
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    return {"type": "http.response.start", "status": status, "headers": encoded}


async def _send_json(send: Send, status: int, body: Any, headers: dict[str, str]) -> None:
    encoded = orjson.dumps(body)
    await send(_start(status, headers | {"content-type": "application/json", "content-length": str(len(encoded))}))
    await send({"type": "http.response.body", "body": encoded})
