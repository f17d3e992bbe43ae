"""One connection: parser events in, flow control both ways, one timer. It carries one call at a time.

What arrives lies in `pieces` until it is taken, or goes to a *consumer* at once: a stream whose client keeps up then passes
without a future, a wake-up and a step of a task for each of its events.

The timer is armed lazily: a deadline is an attribute, and one handle looks at it when it fires, at most `TICK_S` ahead.
So a deadline that moves later, which is what nearly all do, costs an assignment.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final, cast

import httptools

from providers.errors import BadAnswer, ConnectFailed, StreamTruncated, UpstreamError, UpstreamTimeout
from providers.http1.corked import CorkedTransport, cork_of
from providers.http1.gathering import SOON_S, gatherer_of
from providers.transport import Consumer

HEADER_LIMIT_BYTES: Final = 64 * 1024
"""For the header block, and for whatever else may stand between two pieces of the body: interim answers, chunk
extensions, trailers."""

READ_AHEAD_BYTES: Final = 64 * 1024
"""What may lie unread here before the socket is paused; one read of the event loop may come on top."""

WRITE_STEP_BYTES: Final = 64 * 1024
TICK_S: Final = 5.0
NEVER: Final = float("inf")

_NAMES: dict[bytes, str] = {}
_NAMES_LIMIT: Final = 1024


class _Surplus(Exception):
    """What follows is not part of the answer."""


class Connection(asyncio.Protocol):
    """`status` is 0 until the head of the final answer is there. `pieces` hold the body as it arrived, unread.

    `complete` says that the answer is whole (and is True between calls), `error` why it will never be, `gone` that the
    socket is closed. `reused` is set from the second call on. `deadline` is `NEVER` while the caller is busy.
    """

    __slots__ = (
        "_buffered",
        "_consumer",
        "_fields",
        "_gap",
        "_gatherer",
        "_head_only",
        "_keep",
        "_loop",
        "_patience_s",
        "_paused",
        "_pending",
        "_phase",
        "_poured_at",
        "_timer",
        "_timer_at",
        "_transport",
        "_waiter",
        "_write_paused",
        "complete",
        "deadline",
        "error",
        "gone",
        "headers",
        "on_body",
        "on_gone",
        "parser",
        "pieces",
        "reused",
        "status",
    )

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._transport: asyncio.Transport = cast(asyncio.Transport, None)
        self.pieces: list[bytes] = []
        # Called once for each event of a stream, so it is the list's own method and not one of ours.
        self.on_body: Callable[[bytes], None] = self.pieces.append
        self.parser: Any = httptools.HttpResponseParser(self)
        self.on_gone: Callable[[Connection], None] | None = None
        self.status = 0
        self.headers: dict[str, str] = {}
        self.error: UpstreamError | None = None
        self.complete, self.gone, self.reused = True, False, False
        self._fields: list[tuple[bytes, bytes]] = []
        self._gap = self._buffered = 0
        self._keep = self._head_only = self._paused = self._write_paused = False
        self._pending: memoryview | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._consumer: Consumer | None = None
        self._gatherer = gatherer_of(loop)
        self._patience_s = self._poured_at = 0.0
        self.deadline = NEVER
        self._phase = ""
        self._timer: asyncio.TimerHandle | None = None
        self._timer_at = NEVER

    # ------------------------------------------------------------------------------------------- what the client does

    def start(self, head: bytes, body: bytes, *, head_only: bool) -> None:
        """Sends a request; the answer's events follow. The connection must be idle."""
        self.status = 0
        self.complete = self._keep = False
        self._gap = 0
        self._head_only = head_only
        if len(body) <= WRITE_STEP_BYTES:
            self._transport.write(head + body)
        else:
            self._pending = memoryview(body)
            self._transport.write(head)
            self._pump()

    def wait(self, deadline: float, phase: str) -> "asyncio.Future[None]":
        """To be awaited until something may have changed; past `deadline` the call fails with `UpstreamTimeout`."""
        self.deadline = deadline
        self._phase = phase
        if self._timer_at > deadline:
            self._schedule()
        waiter = self._waiter = self._loop.create_future()
        return waiter

    async def pour(self, consumer: Consumer, patience_s: float) -> bool:
        """What arrives goes to `consumer` at once, until it wants no more (True), or something else happens that is to be
        looked at (False). Between two pieces at most `patience_s` may pass."""
        self._consumer, self._patience_s = consumer, patience_s
        self._gatherer.streams += 1
        try:
            await self.wait(self._loop.time() + patience_s, "idle")
            return self._consumer is None
        finally:
            self._consumer = None
            self._gatherer.streams -= 1

    def take(self) -> bytes:
        """All that has arrived of the body, joined; reading goes on if it was paused."""
        pieces = self.pieces
        if len(pieces) == 1:
            data = pieces.pop()
        else:
            data = b"".join(pieces)
            pieces.clear()
        self._buffered = 0
        if self._paused:
            self.resume()
        return data

    def pause(self) -> None:
        """Reads no more until `resume`, or until all is taken."""
        if not self._paused and not self.gone:
            self._paused = True
            self._transport.pause_reading()

    def resume(self) -> None:
        if self._paused and not self.gone:
            self._paused = False
            self._transport.resume_reading()

    def settle(self, keepalive_s: float) -> bool:
        """Ends the call. True when the connection may carry another one, and then it closes itself when unused for
        that long; otherwise it is closed already."""
        if not self.complete or not self._keep or self.gone or self._transport.get_write_buffer_size():
            self.abort()
            return False
        self.reused = True
        self.pieces.clear()
        self._fields.clear()
        self._buffered = 0
        if self._paused:
            self.resume()
        self._phase = "unused"
        self.deadline = deadline = self._loop.time() + keepalive_s
        if self._timer_at > deadline:
            self._schedule()
        return True

    def abort(self) -> None:
        """Closes the socket at once."""
        if not self.gone:
            self._transport.abort()
            self._leave(None)

    def fail(self, error: UpstreamError) -> None:
        """Closes the socket at once; whoever waits gets `error`."""
        if not self.complete and self.error is None:
            self.error = error
        self.abort()

    # ------------------------------------------------------------------------------------------- the event loop's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = CorkedTransport(cast(asyncio.Transport, transport), cork_of(self._loop))

    def data_received(self, data: bytes) -> None:
        if self.complete or self.gone:
            # Nobody asked for these bytes; if they were kept, they would answer the next call.
            self.abort()
            return
        size = len(data)
        self._gap += size
        self._buffered += size
        pieces = self.pieces
        unread = len(pieces)
        try:
            self.parser.feed_data(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._refuse(error)
        if len(pieces) > unread:
            self._gap = 0
            if self._buffered > READ_AHEAD_BYTES:
                self.pause()
        elif self._gap > HEADER_LIMIT_BYTES:
            self.fail(BadAnswer("The answer's headers are too large."))
        if self._waiter is not None and (self._consumer is None or not self._goes_on(self._consumer)):
            self._wake(self._waiter)

    def eof_received(self) -> None:
        # A close while our own bytes are still unsent would wait for them; the answer cannot change any more.
        if not self.gone:
            self._transport.abort()
            self._leave(None)

    def connection_lost(self, exc: Exception | None) -> None:
        self._leave(exc)

    def pause_writing(self) -> None:
        self._write_paused = True

    def resume_writing(self) -> None:
        self._write_paused = False
        if self._pending is not None:
            self._pump()

    # --------------------------------------------------------------------------------------------------- parser events

    def on_message_begin(self) -> None:
        if self.complete:
            raise _Surplus

    def on_header(self, name: bytes, value: bytes) -> None:
        self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        status = self.parser.get_status_code()
        fields = self._fields
        if status >= 200:
            if self._gap > HEADER_LIMIT_BYTES:
                self._check_size(fields)
            try:
                self.headers = headers = {_NAMES[name]: value.decode("latin-1") for name, value in fields}
            except KeyError:
                self.headers = headers = {_name(name): value.decode("latin-1") for name, value in fields}
            fields.clear()
            if headers.get("transfer-encoding", "chunked").lower() != "chunked":
                raise BadAnswer("The answer's transfer encoding is not known.")
            self._keep = self.parser.should_keep_alive()
            self.status = status
            if self._head_only:
                # llhttp does not know the request's method and would take what follows for a body.
                self.complete, self._keep = True, False
                raise _Surplus
        elif status == 101:
            raise BadAnswer("The upstream switched protocols without being asked.")
        else:
            fields.clear()

    def on_message_complete(self) -> None:
        if self.status:
            self.complete = True
            if self._pending is not None:
                self._pending = None
                self._keep = False

    # ---------------------------------------------------------------------------------------------------------- inside

    def _wake(self, waiter: "asyncio.Future[None]") -> None:
        self._waiter = None
        if not waiter.done():
            waiter.set_result(None)

    def _goes_on(self, consumer: Consumer) -> bool:
        """Whether the answer does, and the consumer of its pieces with it."""
        if self.complete or self.error is not None:
            return False
        if not self.pieces:
            return True
        now, before = self._loop.time(), self._poured_at
        self._poured_at = now
        self.deadline = now + self._patience_s
        try:
            if consumer(self.take()):
                if now - before < SOON_S:
                    self._gatherer.rest(self)
                return True
        except Exception as error:
            # The waiting caller's, not the event loop's.
            if self._waiter is not None and not self._waiter.done():
                self._waiter.set_exception(_as_a_coroutine_raises_it(error))
        self._consumer = None
        return False

    def _check_size(self, fields: list[tuple[bytes, bytes]]) -> None:
        size = sum([len(name) + len(value) + 4 for name, value in fields])
        if size > HEADER_LIMIT_BYTES:
            raise BadAnswer("The answer's headers are too large.")
        # The rest of this read is body, which has its own limits.
        self._gap = size

    def _refuse(self, error: Exception) -> None:
        if self.complete:
            self._keep = False
            return
        cause = error.__context__
        self.fail(cause if isinstance(cause, UpstreamError) else BadAnswer(f"The answer is not HTTP: {error}."))

    def _pump(self) -> None:
        pending = self._pending
        while pending and not self._write_paused and not self.gone:
            step, pending = pending[:WRITE_STEP_BYTES], pending[WRITE_STEP_BYTES:]
            self._pending = pending or None
            self._transport.write(step)

    def _leave(self, exc: Exception | None) -> None:
        if self.gone:
            return
        self.gone = True
        self._keep = False
        self._pending = None
        # The parser holds bound methods of this object: a circle that would wait for the garbage collector.
        self.parser = None
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if not self.complete and self.error is None:
            self._judge_the_end(exc)
        if self._waiter is not None:
            self._wake(self._waiter)
        if self.on_gone is not None:
            self.on_gone(self)
            self.on_gone = None

    def _judge_the_end(self, exc: Exception | None) -> None:
        how = "was reset" if exc is not None else "was closed"
        if self.status:
            framed = "content-length" in self.headers or "transfer-encoding" in self.headers
            if exc is None and not framed:
                self.complete = True
            else:
                self.error = StreamTruncated(f"The connection {how} before the answer was complete.")
        elif self._gap:
            self.error = StreamTruncated(f"The connection {how} inside the answer's headers.")
        else:
            self.error = ConnectFailed(f"The connection {how} before the answer.", stale=self.reused)
        if self.error is not None:
            self.error.__cause__ = exc

    def _schedule(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer_at = at = min(self.deadline, self._loop.time() + TICK_S)
        self._timer = self._loop.call_at(at, self._on_time)

    def _on_time(self) -> None:
        self._timer = None
        self._timer_at = NEVER
        if self._loop.time() < self.deadline:
            if self.deadline != NEVER:
                self._schedule()
        elif self._phase == "unused":
            self.abort()
        else:
            unsent = " The request was not sent completely." if self._pending is not None else ""
            self.fail(UpstreamTimeout(f"The upstream was silent for too long.{unsent}", phase=self._phase))


def _as_a_coroutine_raises_it(error: Exception) -> Exception:
    """A future (before Python 3.12) takes no StopIteration."""
    if not isinstance(error, StopIteration):
        return error
    raised = RuntimeError("A consumer raised StopIteration.")
    raised.__cause__ = error
    return raised


def _name(raw: bytes) -> str:
    name = _NAMES.get(raw)
    if name is None:
        name = raw.decode("latin-1").lower()
        if len(_NAMES) < _NAMES_LIMIT:
            _NAMES[raw] = name
    return name
