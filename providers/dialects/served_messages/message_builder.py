"""The typed events of a chat to those of a message stream, block by block. Pure.

Blocks of a message come one after the other, where a chat may tell of several calls in turns. So the first call is told as it
comes, and one that begins before it is complete waits for the end of it.
"""

from collections.abc import Callable, Iterator
from typing import Any

import orjson

from providers.dialects.anthropic_messages.answer import BLOCKS, STOP, STOPS, UNTYPED_CONTENT
from providers.dialects.anthropic_messages.arguments import object_from_arguments
from providers.dialects.anthropic_messages.messages import REASONING_FORMAT
from providers.dialects.openai_responses.carried_reasoning import packed
from providers.lenient import an_object, objects
from providers.types import (
    CitationFound,
    ExtraFields,
    Finish,
    FinishReason,
    JsonObject,
    OwnBlock,
    ReasoningBlock,
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
    Usage,
    UsageReport,
)

STOP_REASONS: dict[FinishReason, str] = {
    "stop": "end_turn",
    "length": "max_tokens",
    "tool_calls": "tool_use",
    "content_filter": "refusal",
}
PIECES = ("citation", "delta")
"""Of blocks that are told already."""
TYPED = ("text", "thinking", "redacted_thinking", "tool_use")


class MessageBuilder:
    """A message that grows with the typed events of a chat. Of several choices only the first is told. It begins with the
    tokens of the prompt: `likely_input`, unless the provider tells them first."""

    def __init__(self, message_id: str, model: str, *, likely_input: int = 0) -> None:
        self.message: JsonObject = {
            "id": message_id,
            "type": "message",
            "role": "assistant",
            "model": model,
            "content": [],
            "stop_reason": None,
            "stop_sequence": None,
            "usage": usage_of(Usage(input_tokens=likely_input)),
        }
        self.over = False
        self._begun = False
        self._reason: FinishReason = "stop"
        self._own_stop: JsonObject = {}
        self._open: JsonObject | None = None
        self._calls: dict[int, JsonObject] = {}
        self._arguments: dict[int, list[str]] = {}
        self._told = 0
        """How many calls are told, or are being told."""
        self._untyped: list[JsonObject] = []
        self._tells: dict[type, Callable[[Any], Iterator[JsonObject]]] = {
            TextDelta: self._text,
            RefusalDelta: self._refusal,
            ReasoningDelta: self._reasoning,
            ReasoningDone: self._reasoned,
            ToolCallStart: self._call,
            ToolCallDelta: self._argue,
            CitationFound: self._cite,
            OwnBlock: self._own,
        }

    def take(self, event: StreamEvent) -> Iterator[JsonObject]:
        """Raises the error of a stream that failed."""
        if self.over or (getattr(event, "choice", None) or 0) != 0:
            return
        if isinstance(event, StreamFailed):
            raise event.error
        if isinstance(event, StreamStart):
            self.message["model"] = event.model or self.message["model"]
        elif isinstance(event, StreamEnd):
            yield from self._end()
        elif type(event) in self._tells:
            yield from self._begin()
            yield from self._tells[type(event)](event)
        else:
            self._note(event)

    def _note(self, event: StreamEvent) -> None:
        if isinstance(event, UsageReport):
            self.message["usage"] = usage_of(event.usage)
        elif isinstance(event, Finish):
            # Who refuses may say that it stopped.
            self._reason = event.reason if self._reason != "content_filter" else self._reason
        elif isinstance(event, ExtraFields):
            found = objects(event.fields.get(BLOCKS) or event.fields.get(UNTYPED_CONTENT))
            self._untyped += [block for block in found if block.get("type") not in (*PIECES, *TYPED)]
            self._own_stop = an_object(event.fields.get(STOP)) or self._own_stop

    def _begin(self) -> Iterator[JsonObject]:
        if not self._begun:
            self._begun = True
            yield {"type": "message_start", "message": {**self.message, "content": []}}

    # ------------------------------------------------------------------------------------------------------ blocks

    def _text(self, event: TextDelta | RefusalDelta) -> Iterator[JsonObject]:
        block, begun = self._in("text", text="")
        yield from begun
        block["text"] += event.text
        yield self._delta("text_delta", text=event.text)

    def _refusal(self, event: RefusalDelta) -> Iterator[JsonObject]:
        self._reason = "content_filter"
        yield from self._text(event)

    def _reasoning(self, event: ReasoningDelta) -> Iterator[JsonObject]:
        block, begun = self._in("thinking", thinking="", signature="")
        yield from begun
        block["thinking"] += event.text
        yield self._delta("thinking_delta", thinking=event.text)

    def _reasoned(self, event: ReasoningDone) -> Iterator[JsonObject]:
        thought = event.block
        if thought.encrypted is not None and thought.format in (None, REASONING_FORMAT):
            yield from self._start_after_calls({"type": "redacted_thinking", "data": thought.encrypted})
        else:
            block, begun = self._in("thinking", thinking="", signature="")
            yield from begun
            block["signature"] = _signature(thought)
            yield self._delta("signature_delta", signature=block["signature"])
        yield from self._stop()

    def _cite(self, event: CitationFound) -> Iterator[JsonObject]:
        """In the text that is being told; who cites later cites nothing."""
        if self._open is not None and self._open["type"] == "text":
            found = event.citation
            place = {"type": "web_search_result_location", "url": found.url, "title": found.title or None}
            citation = {**place, "cited_text": "", "encrypted_index": ""}
            self._open.setdefault("citations", []).append(citation)
            yield self._delta("citations_delta", citation=citation)

    def _own(self, event: OwnBlock) -> Iterator[JsonObject]:
        """As Anthropic itself tells it."""
        kind, cited = event.raw.get("type"), event.raw.get("citation")
        if kind == "text" and self._open is not None and self._open["type"] == "text":
            # Another text begins.
            yield from self._stop()
        elif kind == "citation" and isinstance(cited, dict):
            block, begun = self._in("text", text="")
            yield from begun
            block.setdefault("citations", []).append(cited)
            yield self._delta("citations_delta", citation=cited)
        elif kind not in (*PIECES, *TYPED):
            yield from self._tell_waiting()
            yield from self._tell_own(event.raw)

    def _tell_own(self, block: JsonObject) -> Iterator[JsonObject]:
        asked = block.get("input")
        if not isinstance(asked, dict):
            yield from self._start(block)
            return
        # Clients put the input together from its pieces, as that of a call.
        yield from self._start({**block, "input": {}})
        yield self._delta("input_json_delta", partial_json=orjson.dumps(asked).decode())
        self.message["content"][-1]["input"] = asked

    # ------------------------------------------------------------------------------------------------------- calls

    def _call(self, event: ToolCallStart) -> Iterator[JsonObject]:
        self._calls[event.index] = {"type": "tool_use", "id": event.id, "name": event.name, "input": {}}
        self._arguments[event.index] = []
        is_telling = self._open is not None and self._open["type"] == "tool_use"
        if not is_telling or (event.index == self._told and self._is_complete(event.index - 1)):
            yield from self._tell_call()

    def _argue(self, event: ToolCallDelta) -> Iterator[JsonObject]:
        self._arguments[event.index].append(event.arguments)
        if self._open is self._calls[event.index]:
            yield self._delta("input_json_delta", partial_json=event.arguments)

    def _is_complete(self, index: int) -> bool:
        try:
            orjson.loads("".join(self._arguments[index]))
        except orjson.JSONDecodeError:
            return False
        return True

    def _tell_call(self) -> Iterator[JsonObject]:
        """Begins the next call that waits, with what has come of it. The one before ends first: its input is its own."""
        yield from self._stop()
        call, pieces = self._calls[self._told], self._arguments[self._told]
        self._told += 1
        yield from self._start(call)
        if pieces:
            yield self._delta("input_json_delta", partial_json="".join(pieces))

    def _tell_waiting(self) -> Iterator[JsonObject]:
        while self._told < len(self._calls):
            yield from self._tell_call()

    # ------------------------------------------------------------------------------------------- one after the other

    def _in(self, kind: str, **empty: str) -> tuple[JsonObject, Iterator[JsonObject]]:
        """The open block of that kind, or a new one and the events that begin it."""
        if self._open is not None and self._open["type"] == kind:
            return self._open, iter(())
        block: JsonObject = {"type": kind, **empty}
        return block, self._start_after_calls(block)

    def _start_after_calls(self, block: JsonObject) -> Iterator[JsonObject]:
        yield from self._tell_waiting()
        yield from self._start(block)

    def _start(self, block: JsonObject) -> Iterator[JsonObject]:
        yield from self._stop()
        self._open = block
        self.message["content"].append(block)
        yield {"type": "content_block_start", "index": self._index, "content_block": dict(block)}

    def _stop(self) -> Iterator[JsonObject]:
        block, self._open = self._open, None
        if block is not None:
            if block["type"] == "tool_use":
                # By the last that was told.
                block["input"] = object_from_arguments("".join(self._arguments[self._told - 1]))
            yield {"type": "content_block_stop", "index": self._index}

    @property
    def _index(self) -> int:
        return len(self.message["content"]) - 1

    def _delta(self, kind: str, **told: Any) -> JsonObject:
        return {"type": "content_block_delta", "index": self._index, "delta": {"type": kind, **told}}

    # ------------------------------------------------------------------------------------------------------ the end

    def _end(self) -> Iterator[JsonObject]:
        yield from self._begin()
        yield from self._tell_waiting()
        for block in self._untyped:
            yield from self._tell_own(block)
        yield from self._stop()
        self.over = True
        ended = {"stop_reason": STOP_REASONS[self._reason], "stop_sequence": None}
        if self._own_stop.get("stop_reason") in STOPS:
            ended |= {name: self._own_stop.get(name) for name in ended}
        self.message |= ended
        yield {"type": "message_delta", "delta": ended, "usage": self.message["usage"]}
        yield {"type": "message_stop"}


def _signature(thought: ReasoningBlock) -> str:
    """Another vendor's, or none, is packed whole: who sends it back has sent all of it back."""
    if thought.signature and thought.format in (None, REASONING_FORMAT):
        return thought.signature
    return packed((thought,))


def usage_of(usage: Usage) -> JsonObject:
    """Anthropic counts cached tokens beside the input tokens, we count them inside."""
    cached, written = usage.cached_tokens, usage.cache_write_tokens
    counts: JsonObject = {
        "input_tokens": max(0, usage.input_tokens - cached - written),
        "cache_creation_input_tokens": written,
        "cache_read_input_tokens": cached,
        "output_tokens": usage.output_tokens,
    }
    if usage.reasoning_tokens:
        counts["output_tokens_details"] = {"thinking_tokens": usage.reasoning_tokens}
    if usage.searches:
        counts["server_tool_use"] = {"web_search_requests": usage.searches, "web_fetch_requests": 0}
    return counts
