"""OpenAI's chat chunks → typed events, for clients of another dialect. Pure.

Tool calls are told apart by index, or by a new id at a used index, or by order where a server gives no index; roles, ids
and names that come with every chunk are taken once. A name may come in pieces, and after the first arguments.
"""

from dataclasses import dataclass
from typing import Any

from providers.dialects.openai_chat.answer import content_text, decode_citations, read_finish_reason
from providers.dialects.openai_chat.reasoning import block_of_call, decode_block
from providers.dialects.openai_chat.usage import read_usage
from providers.dialects.sse import SseDecoder, SseEvent, load_data
from providers.dialects.upstream_errors import error_of_object
from providers.errors import BadAnswer, UpstreamError
from providers.lenient import an_object, objects
from providers.types import (
    OWN_BLOCKS,
    CitationFound,
    ExtraFields,
    Finish,
    JsonObject,
    OwnBlock,
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

_TYPED = frozenset(
    {"id", "object", "created", "model", "choices", "usage", "system_fingerprint", "service_tier", "obfuscation"}
)


class StreamDecoder:
    """One per stream. A stream ends at `[DONE]`, or at the end of the body once every seen choice has finished."""

    def __init__(self) -> None:
        self._sse = SseDecoder()
        self._started = False
        self._over = False
        self._choices: dict[int, _Choice] = {}
        self.service_tier: str | None = None
        """As far as the stream has said it."""

    def feed(self, data: bytes) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        try:
            for event in self._sse.feed(data):
                if self._over:
                    break
                self._take(event, events)
        except UpstreamError as error:
            self._over = True
            events.append(StreamFailed(error))
        return events

    def close(self) -> list[StreamEvent]:
        if self._over:
            return []
        rest = self._sse.close()
        finished = bool(self._choices) and all(choice.finished for choice in self._choices.values())
        if finished or (rest is not None and rest.data.strip() == b"[DONE]"):
            return self._end()
        return []

    def _take(self, event: SseEvent, events: list[StreamEvent]) -> None:
        if event.data.startswith(b"[DONE]"):
            events += self._end()
            return
        chunk = load_data(event.data)
        if chunk.get("error") or event.event == "error":
            raise error_of_object(chunk)
        choices = chunk.get("choices")
        tier = chunk.get("service_tier")
        if isinstance(tier, str):
            self.service_tier = tier
        if not self._started and (chunk.get("id") or choices):
            self._started = True
            created = chunk.get("created")
            created = created if type(created) is int and created > 0 else None
            events.append(StreamStart(str(chunk.get("id") or ""), str(chunk.get("model") or ""), created))
        extra = {key: value for key, value in chunk.items() if key not in _TYPED and value is not None}
        if extra and choices:
            events.append(ExtraFields(extra))
        for choice in choices if isinstance(choices, list) else ():
            self._take_choice(choice, events)
        usage = read_usage(chunk.get("usage"))
        if usage is not None:
            events.append(UsageReport(usage))

    def _take_choice(self, raw: Any, events: list[StreamEvent]) -> None:
        if not isinstance(raw, dict):
            raise BadAnswer("The provider sent a stream chunk with malformed choices.")
        index = raw.get("index")
        index = index if isinstance(index, int) else 0
        choice = self._choices.setdefault(index, _Choice(index))
        delta = raw.get("delta")
        if isinstance(delta, dict):
            choice.take_delta(delta, events)
        reason = raw.get("finish_reason")
        if reason and not choice.finished:
            choice.finished = True
            choice.tell_calls(events)
            events.append(Finish(read_finish_reason(reason, has_tools=bool(choice.calls)), index))

    def _end(self) -> list[StreamEvent]:
        self._over = True
        events: list[StreamEvent] = []
        for choice in self._choices.values():
            choice.tell_calls(events)
            if not choice.finished:
                events.append(Finish("tool_calls" if choice.calls else "stop", choice.index))
        return [*events, StreamEnd()]


@dataclass(slots=True)
class _Call:
    id: str
    custom: bool
    name: str = ""
    arguments: str = ""
    """What came before the start was told."""
    is_told: bool = False


class _Choice:
    def __init__(self, index: int) -> None:
        self.index = index
        self.finished = False
        self.calls: list[_Call] = []
        self._numbers: dict[int, int] = {}

    def take_delta(self, delta: JsonObject, events: list[StreamEvent]) -> None:
        reasoning = delta.get("reasoning_content") or delta.get("reasoning")
        for value, kind in (
            (reasoning, ReasoningDelta),
            (content_text(delta.get("content")), TextDelta),
            (delta.get("refusal"), RefusalDelta),
        ):
            if isinstance(value, str) and value:
                events.append(kind(value, self.index))
        details = delta.get("reasoning_details")
        for detail in details if isinstance(details, list) else ():
            block = decode_block(detail) if isinstance(detail, dict) else None
            if block is not None and (block.signature or block.encrypted):
                events.append(ReasoningDone(block, self.index))
        events += [CitationFound(citation, self.index) for citation in decode_citations(delta.get("annotations"))]
        events += [OwnBlock(raw, self.index) for raw in objects(delta.get(OWN_BLOCKS))]
        old = delta.get("function_call")
        calls = [{"index": 0, "function": old}] if isinstance(old, dict) else delta.get("tool_calls")
        for call in calls if isinstance(calls, list) else ():
            if isinstance(call, dict):
                self._take_call(call, events)

    def _take_call(self, call: JsonObject, events: list[StreamEvent]) -> None:
        custom = isinstance(call.get("custom"), dict)
        inner = an_object(call.get("custom" if custom else "function"))
        number = self._number(call)
        if number is None:
            number = len(self.calls)
            self.calls.append(_Call(str(call.get("id") or f"call_{number}"), custom))
            if number == 0 and (signed := block_of_call(call)) is not None:
                events.append(ReasoningDone(signed, self.index))
        if type(call.get("index")) is int:
            self._numbers[call["index"]] = number
        known, name, text = self.calls[number], inner.get("name"), inner.get("input" if custom else "arguments")
        text = text if isinstance(text, str) else ""
        if known.is_told:
            if text:
                events.append(ToolCallDelta(number, text, self.index))
            return
        known.name += name if isinstance(name, str) and name != known.name else ""
        known.arguments += text
        if known.name and known.arguments:
            self.tell_calls(events, number)

    def tell_calls(self, events: list[StreamEvent], last: int | None = None) -> None:
        """Begins calls that have not begun: up to this one those with a name, in order; at the end of the choice all. A start
        waits for name and arguments, of which either may come first, and the name in pieces."""
        for number, call in enumerate(self.calls if last is None else self.calls[: last + 1]):
            if call.is_told or not (call.name or last is None):
                continue
            call.is_told = True
            events.append(ToolCallStart(number, call.id, call.name, call.custom, self.index))
            if call.arguments:
                events.append(ToolCallDelta(number, call.arguments, self.index))

    def _number(self, call: JsonObject) -> int | None:
        """Which call a delta continues; None for a new one."""
        identifier = call.get("id")
        if identifier:
            return next((number for number, known in enumerate(self.calls) if known.id == str(identifier)), None)
        if type(call.get("index")) is int:
            return self._numbers.get(call["index"])
        return len(self.calls) - 1 if self.calls else None
