"""A stream of another dialect on its way to an OpenAI client: bytes → typed events → the client's frames. Pure."""

import io
from typing import Protocol

from providers.dialects.plain_body import PlainBodyGuard
from providers.errors import BadAnswer, StreamTruncated, UpstreamError
from providers.types import (
    CitationFound,
    Finish,
    OwnBlock,
    ReasoningDelta,
    RefusalDelta,
    StreamEnd,
    StreamEvent,
    StreamFailed,
    TextDelta,
    ToolCallDelta,
    ToolCallStart,
    Usage,
    UsageReport,
    told,
)

_RARER_TEXTS = (ReasoningDelta, RefusalDelta)
_BESIDE_TEXTS = (CitationFound, OwnBlock)


class StreamDecoder(Protocol):
    """A dialect's stream as typed events. Failures are `StreamFailed` events or raised `UpstreamError`s."""

    def feed(self, data: bytes) -> list[StreamEvent]: ...

    def close(self) -> list[StreamEvent]:
        """At the end of the body. No `StreamEnd` by then means that the stream was cut off."""


class Encoder(Protocol):
    """Typed events → SSE frames of the client's dialect. `StreamEnd` gives the last frames, `[DONE]` included."""

    def encode(self, event: StreamEvent) -> bytes: ...

    def usage_frame(self, usage: Usage) -> bytes: ...


class TranslatedStream:
    """`ClientStream` over a dialect's decoder. A stream whose answer was finished is complete even without its end."""

    def __init__(self, *, decoder: StreamDecoder, encoder: Encoder) -> None:
        self.started = False
        self.ended = False
        self.failure: UpstreamError | None = None
        self.usage: Usage | None = None
        self.finish_reason: str | None = None
        self._decoder = decoder
        self._encoder = encoder
        self._guard = PlainBodyGuard()
        self._text = io.StringIO()

    def feed(self, data: bytes) -> bytes:
        if self.ended or self.failure is not None:
            return b""
        if not self._guard.settled and self._guard.take(data):
            self.failure = self._guard.error(complete=False)
            return b""
        try:
            return self._take(self._decoder.feed(data))
        except UpstreamError as error:
            self.failure = error
            return b""

    def close(self) -> bytes:
        if self.ended or self.failure is not None:
            return b""
        try:
            frames = self._take(self._decoder.close())
        except UpstreamError as error:
            self.failure = error
            return b""
        if self.ended or self.failure is not None:
            return frames
        if self.finish_reason is not None:
            return frames + self._take([StreamEnd()])
        self.failure = self._guard.error(complete=True) or StreamTruncated("The provider's stream ended too early.")
        return frames

    def delivered_text(self) -> str:
        return self._text.getvalue()

    def usage_frame(self, usage: Usage) -> bytes:
        """The usage chunk for a client that asked, when the upstream gave none; it goes before the final `DONE`."""
        return self._encoder.usage_frame(usage)

    def _take(self, events: list[StreamEvent]) -> bytes:
        frames: list[bytes] = []
        for event in events:
            if type(event) is TextDelta:
                # Nearly every event of a stream.
                self._note_text(event.text)
                frames.append(self._encoder.encode(event))
                continue
            if isinstance(event, StreamFailed):
                self.failure = _ours(event.error)
                break
            if isinstance(event, StreamEnd) and not self.started:
                self.failure = BadAnswer("The provider's stream ended without any answer.")
                break
            if isinstance(event, UsageReport) and told(event.usage) is None:
                continue
            self._note(event)
            frames.append(self._encoder.encode(event))
            if self.ended:
                break
        return b"".join(frames)

    def _note(self, event: StreamEvent) -> None:
        if isinstance(event, _RARER_TEXTS):
            self._note_text(event.text)
        elif isinstance(event, ToolCallDelta):
            self._note_text(event.arguments)
        elif isinstance(event, ToolCallStart):
            self._note_text(event.name)
            self.started = True
        elif isinstance(event, Finish):
            self.started = True
            self.finish_reason = self.finish_reason or event.reason
        elif isinstance(event, UsageReport):
            self.usage = event.usage
        elif isinstance(event, _BESIDE_TEXTS):
            self.started = True
        elif isinstance(event, StreamEnd):
            self.ended = True

    def _note_text(self, text: str) -> None:
        if text:
            self.started = True
            self._text.write(text)


def _ours(error: Exception) -> UpstreamError:
    return error if isinstance(error, UpstreamError) else BadAnswer(str(error))
