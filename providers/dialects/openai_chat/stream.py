"""Typed events → OpenAI's chat chunks. Pure.

What client libraries need: `role`, a call's `id` and `name` once only (they concatenate strings), an `index` in every
entry of a list that comes in pieces, in order from 0, the usage chunk last.
"""

import orjson

from providers.dialects.openai_chat.answer import encode_citation
from providers.dialects.openai_chat.reasoning import encode_block
from providers.dialects.openai_chat.usage import write_usage
from providers.dialects.sse import DONE
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
    StreamStart,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
)


class StreamEncoder:
    """One per stream. `model` and `created` stand in for what the provider's stream does not say."""

    def __init__(self, *, model: str, created: int, include_usage: bool) -> None:
        self._names: JsonObject = {
            "id": f"chatcmpl-{created}",
            "object": "chat.completion.chunk",
            "created": created,
            "model": model,
        }
        self._include_usage = include_usage
        self._usage: Usage | None = None
        self._extra: JsonObject = {}
        self._open: dict[int, dict[int, _Call]] = {}
        self._finished: set[int] = set()
        self._text_heads: dict[int, bytes] = {}
        self._listed: dict[tuple[str, int], int] = {}

    def encode(self, event: StreamEvent) -> bytes:
        if isinstance(event, TextDelta):
            return self._text(event)
        if isinstance(event, ToolCallDelta):
            return self._tool_delta(event)
        if isinstance(event, StreamStart):
            return self._start(event)
        if isinstance(event, UsageReport):
            self._usage = event.usage
        elif isinstance(event, ExtraFields):
            self._extra |= event.fields
        elif isinstance(event, StreamEnd):
            return self._end()
        elif isinstance(event, Finish):
            return self._finish(event)
        else:
            return self._rare(event)
        return b""

    def usage_frame(self, usage: Usage) -> bytes:
        return b"data: " + orjson.dumps({**self._names, "choices": [], "usage": write_usage(usage)}) + b"\n\n"

    def _start(self, event: StreamStart) -> bytes:
        named = {"id": event.id, "created": event.created, "model": event.model}
        self._names |= {key: value for key, value in named.items() if value}
        return self._open_choice(0)

    def _open_choice(self, choice: int) -> bytes:
        """The chunk that says the role, before anything else of a choice."""
        if choice in self._open:
            return b""
        self._open[choice] = {}
        return self._chunk({"role": "assistant", "content": ""}, choice)

    def _text(self, event: TextDelta) -> bytes:
        """By far the most frequent event: its frame is put together from ready-made bytes."""
        if not event.text:
            return b""
        if self._extra or event.choice not in self._open:
            return self._open_choice(event.choice) + self._chunk({"content": event.text}, event.choice)
        head = self._text_heads.get(event.choice)
        if head is None:
            names = orjson.dumps(self._names)[:-1]
            head = b'data: %b,"choices":[{"index":%d,"delta":{"content":' % (names, event.choice)
            self._text_heads[event.choice] = head
        return head + orjson.dumps(event.text) + b'},"logprobs":null,"finish_reason":null}]}\n\n'

    def _tool_delta(self, event: ToolCallDelta) -> bytes:
        opened = self._open_choice(event.choice)
        call = self._open[event.choice].get(event.index)
        if call is None or not event.arguments:
            return opened
        call.has_arguments = True
        inner = {"input": event.arguments} if call.custom else {"arguments": event.arguments}
        delta = {"index": event.index, "custom" if call.custom else "function": inner}
        return opened + self._chunk({"tool_calls": [delta]}, event.choice)

    def _rare(self, event: StreamEvent) -> bytes:
        if isinstance(event, ToolCallStart):
            return self._open_choice(event.choice) + self._tool_start(event)
        if isinstance(event, ReasoningDelta):
            delta: JsonObject = {"reasoning_content": event.text} if event.text else {}
        elif isinstance(event, ReasoningDone):
            delta = self._entry("reasoning_details", encode_block(event.block), event.choice)
        elif isinstance(event, RefusalDelta):
            delta = {"refusal": event.text} if event.text else {}
        elif isinstance(event, CitationFound):
            delta = self._entry("annotations", encode_citation(event.citation), event.choice)
        elif isinstance(event, OwnBlock):
            delta = {OWN_BLOCKS: [event.raw]}
        else:
            return b""
        return self._open_choice(event.choice) + self._chunk(delta, event.choice) if delta else b""

    def _entry(self, name: str, entry: JsonObject, choice: int) -> JsonObject:
        number = self._listed.get((name, choice), 0)
        self._listed[name, choice] = number + 1
        return {name: [{"index": number, **entry}]}

    def _tool_start(self, event: ToolCallStart) -> bytes:
        calls = self._open[event.choice]
        if event.index in calls:
            return b""
        calls[event.index] = _Call(custom=event.custom)
        kind = "custom" if event.custom else "function"
        inner = {"name": event.name, "input" if event.custom else "arguments": ""}
        delta = {"index": event.index, "id": event.id, "type": kind, kind: inner}
        return self._chunk({"tool_calls": [delta]}, event.choice)

    def _finish(self, event: Finish) -> bytes:
        if event.choice in self._finished:
            return b""
        self._finished.add(event.choice)
        frames = [self._open_choice(event.choice)]
        for index, call in self._open[event.choice].items():
            if not call.has_arguments and not call.custom:
                frames.append(self._tool_delta(ToolCallDelta(index, "{}", event.choice)))
        frames.append(self._chunk({}, event.choice, event.reason))
        return b"".join(frames)

    def _end(self) -> bytes:
        frames = [
            self._finish(Finish("tool_calls" if calls else "stop", choice))
            for choice, calls in list(self._open.items())
            if choice not in self._finished
        ]
        if self._extra:
            frames.append(self._chunk({}, 0))
        if self._include_usage and self._usage is not None:
            frames.append(self.usage_frame(self._usage))
        return b"".join(frames) + DONE

    def _chunk(self, delta: JsonObject, choice: int, reason: str | None = None) -> bytes:
        extra, self._extra = self._extra, {}
        choices = [{"index": choice, "delta": delta, "logprobs": None, "finish_reason": reason}]
        return b"data: " + orjson.dumps({**extra, **self._names, "choices": choices}) + b"\n\n"


class _Call:
    __slots__ = ("custom", "has_arguments")

    def __init__(self, *, custom: bool) -> None:
        self.custom = custom
        self.has_arguments = False
