"""What a Responses stream has said so far, event by event. Sans-I/O; the bytes are `stream.py`'s.

Every piece of the answer may come more than once: as deltas, when its part, its item, and the whole answer are done.
Each of these is asked only for what was not passed on before.
"""

from collections.abc import Callable

from providers.dialects.openai_responses.answer import CALLS, finish_reason, read_output
from providers.dialects.openai_responses.citations import marked_citations, numbered, search_fields
from providers.dialects.openai_responses.errors import classify_error, error_in
from providers.dialects.openai_responses.items import decode_reasoning
from providers.dialects.openai_responses.slots import CallSlot, Citations, MessageSlot, ReasoningSlot, Said, Slots
from providers.dialects.openai_responses.usage import decode_usage, is_search
from providers.errors import BadAnswer, UpstreamError
from providers.lenient import a_list, an_object, objects
from providers.types import (
    ExtraFields,
    Finish,
    JsonObject,
    ReasoningBlock,
    ReasoningDelta,
    ReasoningDone,
    RefusalDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    StreamStart,
    TextDelta,
    UsageReport,
)


class Progress:
    """`on` raises `BadAnswer` for an end that would lose something. `ended` is true after the last event."""

    def __init__(self) -> None:
        self.ended = False
        self._started = False
        self._slots = Slots()
        self._text = Said()
        self._where: tuple[object, object, object] | None = None
        self._part = Said()
        self._refusal = Said()
        self._thought = False
        self._blocks: set[str] = set()
        self._citations = Citations()
        self._results: list[JsonObject] = []
        self._searches = 0

    def on(self, kind: str, body: JsonObject) -> list[StreamEvent]:
        if kind in ("response.failed", "error", "response.cancelled") or (body.get("error") and "response" not in body):
            return self._fail(body)
        handler = HANDLERS.get(kind)
        events = handler(self, body) if handler is not None else []
        if events and not self._started and not isinstance(events[-1], StreamFailed):
            self._started = True
            events.insert(0, _start(an_object(body.get("response"))))
        return events

    # ------------------------------------------------------------------------------------------------ the beginning

    def _on_created(self, body: JsonObject) -> list[StreamEvent]:
        response = body.get("response")
        if self._started or not isinstance(response, dict):
            return []
        self._started = True
        return [_start(response)]

    # --------------------------------------------------------------------------------------------------------- items

    def _on_item_added(self, body: JsonObject) -> list[StreamEvent]:
        item = an_object(body.get("item"))
        if item.get("type") in CALLS:
            return self._call(item, body.get("output_index"), is_added=True).learn(item)
        if item.get("type") == "message":
            self._message({"item_id": item.get("id"), "output_index": body.get("output_index")}).announced = True
        return []

    def _on_item_done(self, body: JsonObject) -> list[StreamEvent]:
        item = an_object(body.get("item"))
        kind, index = item.get("type"), body.get("output_index")
        if kind in CALLS:
            call = self._call(item, index)
            return [*call.learn(item), *call.finish(item.get("input" if call.custom else "arguments"))]
        if kind == "message":
            parts = enumerate(a_list(item.get("content")))
            slot = self._message({"item_id": item.get("id"), "output_index": index})
            return [event for place, part in parts for event in self._finish_part(slot, place, part)]
        if kind == "reasoning":
            return self._finish_reasoning(item, index)
        if kind == "search_results":
            self._found(objects(item.get("results")))
        elif is_search(item):
            self._searches += 1
        return []

    def _call(self, item: JsonObject, index: object, *, is_added: bool = False) -> CallSlot:
        item_id = item.get("id") or item.get("call_id")
        slot = self._slots.find(CallSlot, item_id, index) if item_id or isinstance(index, int) or not is_added else None
        if slot is None:
            slot = self._slots.add(CallSlot(len(self._slots.of(CallSlot))), item_id, index)
        return slot

    # ---------------------------------------------------------------------------------------------------------- text

    def _message(self, body: JsonObject) -> MessageSlot:
        self._where = None
        item_id, index = body.get("item_id"), body.get("output_index")
        slot = self._slots.find(MessageSlot, item_id, index)
        return slot if slot is not None else self._slots.add(MessageSlot(), item_id, index)

    def _on_text(self, body: JsonObject) -> list[StreamEvent]:
        delta = body.get("delta")
        if not isinstance(delta, str) or not delta:
            return []
        where = (body.get("item_id"), body.get("output_index"), body.get("content_index"))
        if where != self._where:
            slot = self._message(body)
            slot.announced = True
            self._where, self._part = where, slot.text(_place(body, "content_index"), self._text.length)
        if not self._part.add(delta):
            return []
        self._text.add(delta)
        return [TextDelta(delta)]

    def _on_text_done(self, body: JsonObject) -> list[StreamEvent]:
        part = {"type": "output_text", "text": body.get("text"), "annotations": body.get("annotations")}
        return self._finish_part(self._message(body), _place(body, "content_index"), part)

    def _on_part_done(self, body: JsonObject) -> list[StreamEvent]:
        return self._finish_part(self._message(body), _place(body, "content_index"), body.get("part"))

    def _on_refusal(self, body: JsonObject) -> list[StreamEvent]:
        delta = body.get("delta")
        if not isinstance(delta, str) or not delta:
            return []
        text = self._message(body).refusal(_place(body, "content_index")).add(delta)
        return self._say([RefusalDelta(text)] if text else [])

    def _on_refusal_done(self, body: JsonObject) -> list[StreamEvent]:
        part = {"type": "refusal", "refusal": body.get("refusal")}
        return self._finish_part(self._message(body), _place(body, "content_index"), part)

    def _finish_part(self, slot: MessageSlot, place: int, part: object) -> list[StreamEvent]:
        if not slot.announced and self._was_said(part):
            return []
        events = self._say(slot.finish_part(place, part, self._text.length))
        annotations = part.get("annotations") if isinstance(part, dict) else None
        if isinstance(annotations, list):
            offset = slot.text(place, self._text.length).start
            events.extend(e for each in annotations for e in self._citations.add(each, offset=offset))
        return events

    def _was_said(self, part: object) -> bool:
        """An item that nothing announced, with the words just said, is the same item under another name."""
        text = part.get("text") if isinstance(part, dict) else None
        return isinstance(text, str) and bool(text) and self._text.text.endswith(text)

    def _say(self, events: list[StreamEvent]) -> list[StreamEvent]:
        for event in events:
            if isinstance(event, TextDelta):
                self._text.add(event.text)
            elif isinstance(event, RefusalDelta):
                self._refusal.add(event.text)
        return events

    def _on_annotation(self, body: JsonObject) -> list[StreamEvent]:
        part = self._message(body).text(_place(body, "content_index"), self._text.length)
        return self._citations.add(body.get("annotation"), offset=part.start)

    # --------------------------------------------------------------------------------------------------------- calls

    def _on_arguments(self, body: JsonObject) -> list[StreamEvent]:
        delta = body.get("delta")
        call = self._call_of(body)
        return call.add(delta) if isinstance(delta, str) else []

    def _on_arguments_done(self, body: JsonObject) -> list[StreamEvent]:
        call = self._call_of(body)
        whole = body.get("arguments") if "arguments" in body else body.get("input")
        return [*call.learn({"name": body.get("name")}), *call.finish(whole)]

    def _call_of(self, body: JsonObject) -> CallSlot:
        return self._call({"id": body.get("item_id")}, body.get("output_index"))

    # ----------------------------------------------------------------------------------------------------- reasoning

    def _reasoning(self, item_id: object, index: object) -> ReasoningSlot:
        slot = self._slots.find(ReasoningSlot, item_id, index)
        return slot if slot is not None else self._slots.add(ReasoningSlot(), item_id, index)

    def _on_summary(self, body: JsonObject) -> list[StreamEvent]:
        return self._think("summary", _place(body, "summary_index"), body)

    def _on_reasoning_text(self, body: JsonObject) -> list[StreamEvent]:
        return self._think("content", _place(body, "content_index"), body)

    def _think(self, kind: str, place: int, body: JsonObject) -> list[StreamEvent]:
        slot = self._reasoning(body.get("item_id"), body.get("output_index"))
        delta = body.get("delta")
        if isinstance(delta, str):
            return self._thought_events(slot.add(kind, place, delta))
        return self._thought_events(slot.finish(kind, place, body.get("text")))

    def _thought_events(self, events: list[StreamEvent]) -> list[StreamEvent]:
        self._thought = self._thought or bool(events)
        return events

    def _finish_reasoning(self, item: JsonObject, index: object) -> list[StreamEvent]:
        slot = self._reasoning(item.get("id"), index)
        kind = "summary" if item.get("summary") else "content"
        events: list[StreamEvent] = []
        for place, part in enumerate(item.get(kind) or []):
            events += slot.finish(kind, place, part.get("text") if isinstance(part, dict) else None)
        return [*self._thought_events(events), *self._replayable(decode_reasoning(item))]

    def _replayable(self, block: ReasoningBlock) -> list[StreamEvent]:
        """Only an encrypted block can be replayed, and each is handed out once."""
        if block.encrypted is None or block.encrypted in self._blocks:
            return []
        self._blocks.add(block.encrypted)
        return [ReasoningDone(block)]

    def _on_thought(self, body: JsonObject) -> list[StreamEvent]:
        """Perplexity's account of its search: a thought, and maybe what was found."""
        self._found(objects(body.get("results")))
        thought = body.get("thought")
        return [ReasoningDelta(thought)] if isinstance(thought, str) and thought else []

    def _found(self, results: list[JsonObject]) -> None:
        self._results.extend(result for result in results if result not in self._results)

    # ----------------------------------------------------------------------------------------------------------- end

    def _on_completed(self, body: JsonObject) -> list[StreamEvent]:
        return self._end(an_object(body.get("response")))

    def _on_incomplete(self, body: JsonObject) -> list[StreamEvent]:
        return self._end({**an_object(body.get("response")), "status": "incomplete"})

    def end_early(self) -> list[StreamEvent]:
        if not (self._text.length or self._refusal.length or self._slots.of(CallSlot)):
            raise BadAnswer("The provider's stream ended without an answer.")
        return self._end({})

    def _end(self, response: JsonObject) -> list[StreamEvent]:
        if response.get("status") in ("failed", "cancelled"):
            return self._fail({"response": response})
        events = self._end_items(response.get("output"))
        events.extend(self._end_calls())
        fields = search_fields(self._results)
        if isinstance(response.get("service_tier"), str):
            fields["service_tier"] = response["service_tier"]
        if fields:
            events.append(ExtraFields(fields))
        events.append(Finish(finish_reason(response, has_calls=bool(self._slots.of(CallSlot)))))
        usage = decode_usage(response.get("usage"), self._searches)
        if usage is not None:
            events.append(UsageReport(usage))
        self.ended = True
        return [*events, StreamEnd()]

    def _fail(self, body: JsonObject) -> list[StreamEvent]:
        """A failed answer may still say what it has used up."""
        self.ended = True
        usage = decode_usage(an_object(body.get("response")).get("usage"), self._searches)
        failed = StreamFailed(_failure(body))
        return [failed] if usage is None else [UsageReport(usage), failed]

    def _end_items(self, items: object) -> list[StreamEvent]:
        """What the final answer says and the events before it did not."""
        output = read_output(items)
        events: list[StreamEvent] = []
        if not self._thought:
            texts = [block.text for block in output.reasoning if block.text]
            events.extend(ReasoningDelta(text) for text in texts)
        events.extend(event for block in output.reasoning for event in self._replayable(block))
        self._found(output.results)
        # An event may be missing, or the list.
        self._searches = max(self._searches, output.searches)
        rest = self._text.finish(output.text or None)
        events.extend([TextDelta(rest)] if rest else [])
        refused = self._refusal.finish("".join(output.refusals) or None)
        events.extend([RefusalDelta(refused)] if refused else [])
        found = output.citations
        if not self._citations.seen and not found:
            found = list(marked_citations(self._text.text, numbered(self._results)))
        events.extend(event for citation in found for event in self._citations.found(citation))
        for item in objects(items):
            if item.get("type") in CALLS:
                events.extend(self._end_call(item))
        return events

    def _end_call(self, item: JsonObject) -> list[StreamEvent]:
        """The answer's list may name a call by either of its ids; its place in the list is no index."""
        known = [call for call in self._slots.of(CallSlot) if call.id and call.id == item.get("call_id")]
        call = known[0] if known else self._call(item, None, is_added=True)
        return [*call.learn(item), *call.finish(item.get("input" if call.custom else "arguments"))]

    def _end_calls(self) -> list[StreamEvent]:
        events: list[StreamEvent] = []
        for call in self._slots.of(CallSlot):
            if not call.started:
                raise BadAnswer("The provider's stream has a tool call without a name.")
            events.extend(call.finish(None))
        return events


