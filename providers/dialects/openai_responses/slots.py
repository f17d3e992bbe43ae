"""What a Responses stream has said so far of each output item, and which events that makes. Pure.

The same text may come as deltas, in `done` events, in the finished item and in the final answer. Each place is asked
only for what was not said before, so that nothing is said twice and nothing is lost when a place is left out.
"""

from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from providers.dialects.openai_responses.citations import decode_annotation, has_address
from providers.types import (
    Citation,
    CitationFound,
    JsonObject,
    ReasoningDelta,
    RefusalDelta,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
)


@dataclass
class Said:
    """A text as far as it was passed on. After `done` it is whole: what comes later repeats it.

    Its pieces are put together only when somebody asks, so that a long text is not copied with every delta.
    """

    pieces: list[str] = field(default_factory=list)
    length: int = 0
    done: bool = False
    start: int = 0
    """Where it begins in the whole answer, in characters."""

    @property
    def text(self) -> str:
        if len(self.pieces) > 1:
            self.pieces = ["".join(self.pieces)]
        return self.pieces[0] if self.pieces else ""

    def add(self, delta: str) -> str:
        if self.done:
            return ""
        self.pieces.append(delta)
        self.length += len(delta)
        return delta

    def finish(self, whole: str | None) -> str:
        """What of the whole text was not passed on yet. Where the two disagree, the deltas stand: they were seen."""
        if self.done:
            return ""
        rest = whole[self.length :] if whole is not None and whole.startswith(self.text) else ""
        self.add(rest)
        self.done = True
        return rest


@dataclass
class CallSlot:
    """One tool call. Its arguments wait until the name is known, because the start has to come first."""

    index: int
    custom: bool = False
    id: str = ""
    name: str = ""
    started: bool = False
    arguments: Said = field(default_factory=Said)

    def learn(self, item: JsonObject) -> list[StreamEvent]:
        self.custom = self.custom or item.get("type") == "custom_tool_call"
        self.id = self.id or str(item.get("call_id") or item.get("id") or "")
        self.name = self.name or str(item.get("name") or "")
        return self._start()

    def add(self, delta: str) -> list[StreamEvent]:
        return self._pass_on(self.arguments.add(delta))

    def finish(self, whole: object) -> list[StreamEvent]:
        """No arguments at all are `{}`."""
        rest = self.arguments.finish(whole if isinstance(whole, str) else None)
        if not self.arguments.length and not self.custom:
            rest = "{}"
            self.arguments = Said(pieces=[rest], length=len(rest), done=True)
        return self._pass_on(rest)

    def _start(self) -> list[StreamEvent]:
        if self.started or not self.name:
            return []
        self.started = True
        start = ToolCallStart(self.index, self.id or f"call_{self.index}", self.name, self.custom)
        return [start, *self._pass_on(self.arguments.text)]

    def _pass_on(self, text: str) -> list[StreamEvent]:
        return [ToolCallDelta(self.index, text)] if text and self.started else []


@dataclass
class MessageSlot:
    """One message item: texts and refusals by content index. `announced` by its beginning or by a delta."""

    announced: bool = False
    parts: dict[int, Said] = field(default_factory=dict)
    refusals: dict[int, Said] = field(default_factory=dict)

    def text(self, content_index: int, start: int) -> Said:
        return self.parts.setdefault(content_index, Said(start=start))

    def refusal(self, content_index: int) -> Said:
        return self.refusals.setdefault(content_index, Said())

    def finish_part(self, content_index: int, part: object, start: int) -> list[StreamEvent]:
        match part:
            case {"type": "output_text" | "text", "text": str(text)}:
                rest = self.text(content_index, start).finish(text)
                return [TextDelta(rest)] if rest else []
            case {"type": "refusal", "refusal": str(text)}:
                rest = self.refusal(content_index).finish(text)
                return [RefusalDelta(rest)] if rest else []
        return []


@dataclass
class ReasoningSlot:
    """One reasoning item. A summary and the reasoning itself say the same: the kind that comes first is shown."""

    kind: str = ""
    parts: dict[int, Said] = field(default_factory=dict)
    done: bool = False

    def add(self, kind: str, place: int, delta: str) -> list[StreamEvent]:
        if not self._shows(kind):
            return []
        gap = self._gap(place)
        text = self.parts.setdefault(place, Said()).add(delta)
        return [ReasoningDelta(gap + text)] if text else []

    def finish(self, kind: str, place: int, whole: object) -> list[StreamEvent]:
        if not isinstance(whole, str) or not self._shows(kind):
            return []
        gap = self._gap(place)
        text = self.parts.setdefault(place, Said()).finish(whole)
        return [ReasoningDelta(gap + text)] if text else []

    def _shows(self, kind: str) -> bool:
        self.kind = self.kind or kind
        return self.kind == kind

    def _gap(self, place: int) -> str:
        """Paragraphs are parted by a blank line."""
        known = place in self.parts and self.parts[place].length
        return "\n\n" if not known and any(part.length for part in self.parts.values()) else ""


@dataclass
class Citations:
    """Those passed on, so that a repeated annotation is passed on once."""

    seen: set[Citation] = field(default_factory=set)

    def add(self, annotation: object, *, offset: int) -> list[StreamEvent]:
        if not isinstance(annotation, dict) or not has_address(annotation):
            return []
        return self.found(decode_annotation(annotation, offset=offset))

    def found(self, citation: Citation) -> list[StreamEvent]:
        if citation in self.seen:
            return []
        self.seen.add(citation)
        return [CitationFound(citation)]


Slot: TypeAlias = MessageSlot | CallSlot | ReasoningSlot
S = TypeVar("S", MessageSlot, CallSlot, ReasoningSlot)


@dataclass
class _Entry:
    slot: Slot
    id: str | None
    index: int | None


@dataclass
class Slots:
    """The output items of one stream. An item's id tells it apart from others; its output index, where it has none."""

    entries: list[_Entry] = field(default_factory=list)

    def of(self, kind: type[S]) -> list[S]:
        return [entry.slot for entry in self.entries if isinstance(entry.slot, kind)]

    def find(self, kind: type[S], item_id: object, index: object) -> S | None:
        """The item an event is about. An event that names none is about the latest of its kind."""
        item_id = item_id if isinstance(item_id, str) and item_id else None
        index = index if isinstance(index, int) else None
        fallback: S | None = None
        for entry in reversed(self.entries):
            if not isinstance(entry.slot, kind):
                continue
            if item_id is not None and entry.id == item_id:
                return entry.slot
            if fallback is None and self._may_be(entry, item_id, index):
                fallback = entry.slot
        return fallback

    @staticmethod
    def _may_be(entry: _Entry, item_id: str | None, index: int | None) -> bool:
        """A new id at a used index is another item: some upstreams count every call 0."""
        if item_id is not None and entry.id is not None:
            return False
        return index is None or entry.index is None or entry.index == index

    def add(self, slot: S, item_id: object, index: object) -> S:
        known_id = item_id if isinstance(item_id, str) and item_id else None
        self.entries.append(_Entry(slot, known_id, index if isinstance(index, int) else None))
        return slot
