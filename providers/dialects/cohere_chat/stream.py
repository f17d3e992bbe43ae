"""Streams of `POST /v2/chat`: bytes in, typed events out. Sans-I/O.

    message-start   content-start / content-delta / content-end        text, or thinking, by its own index
                    tool-plan-delta                                    shown as text, as in complete answers
                    tool-call-start / tool-call-delta / tool-call-end  by its own index
                    citation-start / citation-end
    message-end     finish reason, usage, error

In events `tool_calls` and `citations` are objects, not lists. Of what does not belong there:

* unknown events, `debug`, empty data and everything after `message-end` are ignored;
* text without a `content-start`, and anything without a `message-start`, is taken as it comes;
* a tool delta without an index belongs to the call opened last; one for a call that never began, or that has already
  ended without arguments, fails the stream, because its arguments would otherwise be lost;
* a call that begins again with the same id is the same call, with a new id a new one, whatever its index;
* arguments are the model's text and pass unchanged, valid JSON or not; a call that ended without any has `{}`;
* data that is not a JSON object, and an end without `message-end`, fail the stream.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import orjson

from providers.dialects.cohere_chat.answer import objects, read_citation, read_finish_reason, read_usage
from providers.dialects.cohere_chat.errors import read_error_object, read_failure
from providers.dialects.sse import SseDecoder
from providers.errors import BadAnswer, StreamTruncated, UpstreamError
from providers.lenient import an_object
from providers.types import (
    CitationFound,
    ExtraFields,
    Finish,
    JsonObject,
    ReasoningDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)


@dataclass(slots=True, kw_only=True)
class _Call:
    """A tool call of this answer. `number` counts them 0, 1, 2 …; `has_ended` after its `tool-call-end`."""

    number: int
    id: str
    has_arguments: bool = False
    has_ended: bool = False


class StreamDecoder:
    """One per stream. After `StreamEnd` or `StreamFailed` nothing more is returned."""

    def __init__(self, *, model: str = "") -> None:
        self._model = model
        self._sse = SseDecoder()
        self._is_started = False
        self._is_over = False
        self._text_length = 0
        self._text_starts: dict[int, int] = {}
        self._calls: list[_Call] = []
        self._calls_by_index: dict[int, _Call] = {}
        self._citations: list[JsonObject] = []

    def feed(self, data: bytes) -> list[StreamEvent]:
        """The events that `data` completes. A failure comes as the last event, never as an exception."""
        events: list[StreamEvent] = []
        try:
            for block in self._sse.feed(data):
                if self._is_over:
                    break
                events += self._read(block.data)
        except UpstreamError as error:
            events += self._fail(error)
        return events

    def close(self) -> list[StreamEvent]:
        """At the end of the body. A last event without its blank line counts when it is whole."""
        if self._is_over:
            return []
        events: list[StreamEvent] = []
        try:
            rest = self._sse.close()
            if rest is not None and _is_json(rest.data):
                events += self._read(rest.data)
        except UpstreamError as error:
            return events + self._fail(error)
        return events + self._fail(StreamTruncated("Cohere's stream ended without its message-end."))

    def _fail(self, error: UpstreamError) -> list[StreamEvent]:
        if self._is_over:
            return []
        self._is_over = True
        return [StreamFailed(error)]

    def _read(self, data: bytes) -> list[StreamEvent]:
        if not data.strip() or data.strip() == b"[DONE]":
            return []
        try:
            event = orjson.loads(data)
        except orjson.JSONDecodeError as error:
            raise BadAnswer("Cohere's stream holds an event that is not JSON.") from error
        if not isinstance(event, dict):
            raise BadAnswer("Cohere's stream holds an event that is not an object.")
        handler = self._HANDLERS.get(str(event.get("type")))
        if handler is not None:
            return handler(self, event) if self._is_started else self._start(event) + handler(self, event)
        failure = read_error_object(event)
        if failure is not None:
            raise failure
        return []

    def _start(self, event: JsonObject) -> list[StreamEvent]:
        self._is_started = True
        return [StreamStart(id=str(event.get("id") or ""), model=self._model)]

    def _message_start(self, event: JsonObject) -> list[StreamEvent]:
        """`_read` has started the stream; a second start says nothing new."""
        return []

    def _content(self, event: JsonObject) -> list[StreamEvent]:
        content = _message(event).get("content")
        if isinstance(content, str):
            content = {"text": content}
        if not isinstance(content, dict):
            return []
        if content.get("thinking"):
            return [ReasoningDelta(str(content["thinking"]))]
        if content.get("type") == "thinking":
            return []
        self._text_starts.setdefault(_index(event, default=0), self._text_length)
        return self._text(content.get("text"))

    def _tool_plan(self, event: JsonObject) -> list[StreamEvent]:
        return self._text(_message(event).get("tool_plan"))

    def _text(self, text: Any) -> list[StreamEvent]:
        if not text:
            return []
        self._text_length += len(str(text))
        return [TextDelta(str(text))]

    def _tool_call_start(self, event: JsonObject) -> list[StreamEvent]:
        call, function = _tool_call(event)
        index = _index(event, default=len(self._calls))
        known = next((known for known in self._calls if known.id == str(call.get("id"))), None)
        if known is not None:
            self._calls_by_index[index] = known
            return [] if known.has_arguments else self._arguments(known, function)
        if not function.get("name"):
            raise BadAnswer("A tool call in Cohere's stream has no name.")
        number = len(self._calls)
        opened = _Call(number=number, id=str(call.get("id") or f"call_{number}"))
        self._calls.append(opened)
        self._calls_by_index[index] = opened
        return [ToolCallStart(number, opened.id, str(function["name"])), *self._arguments(opened, function)]

    def _tool_call_delta(self, event: JsonObject) -> list[StreamEvent]:
        _, function = _tool_call(event)
        if not function.get("arguments"):
            return []
        call = self._call_of(event)
        if call is None:
            raise BadAnswer("Cohere's stream holds arguments of a tool call that never began.")
        return self._arguments(call, function)

    def _arguments(self, call: _Call, function: JsonObject) -> list[StreamEvent]:
        text = function.get("arguments")
        if not text:
            return []
        if call.has_ended and not call.has_arguments:
            raise BadAnswer("Cohere's stream holds arguments of a tool call that has already ended without any.")
        call.has_arguments = True
        return [ToolCallDelta(call.number, str(text))]

    def _tool_call_end(self, event: JsonObject) -> list[StreamEvent]:
        call = self._call_of(event)
        return self._end(call) if call is not None else []

    def _end(self, call: _Call) -> list[StreamEvent]:
        """A call without arguments streams no delta; clients parse what they get, so it must be an object."""
        is_bare = not call.has_ended and not call.has_arguments
        call.has_ended = True
        return [ToolCallDelta(call.number, "{}")] if is_bare else []

    def _call_of(self, event: JsonObject) -> _Call | None:
        if isinstance(event.get("index"), int):
            return self._calls_by_index.get(event["index"])
        return self._calls[-1] if self._calls else None

    def _citation(self, event: JsonObject) -> list[StreamEvent]:
        raw = _message(event).get("citations")
        found: list[StreamEvent] = []
        for citation in [raw] if isinstance(raw, dict) else objects(raw, "citations"):
            self._citations.append(citation)
            readable = read_citation(citation, self._text_starts)
            if readable is not None:
                found.append(CitationFound(readable))
        return found

    def _message_end(self, event: JsonObject) -> list[StreamEvent]:
        delta = an_object(event.get("delta"))
        failure = read_failure(delta.get("finish_reason"), delta.get("error"))
        if failure is not None:
            return self._fail(failure)
        reason = read_finish_reason(delta.get("finish_reason"), has_tool_calls=bool(self._calls))
        events: list[StreamEvent] = []
        if reason == "tool_calls":
            events += [filled for call in self._calls for filled in self._end(call)]
        if self._citations:
            events.append(ExtraFields({"citations": self._citations}))
        events.append(Finish(reason))
        usage = read_usage(delta.get("usage"))
        if usage is not None:
            events.append(UsageReport(usage))
        self._is_over = True
        return [*events, StreamEnd()]

    _HANDLERS: ClassVar[dict[str, Callable[["StreamDecoder", JsonObject], list[StreamEvent]]]] = {
        "message-start": _message_start,
        "content-start": _content,
        "content-delta": _content,
        "tool-plan-delta": _tool_plan,
        "tool-call-start": _tool_call_start,
        "tool-call-delta": _tool_call_delta,
        "tool-call-end": _tool_call_end,
        "citation-start": _citation,
        "message-end": _message_end,
    }


def _message(event: JsonObject) -> JsonObject:
    return an_object(an_object(event.get("delta")).get("message"))


def _tool_call(event: JsonObject) -> tuple[JsonObject, JsonObject]:
    """The call of an event and its function; a list with one call is read like the call."""
    call = _message(event).get("tool_calls")
    if isinstance(call, list) and len(call) == 1:
        call = call[0]
    call = an_object(call)
    return call, an_object(call.get("function"))


def _index(event: JsonObject, *, default: int) -> int:
    index = event.get("index")
    return index if isinstance(index, int) else default


def _is_json(data: bytes) -> bool:
    try:
        orjson.loads(data)
    except orjson.JSONDecodeError:
        return False
    return True
