"""Anthropic's event stream → `StreamEvent`s, without I/O. Pure.

    message_start → (content_block_start → content_block_delta* → content_block_stop)* → message_delta+ → message_stop

What departs from that order has one defined meaning each:

    event of an unknown type, ping          Heartbeat
    block or delta of an unknown type       collected, all together given as ExtraFields at the end
    content before message_start            a start without id and model is reported first
    second message_start                    only its usage counts
    block or delta without index            a start counts on; a delta or stop belongs to the block started last
    text or thinking without an open block  its block begins with it
    start repeated for an open block        ignored; when the tool's id is another, a new call begins
    start repeated for a finished tool      ignored with all that follows for that block
    block left open at the end              closed there; a tool without a fragment has the arguments `{}`
    tool arguments without an open tool,
    delta of another kind than its block's  BadAnswer: it belongs to nothing, and dropping it would be silent
    not JSON, not UTF-8, not an object      BadAnswer
    body ends before message_stop           StreamTruncated, unless the stop reason was given: then a regular end
    anything after message_stop or an error ignored
"""

from collections.abc import Callable
from typing import Any, ClassVar

from providers.dialects.anthropic_messages.answer import finish_reason, own_stop, refusal_of, usage_of
from providers.dialects.anthropic_messages.arguments import loads_lenient
from providers.dialects.anthropic_messages.errors import error_of_object
from providers.dialects.anthropic_messages.stream_blocks import Content
from providers.dialects.openai_chat.usage import write_usage
from providers.dialects.sse import SseDecoder, SseEvent
from providers.errors import BadAnswer, StreamTruncated, UpstreamError
from providers.lenient import an_object
from providers.types import (
    ExtraFields,
    Finish,
    Heartbeat,
    JsonObject,
    RefusalDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
    UsageReport,
)

_PROMPT = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


class StreamDecoder:
    """One per answer. `json_tool` is the tool whose input is the answer itself; `in_place`: what has no type is given as
    `OwnBlock`s where it stands. Never raises."""

    def __init__(self, *, json_tool: str | None = None, provider: str = "anthropic", in_place: bool = False) -> None:
        self._sse = SseDecoder()
        self._provider = provider
        self._in_place = in_place
        self._content = Content(json_tool, in_place=in_place)
        self._counts: JsonObject = {}
        self._counted = True
        self._stop_reason: str | None = None
        self._own_stop: JsonObject = {}
        self._started = False
        self._done = False

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._done:
            return []
        events: list[StreamEvent] = []
        try:
            for event in self._sse.feed(data):
                events.extend(self._read(event))
                if self._done:
                    break
        except UpstreamError as error:
            events.extend(self._fail(error))
        return events

    def close(self) -> list[StreamEvent]:
        """The upstream's body has ended."""
        if self._done:
            return []
        events: list[StreamEvent] = []
        try:
            if (rest := self._sse.close()) is not None:
                events.extend(self._read_rest(rest))
        except UpstreamError as error:
            return self._fail(error)
        if self._done:
            return events
        if self._stop_reason is not None:
            return events + self._end()
        return events + self._fail(StreamTruncated("The provider's stream ended too early."))

    # --------------------------------------------------------------------------------------------------------- framing

    def _read(self, event: SseEvent) -> list[StreamEvent]:
        try:
            body = loads_lenient(event.data)
        except (ValueError, RecursionError):
            if event.data.strip() == b"[DONE]":  # written by servers that only resemble this dialect
                return [Heartbeat()]
            return self._fail(BadAnswer("The provider sent a stream event that is not JSON."))
        if not isinstance(body, dict):
            return self._fail(BadAnswer("The provider sent a stream event that is not an object."))
        kind = body.get("type") or event.event
        handler = self._HANDLERS.get(kind if isinstance(kind, str) else "")
        if handler is None:
            return self._error(body) if isinstance(body.get("error"), dict) else [Heartbeat()]
        return handler(self, body)

    def _read_rest(self, event: SseEvent) -> list[StreamEvent]:
        """An event without its blank line counts when it is whole; half a one is part of the truncation."""
        try:
            loads_lenient(event.data)
        except (ValueError, RecursionError):
            return []
        return self._read(event)

    def _fail(self, error: UpstreamError) -> list[StreamEvent]:
        self._done = True
        return [StreamFailed(error)]

    # ---------------------------------------------------------------------------------------------------------- events

    def _message_start(self, body: JsonObject) -> list[StreamEvent]:
        message = an_object(body.get("message"))
        events = self._start(str(message.get("id") or ""), str(message.get("model") or ""))
        self._count(message.get("usage"))
        if events and not self._counted:
            # A stream that is cut is charged by it for its prompt. The output tokens told here count nothing of what follows.
            prompt = usage_of(self._counts)._replace(output_tokens=0, reasoning_tokens=0)
            events.append(UsageReport(prompt))
            if self._in_place:
                # In the first chunk, since a message begins with it.
                events.insert(0, ExtraFields({"usage": write_usage(prompt)}))
        return events

    def _start(self, identifier: str = "", model: str = "") -> list[StreamEvent]:
        if self._started:
            return []
        self._started = True
        return [StreamStart(identifier, model)]

    def _block_start(self, body: JsonObject) -> list[StreamEvent]:
        return self._start() + self._content.start(body.get("index"), an_object(body.get("content_block")))

    def _block_delta(self, body: JsonObject) -> list[StreamEvent]:
        events = self._content.delta(body.get("index"), an_object(body.get("delta")))
        return events if self._started else self._start() + events

    def _block_stop(self, body: JsonObject) -> list[StreamEvent]:
        return self._content.stop(body.get("index"))

    def _message_delta(self, body: JsonObject) -> list[StreamEvent]:
        delta = an_object(body.get("delta"))
        events = self._start()
        if isinstance(reason := delta.get("stop_reason"), str):
            self._stop_reason, self._own_stop = reason, own_stop(delta)
        if (explanation := refusal_of(delta)) is not None:
            events.append(RefusalDelta(explanation))
        self._count(body.get("usage"))
        return events + self._report() if body.get("usage") else events

    def _message_stop(self, body: JsonObject) -> list[StreamEvent]:
        return self._start() + self._end()

    def _end(self) -> list[StreamEvent]:
        """The finish waits until here: several `message_delta` may come, and the last reason holds."""
        self._done = True
        events = self._content.close() + self._report()
        if self._own_stop:
            events.append(ExtraFields(self._own_stop))
        reason = finish_reason(self._stop_reason, has_calls=self._content.calls > 0)
        return [*events, Finish(reason), StreamEnd()]

    def _error(self, body: JsonObject) -> list[StreamEvent]:
        return self._fail(error_of_object(body, provider=self._provider))

    def _count(self, counts: Any) -> None:
        """Counts are running totals: a later one replaces, an omitted one stays. So do the prompt's where it is said to be
        nothing, as some servers say at the end."""
        if isinstance(counts, dict):
            omitted = () if any(counts.get(name) for name in _PROMPT) else _PROMPT
            told = {name: value for name, value in counts.items() if value is not None and name not in omitted}
            self._counts.update(told)
            self._counted = False

    def _report(self) -> list[StreamEvent]:
        if self._counted:
            return []
        self._counted = True
        return [UsageReport(usage_of(self._counts))]

    _HANDLERS: ClassVar[dict[str, Callable[["StreamDecoder", JsonObject], list[StreamEvent]]]] = {
        "message_start": _message_start,
        "content_block_start": _block_start,
        "content_block_delta": _block_delta,
        "content_block_stop": _block_stop,
        "message_delta": _message_delta,
        "message_stop": _message_stop,
        "error": _error,
    }
