"""Chat frames to the events of a Responses stream, and a whole chat answer to a response object. Pure.

Both go the same way, so that an answer is the same whether it is streamed or not.
"""

from collections.abc import Callable, Generator, Iterator
from typing import Any

import orjson

from providers.dialects.chat_history import THOUGHT, without_thought
from providers.dialects.openai_responses.usage import encode_usage
from providers.dialects.served_chat import ServedChat, around, frame, whole_chat
from providers.dialects.served_responses.added_tools import SEARCH
from providers.dialects.served_responses.namespaces import names_in_namespaces
from providers.dialects.served_responses.output_items import (
    CallItem,
    MessageItem,
    OutputItem,
    ReasoningItem,
    SearchCallItem,
)
from providers.dialects.sse import parse_block
from providers.lenient import an_object, objects
from providers.types import (
    CitationFound,
    ExtraFields,
    Finish,
    FinishReason,
    JsonObject,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    UsageReport,
)

FAILED_WITH = frozenset({"server_error", "rate_limit_exceeded"})
"""Codes that a failed response may have, of those that a failure can have here."""
STATUS: dict[FinishReason, tuple[str, JsonObject | None]] = {
    "stop": ("completed", None),
    "tool_calls": ("completed", None),
    "length": ("incomplete", {"reason": "max_output_tokens"}),
    "content_filter": ("incomplete", {"reason": "content_filter"}),
}


class ResponseBuilder:
    """A response that grows with the typed events of a chat. Of several choices only the first is told."""

    def __init__(self, opening: JsonObject) -> None:
        self.response = opening
        self._own = frozenset(opening)
        self._namespaced = names_in_namespaces(opening["tools"])
        self._searches_tools = any(tool["type"] == SEARCH for tool in opening["tools"])
        self.over = False
        self.logprobs: list[JsonObject] = []
        self._begun = False
        self._number = 0
        self._reason: FinishReason = "stop"
        self._open: OutputItem | None = None
        self._calls: dict[int, CallItem | SearchCallItem] = {}
        self._message: MessageItem | None = None
        self._sources: list[CitationFound] = []
        self._told: dict[type, Callable[[Any], Iterator[JsonObject]]] = {
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ReasoningDelta: self._reasoning,
            ReasoningDone: self._reasoned,
            ToolCallStart: self._call,
            ToolCallDelta: self._arguments,
            CitationFound: self._cite,
        }

    def take(self, event: StreamEvent) -> Iterator[JsonObject]:
        if self.over or _choice_of(event) != 0:
            return
        if isinstance(event, StreamFailed):
            yield from self.fail(event.error)
        elif isinstance(event, StreamStart):
            yield from self._begin(event.model)
        elif isinstance(event, StreamEnd):
            yield from self._end()
        elif type(event) in self._told:
            yield from self._begin()
            for told in self._told[type(event)](event):
                yield self._numbered(told)
        else:
            self._note(event)

    def _note(self, event: StreamEvent) -> None:
        if isinstance(event, UsageReport):
            self.response["usage"] = encode_usage(event.usage)
        elif isinstance(event, Finish):
            self._reason = event.reason
        elif isinstance(event, ExtraFields):
            # Fields that a provider's own clients know, such as `search_results`, never in the place of the API's.
            self.response |= {name: value for name, value in event.fields.items() if name not in self._own}

    def fail(self, error: Any, request_id: str | None = None) -> Iterator[JsonObject]:
        """`error` has a code and a message. The official client raises what the first of the two events says; others
        wait for the second, which ends the stream."""
        if self.over:
            return
        yield from self._begin()
        self.over = True
        said = {"code": error.code, "message": error.message, "param": error.param}
        raised = {"type": error.type, **said} | ({"request_id": request_id} if request_id else {})
        yield self._numbered({"type": "error", **said, "error": raised})
        for _ in self._close_all("incomplete"):
            pass
        code = error.code if error.code in FAILED_WITH else "server_error"
        self.response |= {"status": "failed", "error": {"code": code, "message": error.message}}
        yield self._numbered({"type": "response.failed", "response": self.response})

    def _numbered(self, event: JsonObject) -> JsonObject:
        event["sequence_number"] = self._number
        self._number += 1
        return event

    def _begin(self, model: str = "") -> Iterator[JsonObject]:
        if self._begun:
            return
        self._begun = True
        if model:
            self.response["model"] = model
        for kind in ("response.created", "response.in_progress"):
            yield self._numbered({"type": kind, "response": {**self.response, "output": []}})

    # ------------------------------------------------------------------------------------------------------ items

    def _text(self, event: TextDelta) -> Iterator[JsonObject]:
        message = yield from self._in_message()
        logprobs, self.logprobs = self.logprobs, []
        yield from message.text(event.text, logprobs)
        yield from self._cite_sources()

    def _refusal(self, event: RefusalDelta) -> Iterator[JsonObject]:
        message = yield from self._in_message()
        yield from message.refusal(event.text)

    def _reasoning(self, event: ReasoningDelta) -> Iterator[JsonObject]:
        item = yield from self._in_reasoning()
        yield from item.text(event.text)

    def _reasoned(self, event: ReasoningDone) -> Iterator[JsonObject]:
        item = yield from self._in_reasoning()
        item.keep(event.block)

    def _call(self, event: ToolCallStart) -> Iterator[JsonObject]:
        """Calls stay open until the end, since pieces of several may come in turns."""
        yield from self._close_open()
        self._calls[event.index] = call = self._item_of(event)
        yield self._add(call)

    def _item_of(self, event: ToolCallStart) -> CallItem | SearchCallItem:
        if self._searches_tools and event.name == SEARCH:
            return SearchCallItem(*self._next("tsc"), call_id=event.id)
        item_id, index = self._next("ctc" if event.custom else "fc")
        namespace, name = self._namespaced.get(event.name, (None, event.name))
        return CallItem(item_id, index, call_id=event.id, name=name, namespace=namespace, custom=event.custom)

    def _arguments(self, event: ToolCallDelta) -> Iterator[JsonObject]:
        yield from self._calls[event.index].arguments(event.arguments)

    def _cite(self, event: CitationFound) -> Iterator[JsonObject]:
        self._sources.append(event)
        if self._message is not None:
            yield from self._cite_sources()

    def _cite_sources(self) -> Iterator[JsonObject]:
        sources, self._sources = self._sources, []
        for source in sources:
            assert self._message is not None
            yield from self._message.cite(source.citation)

    def _in_message(self) -> Generator[JsonObject, None, MessageItem]:
        if isinstance(self._open, MessageItem):
            return self._open
        yield from self._close_open()
        self._message = self._open = message = MessageItem(*self._next("msg"))
        yield self._add(message)
        return message

    def _in_reasoning(self) -> Generator[JsonObject, None, ReasoningItem]:
        if isinstance(self._open, ReasoningItem):
            return self._open
        yield from self._close_open()
        self._open = item = ReasoningItem(*self._next("rs"))
        yield self._add(item)
        return item

    def _next(self, prefix: str) -> tuple[str, int]:
        index = len(self.response["output"])
        return f"{prefix}_{self.response['id'].removeprefix('resp_')}_{index}", index

    def _add(self, item: OutputItem) -> JsonObject:
        self.response["output"].append(item.item)
        return item.added()

    def _close_open(self, status: str = "completed") -> Iterator[JsonObject]:
        item, self._open = self._open, None
        if item is not None:
            yield from item.close(status)

    def _close_all(self, status: str) -> Iterator[JsonObject]:
        yield from self._close_open(status)
        for call in self._calls.values():
            yield from call.close(status)

    # ------------------------------------------------------------------------------------------------------ the end

    def _end(self) -> Iterator[JsonObject]:
        yield from self._begin()
        for told in self._last_items():
            yield self._numbered(told)
        self.over = True
        yield self._numbered({"type": f"response.{self.response['status']}", "response": self.response})

    def _last_items(self) -> Iterator[JsonObject]:
        status, details = STATUS[self._reason]
        if self._message is None and not self._calls and (self._sources or status == "completed"):
            message = yield from self._in_message()
            yield from message.begin_text()
            yield from self._cite_sources()
        yield from self._close_all(status)
        self.response |= {"status": status, "incomplete_details": details}


