"""Streams of the Responses API: bytes in, typed events out. Sans-I/O.

    response.created                       StreamStart
    response.output_item.added / .done     calls begin and end; messages and reasoning end
    response.output_text.* .refusal.*      TextDelta, RefusalDelta; `done` only where deltas were missing
    response.function_call_arguments.*     ToolCallDelta (custom_tool_call_input.* likewise)
    response.reasoning_*                   ReasoningDelta
    response.completed .incomplete         what was not said yet, Finish, UsageReport, StreamEnd
    response.failed, error                 StreamFailed

Of what does not belong there:

* unknown events, unknown items, and everything after the end are passed over;
* an event that repeats the one before it, number and all, is dropped;
* a delta for an item that was never added opens that item; one that names no item belongs to the latest of its kind;
* arguments wait for the name of their call; a call without a name fails the stream, because it would be lost;
* arguments are the model's text and pass unchanged, valid JSON or not; a call that got none has `{}`;
* `[DONE]` after content ends an answer that lacks its last event; an end of the body without either fails the stream;
* data that is no JSON object (invalid UTF-8 included) fails the stream.
"""

from providers.dialects.openai_responses.progress import Progress
from providers.dialects.sse import SseDecoder, SseEvent, load_data
from providers.errors import BadAnswer, StreamTruncated, UpstreamError
from providers.types import JsonObject, StreamEvent, StreamFailed

MOST_OF_EVENT = 16 << 20
"""The first events say again what was asked, instructions and tools, and the last one all that was answered."""


class StreamDecoder:
    """One answer. `feed` and `close` never raise; a failure is the last event."""

    def __init__(self) -> None:
        self._sse = SseDecoder(MOST_OF_EVENT)
        self._last: tuple[int, bytes] | None = None
        self._failed = False
        self._progress = Progress()

    @property
    def _ended(self) -> bool:
        return self._failed or self._progress.ended

    def feed(self, data: bytes) -> list[StreamEvent]:
        if self._ended:
            return []
        try:
            return self._decode_all(self._sse.feed(data))
        except UpstreamError as error:
            return self._fail(error)

    def close(self) -> list[StreamEvent]:
        """The upstream's body has ended."""
        if self._ended:
            return []
        try:
            events = self._close()
        except UpstreamError as error:
            return self._fail(error)
        return events if self._ended else [*events, *self._fail(StreamTruncated("The provider's stream was cut off."))]

    def _close(self) -> list[StreamEvent]:
        """An event whose blank line is missing counts when its JSON is whole."""
        cut = self._sse.close()
        if cut is None:
            return []
        try:
            return self._decode_event(cut)
        except BadAnswer:
            return []

    def _fail(self, error: UpstreamError) -> list[StreamEvent]:
        self._failed = True
        return [StreamFailed(error)]

    def _decode_all(self, events: list[SseEvent]) -> list[StreamEvent]:
        decoded: list[StreamEvent] = []
        for event in events:
            if self._ended:
                break
            try:
                decoded.extend(self._decode_event(event))
            except UpstreamError as error:
                decoded.extend(self._fail(error))
        return decoded

    def _decode_event(self, event: SseEvent) -> list[StreamEvent]:
        if event.data.startswith(b"[DONE]"):
            return self._progress.end_early()
        if not event.data.strip():
            return []
        body = load_data(event.data)
        if self._repeats(body, event.data):
            return []
        kind = body.get("type")
        return self._progress.on(kind if isinstance(kind, str) else event.event, body)

    def _repeats(self, body: JsonObject, data: bytes) -> bool:
        """Number 0 never counts as a repetition: it may stand for no numbering at all."""
        number = body.get("sequence_number")
        if not isinstance(number, int) or number < 1:
            return False
        repeats = self._last == (number, data)
        self._last = (number, data)
        return repeats
