"""One HTTP request and its response on bare ASGI: headers, a bounded body, and writing JSON or a stream."""

import asyncio
import random
import re
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Protocol

import orjson

from accounts.header_lines import HeaderLines, header_pairs
from accounts.records import Principal
from providers.dialects.served_messages import error_body as message_error
from providers.dialects.served_messages import error_event as message_error_event
from providers.types import JsonObject
from routing.endpoints.request_head import RequestHead, Scope
from routing.errors import BodyTooLarge, BodyTooSlow, ClientFacing, error_body, error_event

Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

BODY_LIMIT_BYTES = 8 * 1024 * 1024
BODY_DEADLINE_S = 60.0
DISCARD_LIMIT_BYTES = 64 * 1024 * 1024
DISCARD_DEADLINE_S = 10.0
WELL_FORMED_REQUEST_ID = re.compile(rb"[A-Za-z0-9_.:-]{1,128}")

# Without x-accel-buffering nginx and HAProxy would collect a stream before passing it on.
STREAM_HEAD = (
    "content-type: text/event-stream; charset=utf-8\r\n"
    "cache-control: no-cache\r\n"
    "x-accel-buffering: no\r\n"
    "x-request-id: "
)
CLOSE: HeaderLines = b"connection: close\r\n"


class ClientConnection(Protocol):
    """A request's connection spoken to directly, where the server offers it; plain ASGI costs several times as much.
    Headers are encoded lines, each ending in CRLF."""

    def remember(self, answer: Callable[[Any, Receive, Send], Awaitable[None]]) -> None: ...
    def watch(self, gone: Callable[[], None]) -> None: ...
    def unwatch(self) -> None: ...
    def complete_body(self) -> bytes | None: ...
    def respond(self, status: int, headers: bytes, body: bytes) -> Coroutine[Any, Any, None]: ...
    async def begin(self, headers: bytes) -> None: ...
    def push(self, data: bytes) -> bool: ...
    async def write(self, data: bytes) -> None: ...
    async def end(self, data: bytes) -> None: ...


def connection_of(scope: Scope) -> ClientConnection | None:
    """Taken out of the scope, because it knows the scope: a circle for each request would be left to the garbage collector."""
    extensions = scope.get("extensions")
    return None if extensions is None else extensions.pop("llm_proxy.connection", None)


class ClientGone(Exception):
    """The client closed its connection before the request was complete."""