class ServedStream(ServedChat):
    def __init__(self, opening: JsonObject, *, logprobs: bool) -> None:
        super().__init__()
        self._builder = ResponseBuilder(opening)
        self._wants_logprobs = logprobs

    def fail(self, error: Any, request_id: str = "") -> bytes:
        return b"".join(map(frame, self._builder.fail(error, request_id)))

    def whole(self, body: bytes) -> JsonObject:
        answer = whole_chat(body)
        choice, head = answer["choices"][0], around(answer)
        message, builder = choice["message"], self._builder
        if self._wants_logprobs:
            builder.logprobs = _content_of(choice.get("logprobs"))
        thought = {name: message[name] for name in THOUGHT if message.get(name)}
        said = without_thought(message)
        chunks = [
            {**head, "choices": [{"index": 0, "delta": thought}]},
            {**head, "choices": [{"index": 0, "delta": said, "finish_reason": choice.get("finish_reason")}]},
            {**head, "choices": [], "usage": answer.get("usage")},
        ]
        for data in (*map(orjson.dumps, chunks), b"[DONE]"):
            for event in self._chat.feed(b"data: %b\n\n" % data):
                if isinstance(event, StreamFailed):
                    raise event.error
                for _ in builder.take(event):
                    pass
        builder.response["service_tier"] = self._chat.service_tier
        return builder.response

    def _block(self, block: bytes) -> bytes:
        if self._wants_logprobs and not block.startswith(b":"):
            self._builder.logprobs = _logprobs(block)
        return super()._block(block)

    def _write(self, events: list[StreamEvent]) -> bytes:
        self._builder.response["service_tier"] = self._chat.service_tier
        return b"".join([frame(told) for event in events for told in self._builder.take(event)])


def _choice_of(event: StreamEvent) -> Any:
    return getattr(event, "choice", None) or 0


def _logprobs(block: bytes) -> list[JsonObject]:
    """Of the first choice of one chunk."""
    event = parse_block(block)
    try:
        chunk = orjson.loads(event.data) if event is not None else None
    except orjson.JSONDecodeError:
        return []
    match chunk:
        case {"choices": [{"logprobs": logprobs}, *_]}:
            return _content_of(logprobs)
    return []


def _content_of(logprobs: Any) -> list[JsonObject]:
    return objects(an_object(logprobs).get("content"))
