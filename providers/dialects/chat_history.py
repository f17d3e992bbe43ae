"""Messages in OpenAI's dialect that its own API takes and other servers do not, or that another provider's answers led to
and OpenAI does not take. Pure.

OpenAI takes ids of calls of at most 40 characters. `developer` is its own name of a role that every server knows as
`system`, and that some refuse by that name (DeepSeek) or lose (templates of open models). What was thought in earlier turns
is what some servers want back (DeepSeek, Moonshot), most ignore, Groq refuses, and Cerebras takes as `reasoning` only.
"""

from typing import Any

from providers.dialects.call_ids import fitting
from providers.types import JsonObject

MOST_OF_ID = 40
THOUGHT = frozenset({"reasoning_content", "reasoning", "reasoning_details"})


def is_plain(messages: list[Any], *, has_developer: bool) -> bool:
    """Whether nothing is to be changed. A call's id is that of its result, which follows it."""
    for message in messages:
        if type(message) is not dict:
            continue
        role = message.get("role")
        if role == "developer" and not has_developer:
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


def _written(message: JsonObject, has_developer: bool) -> JsonObject:
    changes: JsonObject = {}
    if message.get("role") == "developer" and not has_developer:
        changes["role"] = "system"
    if isinstance(message.get("tool_call_id"), str):
        changes["tool_call_id"] = fitting(message["tool_call_id"], MOST_OF_ID)
    if isinstance(message.get("tool_calls"), list):
        changes["tool_calls"] = [_call(call) for call in message["tool_calls"]]
    return {**message, **changes}


def _call(call: Any) -> Any:
    if not isinstance(call, dict) or not isinstance(call.get("id"), str):
        return call
    return {**call, "id": fitting(call["id"], MOST_OF_ID)}