def _start(response: JsonObject) -> StreamStart:
    created = response.get("created_at")
    return StreamStart(
        str(response.get("id") or ""),
        str(response.get("model") or ""),
        int(created) if isinstance(created, int | float) else None,
    )


def _failure(body: JsonObject) -> UpstreamError:
    error = error_in(body) or error_in(an_object(body.get("response")))
    return classify_error(error or {"message": "The provider's answer failed."})


def _place(body: JsonObject, name: str) -> int:
    place = body.get(name)
    return place if isinstance(place, int) else 0


Handler = Callable[[Progress, JsonObject], list[StreamEvent]]
HANDLERS: dict[str, Handler] = {
    "response.created": Progress._on_created,
    "response.in_progress": Progress._on_created,
    "response.output_item.added": Progress._on_item_added,
    "response.output_item.done": Progress._on_item_done,
    "response.output_text.delta": Progress._on_text,
    "response.output_text.done": Progress._on_text_done,
    "response.output_text.annotation.added": Progress._on_annotation,
    "response.content_part.done": Progress._on_part_done,
    "response.refusal.delta": Progress._on_refusal,
    "response.refusal.done": Progress._on_refusal_done,
    "response.function_call_arguments.delta": Progress._on_arguments,
    "response.function_call_arguments.done": Progress._on_arguments_done,
    "response.custom_tool_call_input.delta": Progress._on_arguments,
    "response.custom_tool_call_input.done": Progress._on_arguments_done,
    "response.reasoning_summary_text.delta": Progress._on_summary,
    "response.reasoning_summary_text.done": Progress._on_summary,
    "response.reasoning_text.delta": Progress._on_reasoning_text,
    "response.reasoning_text.done": Progress._on_reasoning_text,
    "response.reasoning.started": Progress._on_thought,
    "response.reasoning.search_queries": Progress._on_thought,
    "response.reasoning.search_results": Progress._on_thought,
    "response.reasoning.fetch_url_queries": Progress._on_thought,
    "response.reasoning.fetch_url_results": Progress._on_thought,
    "response.reasoning.stopped": Progress._on_thought,
    "response.completed": Progress._on_completed,
    "response.requires_action": Progress._on_completed,
    "response.incomplete": Progress._on_incomplete,
}