class HttpExchange:
    """Reads one request and writes its response. The gateway's door for HTTP (see `routing.gateway.ClientSink`)."""

    __slots__ = (
        "_body_complete", "_connection", "_receive", "_send", "began_at", "extra_headers", "head", "principal",
        "request_id", "started",
    )  # fmt: skip

    def __init__(self, head: RequestHead, connection: ClientConnection | None, receive: Receive, send: Send) -> None:
        self.head = head
        self._connection = connection
        self._receive = receive
        self._send = send
        offered = head.headers.get(b"x-request-id")
        self.request_id = new_request_id() if offered is None else request_id_of(offered)
        self.extra_headers: HeaderLines = b""
        self.began_at = time.monotonic()
        self.principal: Principal | None = None
        self.started = False
        self._body_complete = False

    def whole_body(self, limit: int = BODY_LIMIT_BYTES) -> bytes | None:
        """The body if it has arrived already, else None; raises `BodyTooLarge`."""
        whole = self._connection.complete_body() if self._connection is not None else None
        if whole is not None:
            self._body_complete = True
            if len(whole) > limit:
                raise BodyTooLarge(f"The request body is larger than {limit} bytes.")
        return whole

    async def body(self, limit: int = BODY_LIMIT_BYTES) -> bytes:
        """The whole body once it is there; raises `BodyTooLarge`, `BodyTooSlow` or `ClientGone`."""
        declared = self.head.headers.get(b"content-length")
        if declared is not None and declared.isdigit() and int(declared) > limit:
            if b"expect" not in self.head.headers:
                # Who asks first is told no before it sends.
                await self._discard()
            raise BodyTooLarge(f"The request body has {int(declared)} bytes; at most {limit} are accepted.")
        try:
            async with asyncio.timeout(BODY_DEADLINE_S):
                return await self._collect(limit)
        except TimeoutError:
            raise BodyTooSlow(f"The request body did not arrive within {BODY_DEADLINE_S:.0f} s.") from None

    async def _discard(self) -> None:
        """Reads on without keeping anything, so that a client that sends all before it reads sees the refusal."""
        size = 0
        try:
            async with asyncio.timeout(DISCARD_DEADLINE_S):
                while size < DISCARD_LIMIT_BYTES:
                    message = await self._receive()
                    size += len(message.get("body", b""))
                    if not message.get("more_body"):
                        return
        except TimeoutError:
            pass

    async def _collect(self, limit: int) -> bytes:
        pieces: list[bytes] = []
        size = 0
        while True:
            message = await self._receive()
            if message["type"] == "http.disconnect":
                raise ClientGone
            piece = message.get("body", b"")
            size += len(piece)
            if size > limit:
                await self._discard()
                raise BodyTooLarge(f"The request body is larger than {limit} bytes.")
            pieces.append(piece)
            if not message.get("more_body"):
                self._body_complete = True
                return b"".join(pieces)

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        """Calls `gone` should the client leave; the returned callable ends that."""
        if self._connection is not None:
            self._connection.watch(gone)
            return self._connection.unwatch
        task = asyncio.create_task(self._wait_for_disconnect(gone), name="disconnect-watcher")
        return lambda: _ignore(task.cancel())

    async def _wait_for_disconnect(self, gone: Callable[[], None]) -> None:
        """For servers other than ours, which tell of a disconnect only here."""
        while (await self._receive())["type"] != "http.disconnect":
            pass
        gone()

    # ------------------------------------------------------------------------------------------------- writing

    def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> Coroutine[Any, Any, None]:
        """A complete JSON response. No coroutine of its own around the connection's."""
        self.started = True
        if status == 204:
            head = f"x-request-id: {self.request_id}\r\n"
        else:
            head = (
                f"content-type: application/json\r\ncontent-length: {len(body)}\r\nx-request-id: {self.request_id}\r\n"
            )
        lines = head.encode() + self.extra_headers + headers
        if not self._body_complete and not self._body_arrived():
            # An unread rest of the body would be taken for the next request.
            lines += CLOSE
        if self._connection is not None:
            return self._connection.respond(status, lines, body)
        return self._respond(status, lines, body)

    async def _respond(self, status: int, lines: HeaderLines, body: bytes) -> None:
        await self._send({"type": "http.response.start", "status": status, "headers": header_pairs(lines)})
        await self._send({"type": "http.response.body", "body": body})

    def _body_arrived(self) -> bool:
        return self._connection is not None and self._connection.complete_body() is not None

    async def reply_json(self, payload: JsonObject) -> None:
        await self.reply(200, orjson.dumps(payload))

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        """The error in the client's shape, mostly OpenAI's: as the response, or as the last event of a stream."""
        if self.started:
            event = message_error_event if self.head.of_messages else error_event
            await self.write(event(error, self.request_id))
            await self.finish()
        else:
            await self.reply(error.status, self.body_of(error), headers)

    def body_of(self, error: ClientFacing) -> bytes:
        of_messages = self.head.of_messages
        return orjson.dumps(message_error(error, self.request_id) if of_messages else error_body(error))

    async def start(self, headers: HeaderLines) -> None:
        """Commits status 200 and the headers of a stream."""
        self.started = True
        lines = f"{STREAM_HEAD}{self.request_id}\r\n".encode() + self.extra_headers + headers
        if self._connection is not None:
            await self._connection.begin(lines)
        else:
            await self._send({"type": "http.response.start", "status": 200, "headers": header_pairs(lines)})

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        return None if self._connection is None else self._connection.push

    async def write(self, frames: bytes) -> None:
        if self._connection is not None:
            await self._connection.write(frames)
        else:
            await self._send({"type": "http.response.body", "body": frames, "more_body": True})

    async def finish(self, frames: bytes = b"") -> None:
        if self._connection is not None:
            await self._connection.end(frames)
        else:
            await self._send({"type": "http.response.body", "body": frames, "more_body": False})


def new_request_id() -> str:
    """Beginning with the time, so that the ledger's index of them grows at its end: twice as fast as anywhere."""
    return "req_%024x" % (time.time_ns() >> 20 << 52 | random.getrandbits(52))


def request_id_of(offered: bytes) -> str:
    return offered.decode("ascii") if WELL_FORMED_REQUEST_ID.fullmatch(offered) else new_request_id()


def _ignore(_: object) -> None:
    """A callback's result that nobody needs."""
