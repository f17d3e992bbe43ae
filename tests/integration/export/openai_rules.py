"""What OpenAI demands of a line of a fine-tuning file for chat models. Pure.

Source: OpenAI's fine-tuning guide (chat format and function calling) and the checks of its cookbook's data preparation.
"""

from typing import Any

from providers.types import JsonObject

ROLES = frozenset({"system", "user", "assistant", "tool", "function"})
MESSAGE_KEYS = frozenset(
    {"role", "content", "name", "function_call", "tool_calls", "tool_call_id", "weight", "refusal"}
)
LINE_KEYS = frozenset({"messages", "tools", "parallel_tool_calls", "functions"})


def problems(line: Any) -> list[str]:
    """Sentences about what is wrong; empty when the line is fine."""
    if not isinstance(line, dict):
        return ["not an object"]
    messages = line.get("messages")
    if not isinstance(messages, list) or not messages:
        return ["no messages"]
    found = [f"unknown key {key}" for key in line.keys() - LINE_KEYS]
    for number, message in enumerate(messages):
        found += [f"message {number}: {problem}" for problem in _of_message(message)]
    if messages[-1].get("role") != "assistant":
        found.append("the last message is not the assistant's")
    return found + _of_pairs(messages)


def _of_message(message: JsonObject) -> list[str]:
    found = [f"unknown key {key}" for key in message.keys() - MESSAGE_KEYS]
    role = message.get("role")
    if role not in ROLES:
        found.append(f"unknown role {role}")
    content = message.get("content")
    calls = message.get("tool_calls") or message.get("function_call")
    if not isinstance(content, str) and not (content is None and role == "assistant" and calls):
        found.append("no content")
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        texts = (call.get("id"), function.get("name"), function.get("arguments"))
        if call.get("type") != "function" or not all(isinstance(text, str) for text in texts):
            found.append("malformed tool call")
    if role == "tool" and not isinstance(message.get("tool_call_id"), str):
        found.append("a tool's message without the id of its call")
    return found


def _of_pairs(messages: list[JsonObject]) -> list[str]:
    """Each call is answered before the assistant speaks again, each answer follows its call."""
    found = []
    waiting: set[Any] = set()
    for number, message in enumerate(messages):
        if message.get("role") == "tool":
            if message.get("tool_call_id") not in waiting:
                found.append(f"message {number}: answers no call")
            waiting.discard(message.get("tool_call_id"))
        elif message.get("role") == "assistant":
            if waiting:
                found.append(f"message {number}: comes before the answers to all calls")
            waiting = {call.get("id") for call in message.get("tool_calls") or ()}
    return found
