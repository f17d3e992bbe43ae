"""One request at the fault upstream and the way it is answered, written to the socket byte by byte."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, Any

from tests.upstreams import behaviours
from tests.upstreams.behaviours import Behaviour, Fault

if TYPE_CHECKING:
    from tests.upstreams.faults import Hit

# A reset discards what the client's kernel has not yet been given; this lets the bytes before it arrive.
SETTLE_S = 0.01
REASONS = {200: "OK", 400: "Bad Request", 401: "Unauthorized", 429: "Too Many Requests", 503: "Service Unavailable"}
GARBAGE = {
    Fault.HTML_200: ("text/html", b"<!doctype html><html><body><h1>Please enable JavaScript</h1></body></html>"),
    Fault.NOT_JSON_200: ("application/json", b'{"id": "chatcmpl-fault", "choices": [{"index": 0, "mess'),
    Fault.EMPTY_200: ("application/json", b""),
}


class Exchange:
    def __init__(
        self,
        transport: asyncio.Transport,
        reset: Callable[[], None],
        closing: Callable[[], None],
        *,
        writable: asyncio.Event,
        first: bool,
    ) -> None:
        self.transport = transport
        self.reset = reset
        self.closing = closing
        self.writable = writable
        self.first = first
        self.hit: Hit
        self.behaviour: Behaviour
        self.include_usage = False

    async def run(self, hit: "Hit", *, include_usage: bool) -> None:
        self.hit = hit
        self.behaviour = hit.behaviour
        self.include_usage = include_usage
        await asyncio.sleep(self.behaviour.delay_s)
        await self._ways()[self.behaviour.fault]()

    def _ways(self) -> dict[Fault, Callable[[], Awaitable[None]]]:
        return {
            Fault.NONE: self.answer,
            Fault.RST_BEFORE_HEADERS: self.abort,
            Fault.EOF_BEFORE_HEADERS: self.end,
            Fault.HANG_BEFORE_HEADERS: self.hang,
            Fault.STALE: self.stale,
            Fault.RST_AFTER_HEADERS: self.headers_then(self.abort),
            Fault.EOF_AFTER_HEADERS: self.headers_then(self.end),
            Fault.HANG_AFTER_HEADERS: self.headers_then(self.hang),
            Fault.CUT: self.cut,
            Fault.HANG_MID_STREAM: self.part_then(self.hang),
            Fault.HALF_CLOSE: self.part_then(self.half_close),
            Fault.ERROR_EVENT: self.part_then(self.error_event),
            Fault.NO_FINISH: self.part_then(self.finish_body),
            Fault.BROKEN_EVENT: self.part_then(self.broken_event),
            Fault.TRICKLE: self.trickle,
            Fault.TRICKLE_HEADERS: self.trickle,
            Fault.STATUS: self.status,
            Fault.HTML_200: self.garbage,
            Fault.NOT_JSON_200: self.garbage,
            Fault.EMPTY_200: self.garbage,
            Fault.ERROR_BODY_200: self.error_body,
            Fault.GIGANTIC_HEADER: self.gigantic_header,
            Fault.GIGANTIC_BODY: self.gigantic_body,
            Fault.NOT_HTTP: self.not_http,
            Fault.SHORT_BODY: self.short_body,
        }

    # ------------------------------------------------------------------------------------------------- the bytes

    def body_parts(self) -> list[bytes]:
        """The healthy answer: the events of a stream, or one JSON body."""
        if self.hit.stream:
            return behaviours.stream_events(self.behaviour, self.hit.model, include_usage=self.include_usage)
        return [json.dumps(behaviours.completion(self.behaviour, self.hit.model)).encode()]

    def head(self, status: int, content_type: str, length: int | None, more: Iterable[tuple[str, str]] = ()) -> bytes:
        lines = [f"HTTP/1.1 {status} {REASONS.get(status, 'Scripted')}", f"content-type: {content_type}"]
        lines += [f"{name}: {value}" for name, value in more]
        if length is not None:
            lines.append(f"content-length: {length}")
        elif self.behaviour.framing == "chunked":
            lines.append("transfer-encoding: chunked")
        else:
            lines.append("connection: close")
        return "\r\n".join([*lines, "", ""]).encode()

    def answer_head(self) -> bytes:
        content_type = "text/event-stream; charset=utf-8" if self.hit.stream else "application/json"
        length = None if self.hit.stream else sum(map(len, self.body_parts()))
        return self.head(200, content_type, length, self.behaviour.headers)

    def framed(self, data: bytes) -> bytes:
        """`data` as it travels in this answer's body."""
        if not self.hit.stream or self.behaviour.framing != "chunked" or not data:
            return data
        return b"%x\r\n%b\r\n" % (len(data), data)

    def send_json(self, status: int, body: dict[str, Any]) -> None:
        """An answer outside the script."""
        encoded = json.dumps(body).encode()
        head = f"HTTP/1.1 {status} Scripted\r\ncontent-type: application/json\r\ncontent-length: {len(encoded)}\r\n\r\n"
        self.transport.write(head.encode() + encoded)

    def send_whole(self, status: int, content_type: str, body: bytes, more: Iterable[tuple[str, str]] = ()) -> None:
        self.transport.write(self.head(status, content_type, len(body), [*more, *self.behaviour.headers]) + body)
        self.done()

    def send_head(self) -> None:
        self.transport.write(self.answer_head())
        self.hit.headers_at = time.monotonic()

    def send_part(self, part: bytes) -> None:
        self.transport.write(self.framed(part))
        if b'"content":"t' in part or b'"content": "t' in part:
            self.hit.first_token_at = self.hit.first_token_at or time.monotonic()
            self.hit.tokens_sent += 1 if self.hit.stream else self.behaviour.tokens

    async def finish_body(self) -> None:
        """Ends the body in order."""
        if self.hit.stream and self.behaviour.framing == "chunked":
            self.transport.write(b"0\r\n\r\n")
        self.done()

    def done(self) -> None:
        self.hit.headers_at = self.hit.headers_at or time.monotonic()
        self.hit.completed_at = time.monotonic()
        if self.behaviour.close or (self.hit.stream and self.behaviour.framing == "close"):
            self.closing()
            self.transport.close()

    # --------------------------------------------------------------------------------------------- whole answers

    async def answer(self) -> None:
        self.send_head()
        await self.send_parts(self.body_parts())
        await self.finish_body()

    async def send_parts(self, parts: list[bytes]) -> None:
        for number, part in enumerate(parts):
            if number and self.behaviour.interval_s:
                await asyncio.sleep(self.behaviour.interval_s)
            await self.writable.wait()
            self.send_part(part)

    async def stale(self) -> None:
        await (self.answer() if self.first else self.abort())

    async def status(self) -> None:
        more = behaviours.retry_after_header(self.behaviour, now_s=time.time())
        body = json.dumps(behaviours.error(self.behaviour)).encode()
        self.send_whole(self.behaviour.status, "application/json", body, more)

    async def garbage(self) -> None:
        self.send_whole(200, *GARBAGE[self.behaviour.fault])

    async def error_body(self) -> None:
        self.send_whole(200, "application/json", json.dumps(behaviours.error(self.behaviour)).encode())

    async def gigantic_header(self) -> None:
        body = json.dumps(behaviours.completion(self.behaviour, self.hit.model)).encode()
        self.send_whole(200, "application/json", body, [("x-gigantic", "a" * self.behaviour.size)])

    async def gigantic_body(self) -> None:
        body = b'{"id":"' + b"a" * self.behaviour.size + b'"}'
        self.send_whole(200, "application/json", body)

    async def not_http(self) -> None:
        self.transport.write(b"\x00\x01SSH-2.0-scripted\r\n\r\n")
        await self.end()

    async def short_body(self) -> None:
        body = b"".join(self.body_parts())
        self.transport.write(self.head(200, "application/json", len(body) + 100) + body)
        await self.end()

    # --------------------------------------------------------------------------------------------- parts and ends

    def headers_then(self, ending: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            self.send_head()
            await asyncio.sleep(SETTLE_S if ending == self.abort else 0)
            await ending()

        return run

    def part_then(self, ending: Callable[[], Awaitable[None]]) -> Callable[[], Awaitable[None]]:
        """The role and `after_tokens` tokens, then `ending`; of a JSON body half of it, then `ending` or FIN."""

        async def run() -> None:
            parts = self.body_parts()
            self.send_head()
            if self.hit.stream:
                await self.send_parts(parts[: 1 + self.behaviour.after_tokens])
                await ending()
                return
            self.transport.write(parts[0][: len(parts[0]) // 2])
            await (ending() if ending in (self.hang, self.half_close) else self.end())

        return run

    async def cut(self) -> None:
        """`cut_at` bytes of the body, by default half of it, then `cut_with`."""
        parts = self.body_parts()
        size = sum(map(len, parts))
        left = size // 2 if self.behaviour.cut_at is None else self.behaviour.cut_at
        self.send_head()
        for part in parts:
            if left <= 0:
                break
            self.send_part(part[:left])
            left -= len(part)
        if self.behaviour.cut_with == "clean" and self.hit.stream:
            await self.finish_body()
        elif self.behaviour.cut_with == "rst":
            await asyncio.sleep(SETTLE_S)
            await self.abort()
        else:
            await self.end()

    async def trickle(self) -> None:
        """Single bytes of the body, or of the whole answer, `interval_s` apart (1 ms when that is 0)."""
        wire = b"".join(map(self.framed, self.body_parts()))
        head = self.answer_head()
        if self.behaviour.fault is Fault.TRICKLE_HEADERS:
            wire = head + wire
        else:
            self.send_head()
        for position in range(len(wire)):
            self.transport.write(wire[position : position + 1])
            await asyncio.sleep(self.behaviour.interval_s or 0.001)
        await self.finish_body()

    async def abort(self) -> None:
        self.reset()

    async def end(self) -> None:
        """FIN after what was written."""
        self.closing()
        self.transport.close()

    async def hang(self) -> None:
        """Until the client leaves, which cancels this."""
        await asyncio.Event().wait()

    async def half_close(self) -> None:
        self.transport.write_eof()
        await self.hang()

    async def error_event(self) -> None:
        if self.hit.stream:
            self.send_part(behaviours.event(behaviours.error(self.behaviour)))
        await self.finish_body()

    async def broken_event(self) -> None:
        self.send_part(b'data: {"id":"chatcmpl-fault","choices":[{"ind\n\n')
        await self.finish_body()
