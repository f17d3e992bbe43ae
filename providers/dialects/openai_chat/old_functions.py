"""The interface before tools: who asks with `functions` reads `function_call`, of which an answer holds one. Pure."""

from providers.dialects.openai_chat.one_call import OneCallEncoder, encode_one_call
from providers.types import ChatAnswer, JsonObject


def speaks_of_functions(body: JsonObject) -> bool:
    """True when a request has the old form and not the new one."""
    return bool(body.get("functions")) and not body.get("tools")


def encode_old_answer(answer: ChatAnswer, *, created: int, model: str) -> JsonObject:
    encoded = encode_one_call(answer, created=created, model=model)
    for choice in encoded["choices"]:
        calls = choice["message"].pop("tool_calls", None)
        if calls:
            choice["message"]["function_call"] = calls[0].get("function")
        choice["finish_reason"] = _old_reason(choice["finish_reason"])
    return encoded


class OldStreamEncoder(OneCallEncoder):
    def _chunk(self, delta: JsonObject, choice: int, reason: str | None = None) -> bytes:
        calls = delta.get("tool_calls")
        if calls and calls[0]["index"] == 0:
            delta = {"function_call": calls[0].get("function")}
        return super()._chunk(delta, choice, _old_reason(reason))


def _old_reason(reason: str | None) -> str | None:
    return "function_call" if reason == "tool_calls" else reason
