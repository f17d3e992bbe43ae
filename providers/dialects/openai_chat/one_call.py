"""Of several tool calls at once the first: `parallel_tool_calls: false` where the provider has no such switch. Pure.

A model that wanted several calls is told the result of the first, and makes the next one then.
"""

from providers.dialects.openai_chat.answer import encode_answer
from providers.dialects.openai_chat.stream import StreamEncoder
from providers.types import ChatAnswer, JsonObject


def wants_one_call(body: JsonObject) -> bool:
    return body.get("parallel_tool_calls") is False


def encode_one_call(answer: ChatAnswer, *, created: int, model: str) -> JsonObject:
    encoded = encode_answer(answer, created=created, model=model)
    for choice in encoded["choices"]:
        keep_first_call(choice["message"])
    return encoded


def keep_first_call(message: JsonObject) -> None:
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        message["tool_calls"] = calls[:1]


class OneCallEncoder(StreamEncoder):
    def _chunk(self, delta: JsonObject, choice: int, reason: str | None = None) -> bytes:
        calls = delta.get("tool_calls")
        return b"" if calls and calls[0]["index"] > 0 else super()._chunk(delta, choice, reason)
