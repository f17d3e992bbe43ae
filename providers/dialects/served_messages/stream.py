"""Chat frames to the events of a message stream, and a whole chat answer to a message. Pure.

Both go the same way, so that an answer is the same whether it is streamed or not.
"""

from collections.abc import Iterator
from typing import Any

import orjson

from providers.dialects.anthropic_messages.answer import BLOCKS
from providers.dialects.chat_history import without_thought
from providers.dialects.openai_chat import StreamDecoder, read_usage
from providers.dialects.openai_chat.reasoning import decode_reasoning
from providers.dialects.served_chat import ServedChat, around, frame, whole_chat
from providers.dialects.served_messages.errors import error_event
from providers.dialects.served_messages.message_builder import MessageBuilder
from providers.errors import UpstreamError
from providers.types import JsonObject, ReasoningDelta, ReasoningDone, StreamEvent, UsageReport


class ServedMessage(ServedChat):
    def __init__(self, message_id: str, model: str, *, request_id: str = "", likely_input: int = 0) -> None:
        super().__init__()
        self._request_id = request_id
        self._builder = MessageBuilder(message_id, model, likely_input=likely_input)
        self._failed = False

    def fail(self, error: Any, request_id: str = "") -> bytes:
        if self._failed or self._builder.over:
            return b""
        self._failed = True
        return error_event(error, request_id or self._request_id)

    def whole(self, body: bytes) -> JsonObject:
        answer = whole_chat(body)
        blocks = answer.pop(BLOCKS, None)
        for event in _events_of(answer, self._chat):
            for _ in self._builder.take(event):
                pass
        if isinstance(blocks, list):
            # Of a provider that speaks this very dialect.
            self._builder.message["content"] = blocks
        return self._builder.message

    def _write(self, events: list[StreamEvent]) -> bytes:
        told: list[bytes] = []
        try:
            for event in () if self._failed else events:
                told += map(frame, self._builder.take(event))
        except UpstreamError as error:
            told.append(self.fail(error))
        return b"".join(told)


def _events_of(answer: JsonObject, chat: StreamDecoder) -> Iterator[StreamEvent]:
    """As of a stream that says everything at once, but for what was thought: each block with its own text."""
    choice = answer["choices"][0]
    message = choice["message"]
    head: JsonObject = {name: answer[name] for name in ("id", "model") if name in answer}
    said = without_thought(message)
    chunks = [
        {**head, "choices": [{"index": 0, "delta": {}}]},
        {**around(answer), "choices": [{"index": 0, "delta": said, "finish_reason": choice.get("finish_reason")}]},
    ]
    yield from chat.feed(b"data: %b\n\n" % orjson.dumps(chunks[0]))
    blocks = decode_reasoning(message)
    text = message.get("reasoning_content")
    if isinstance(text, str) and text and not any(block.text for block in blocks):
        # What is encrypted has its text beside it.
        yield ReasoningDelta(text)
    for block in blocks:
        if block.text:
            yield ReasoningDelta(block.text)
        if block.signature or block.encrypted is not None:
            yield ReasoningDone(block)
    yield from chat.feed(b"data: %b\n\n" % orjson.dumps(chunks[1]))
    if (usage := read_usage(answer.get("usage"))) is not None:
        yield UsageReport(usage)
    yield from chat.feed(b"data: [DONE]\n\n")
