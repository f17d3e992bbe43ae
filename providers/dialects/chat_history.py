"""Messages in OpenAI's dialect that its own API takes and other servers do not, or that another provider's answers led to
and OpenAI does not take. Pure.

OpenAI takes ids of calls of at most 40 characters, and no empty list of calls. `developer` is its own name of a role that
every server knows as `system`, and that some refuse by that name (DeepSeek) or lose (templates of open models). What was
thought in earlier turns is what most servers ignore, Groq refuses, and Cerebras takes as `reasoning` only; DeepSeek and
Moonshot refuse a turn that called tools without it, and Gemini 3 one without its signature, which turns of another provider
do not have.
"""

from typing import Any

from providers.dialects.call_ids import fitting
from providers.dialects.openai_chat.reasoning import GOOGLE_FORMAT, decode_reasoning
from providers.types import JsonObject

MOST_OF_ID = 40
UNSIGNED: JsonObject = {"google": {"thought_signature": "skip_thought_signature_validator"}}
THOUGHT = frozenset({"reasoning_content", "reasoning", "reasoning_details"})


def is_plain(messages: list[Any], *, has_developer: bool) -> bool:
    """Whether nothing is to be changed. A call's id is that of its result, which follows it."""
    for message in messages:
        if type(message) is not dict:
            continue
        role = message.get("role")
        if role == "developer" and not has_developer:
            return False
        if role == "assistant" and "tool_calls" in message and not message["tool_calls"]:
            return False
        if role == "tool" and type(name := message.get("tool_call_id")) is str and len(name) > MOST_OF_ID:
            return False
    return True


def written_plainly(messages: list[Any], *, has_developer: bool) -> list[Any]:
    return [_written(each, has_developer) if type(each) is dict else each for each in messages]


def without_thought(message: Any) -> Any:
    if type(message) is not dict or THOUGHT.isdisjoint(message):
        return message
    return {name: value for name, value in message.items() if name not in THOUGHT}


def with_thought_as_reasoning(message: Any) -> Any:
    written = without_thought(message)
    if written is message:
        return message
    thought = message.get("reasoning") or message.get("reasoning_content")
    return {**written, "reasoning": thought} if thought else written


def with_every_thought(messages: list[Any]) -> list[Any]:
    """Where tools are used, every turn of the assistant has one: a space where there is none, since an empty text counts
    as none at Moonshot."""
    if not any(type(each) is dict and each.get("role") == "tool" for each in messages):
        return messages
    return [
        _with_thought(each) if type(each) is dict and each.get("role") == "assistant" else each for each in messages
    ]


def _with_thought(message: JsonObject) -> JsonObject:
    thought = message.get("reasoning_content") or message.get("reasoning") or " "
    return {**message, "reasoning_content": thought}


def with_signature(message: Any) -> Any:
    """The first call of a turn needs one: what Gemini gave, where a client of the Responses API or OpenRouter's has sent it
    back among its blocks of reasoning; Google's own mark for calls that another model made, where none is there."""
    calls = message.get("tool_calls") if type(message) is dict else None
    if not isinstance(calls, list) or not calls or not all(type(call) is dict for call in calls):
        return message
    if any(call.get("extra_content") for call in calls):
        return message
    given = [
        block.encrypted for block in decode_reasoning(message) if block.format == GOOGLE_FORMAT and block.encrypted
    ]
    signed = {"google": {"thought_signature": given[0]}} if given else UNSIGNED
    return {**message, "tool_calls": [{**calls[0], "extra_content": signed}, *calls[1:]]}


def _written(message: JsonObject, has_developer: bool) -> JsonObject:
    changes: JsonObject = {}
    if message.get("role") == "developer" and not has_developer:
        changes["role"] = "system"
    if isinstance(message.get("tool_call_id"), str):
        changes["tool_call_id"] = fitting(message["tool_call_id"], MOST_OF_ID)
    written = {**message, **changes}
    if calls := message.get("tool_calls"):
        written["tool_calls"] = [_call(call) for call in calls] if isinstance(calls, list) else calls
    else:
        written.pop("tool_calls", None)
    return written


def _call(call: Any) -> Any:
    if not isinstance(call, dict) or not isinstance(call.get("id"), str):
        return call
    return {**call, "id": fitting(call["id"], MOST_OF_ID)}
