"""The content blocks of one streamed answer: which are open, which tool call each one is. Pure."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

from providers.dialects.anthropic_messages.answer import UNTYPED_CONTENT, citation_of
from providers.dialects.anthropic_messages.arguments import arguments_from_object, object_from_arguments
from providers.dialects.anthropic_messages.messages import REASONING_FORMAT
from providers.errors import BadAnswer
from providers.types import (
    CitationFound,
    ExtraFields,
    JsonObject,
    OwnBlock,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningDone,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)


@dataclass(slots=True)
class Block:
    """`call` is the running number of a tool call; `pieces` are the fragments seen of what is needed again later."""

    kind: str
    raw: JsonObject
    text_start: int = 0
    call: int | None = None
    open: bool = True
    muted: bool = False
    signature: str = ""
    pieces: list[str] = field(default_factory=list)
    citations: list[Any] = field(default_factory=list)


class Content:
    """`calls` counts the tool calls, without the one that is the answer itself. `in_place`: blocks without a type are given
    where they stand, and where one text ends and another begins is told."""

    def __init__(self, json_tool: str | None, *, in_place: bool = False) -> None:
        self.calls = 0
        self._untyped: list[Any] = []
        self._json_tool = json_tool
        self._in_place = in_place
        self._blocks: dict[int, Block] = {}
        self._last = -1
        self._text_length = 0

    # ---------------------------------------------------------------------------------------------------- three events

    def start(self, index: Any, raw: JsonObject) -> list[StreamEvent]:
        index = index if type(index) is int else self._last + 1
        known = self._blocks.get(index)
        if known is not None and _same(known, raw):
            known.muted = not known.open and known.kind in ("tool", "json")
            return []
        events = self.stop(index)
        self._last = index
        return events + self._open(index, raw)

    def delta(self, index: Any, delta: JsonObject) -> list[StreamEvent]:
        index = index if type(index) is int else max(self._last, 0)
        kind, block = delta.get("type"), self._blocks.get(index)
        if kind == "text_delta" and block is not None and block.kind == "text" and block.open:
            # Nearly every event of a stream.
            return self._emit_text(str(delta.get("text") or ""))
        handler = self._DELTAS.get(str(kind))
        if block is not None and block.muted:
            return []
        untyped = block is not None and block.kind == "untyped" and kind != "input_json_delta"
        if handler is None or untyped:
            return self._keep({"type": "delta", "index": index, "delta": delta} if delta else None)
        return handler(self, index, delta)

    def stop(self, index: Any) -> list[StreamEvent]:
        block = self._blocks.get(index if type(index) is int else self._last)
        if block is None or not block.open:
            return []
        block.open = False
        return self._closing(block)

    def close(self) -> list[StreamEvent]:
        """The answer is complete: whatever is still open ends here, and what has no type is given at once."""
        events = [event for index in sorted(self._blocks) for event in self.stop(index)]
        return [*events, ExtraFields({UNTYPED_CONTENT: self._untyped})] if self._untyped else events

    # --------------------------------------------------------------------------------------------------------- opening

    def _open(self, index: int, raw: JsonObject) -> list[StreamEvent]:
        kind = self._kind(raw)
        block = self._blocks[index] = Block(kind=kind, raw=raw, text_start=self._text_length)
        match kind:
            case "text":
                return self._begin_text(index, raw)
            case "thinking":
                block.signature = str(raw.get("signature") or "")
                return self._thinking(index, raw)
            case "tool":
                block.call = self.calls
                self.calls += 1
                return [ToolCallStart(block.call, str(raw.get("id") or ""), str(raw.get("name") or ""))]
        return []

    def _kind(self, raw: JsonObject) -> str:
        kind = raw.get("type")
        if kind == "tool_use":
            return "json" if self._json_tool is not None and raw.get("name") == self._json_tool else "tool"
        return kind if kind in ("text", "thinking", "redacted_thinking") else "untyped"

    def _implied(self, index: int, kind: str) -> Block:
        """The block of a delta; one that was never started, or has ended, begins with its first delta."""
        block = self._blocks.get(index)
        if block is None or not block.open:
            self._last = index
            block = self._blocks[index] = Block(kind=kind, raw={"type": kind}, text_start=self._text_length)
        if block.kind != kind:
            raise BadAnswer(f"The provider sent a part of a {kind} block for block {index}, which is none.")
        return block

    # ---------------------------------------------------------------------------------------------------------- deltas

    def _begin_text(self, index: int, raw: JsonObject) -> list[StreamEvent]:
        cited = raw.get("citations") or ()
        if not self._in_place:
            self._blocks[index].citations.extend(cited)
            return self._text(index, raw)
        events: list[StreamEvent] = [OwnBlock({"type": "text"})] if self._text_length else []
        events += [OwnBlock({"type": "citation", "citation": found}) for found in cited]
        return events + self._text(index, raw)

    def _text(self, index: int, delta: JsonObject) -> list[StreamEvent]:
        self._implied(index, "text")
        return self._emit_text(str(delta.get("text") or ""))

    def _emit_text(self, text: str) -> list[StreamEvent]:
        self._text_length += len(text)
        return [TextDelta(text)] if text else []

    def _thinking(self, index: int, delta: JsonObject) -> list[StreamEvent]:
        text = str(delta.get("thinking") or "")
        self._implied(index, "thinking").pieces.append(text)
        return [ReasoningDelta(text)] if text else []

    def _signature(self, index: int, delta: JsonObject) -> list[StreamEvent]:
        self._implied(index, "thinking").signature += str(delta.get("signature") or "")
        return []

    def _citation(self, index: int, delta: JsonObject) -> list[StreamEvent]:
        block, found = self._implied(index, "text"), delta.get("citation")
        if self._in_place:
            return [OwnBlock({"type": "citation", "citation": found})]
        block.citations.append(found)
        return []

    def _arguments(self, index: int, delta: JsonObject) -> list[StreamEvent]:
        fragment = str(delta.get("partial_json") or "")
        block = self._blocks.get(index)
        if not fragment:
            return []
        if block is None or block.kind not in ("tool", "json", "untyped") or not block.open:
            raise BadAnswer(f"The provider sent tool arguments for block {index}, which is no open tool call.")
        block.pieces.append(fragment)
        if block.kind == "json":
            return self._emit_text(fragment)
        return [] if block.call is None else [ToolCallDelta(block.call, fragment)]

    # --------------------------------------------------------------------------------------------------------- closing

    def _closing(self, block: Block) -> list[StreamEvent]:
        match block.kind:
            case "text":
                return self._cited(block)
            case "thinking":
                text = "".join(block.pieces)
                done = ReasoningBlock(text=text, signature=block.signature or None, format=REASONING_FORMAT)
                return [ReasoningDone(done)] if text or block.signature else []
            case "redacted_thinking":
                data = str(block.raw.get("data") or "")
                return [ReasoningDone(ReasoningBlock(encrypted=data, format=REASONING_FORMAT))]
            case "tool" | "json":
                return self._whole_arguments(block)
        if block.pieces:
            block.raw = {**block.raw, "input": object_from_arguments("".join(block.pieces))}
        return self._keep(block.raw)

    def _whole_arguments(self, block: Block) -> list[StreamEvent]:
        """Arguments that came with the start, or `{}` for a call without any: no client parses the empty text."""
        if block.pieces:
            return []
        arguments = arguments_from_object(block.raw.get("input"))
        return self._emit_text(arguments) if block.call is None else [ToolCallDelta(block.call, arguments)]

    def _cited(self, block: Block) -> list[StreamEvent]:
        """Citations name the whole block, whose end is known only now."""
        events: list[StreamEvent] = []
        for raw in block.citations:
            citation = citation_of(raw, block.text_start, self._text_length)
            if citation is None:
                self._keep({"type": "citation", "citation": raw})
            else:
                events.append(CitationFound(citation))
        return events

    def _keep(self, raw: Any) -> list[StreamEvent]:
        if raw and self._in_place:
            return [OwnBlock(raw)]
        if raw:
            self._untyped.append(raw)
        return []

    _DELTAS: ClassVar[dict[str, Callable[["Content", int, JsonObject], list[StreamEvent]]]] = {
        "text_delta": _text,
        "thinking_delta": _thinking,
        "signature_delta": _signature,
        "input_json_delta": _arguments,
        "citations_delta": _citation,
    }


def _same(known: Block, raw: JsonObject) -> bool:
    """Whether a start repeats one already seen at this index: the same tool call, or the same kind still open."""
    if known.raw.get("type") != raw.get("type"):
        return False
    return known.raw.get("id") == raw.get("id") if known.kind in ("tool", "json") else known.open
