"""Applies `Quirks` to a body in OpenAI's dialect: a shallow copy, of which deeper things are copied on change. Pure."""

from typing import Any

from providers.adapters.base import Quirks
from providers.dialects import chat_history
from providers.dialects.mistral_body import write_as_mistral
from providers.errors import Unsupported
from providers.types import JsonObject

_MAX_TOKENS = ("max_completion_tokens", "max_tokens")
_SEARCH = "web_search_options"
_PENALTIES = frozenset({"presence_penalty", "frequency_penalty"})


def apply_quirks(body: JsonObject, quirks: Quirks, provider: str) -> None:
    """Changes `body` in place; raises `Unsupported` for a refused field that the client gave a value."""
    _leave_out(body, quirks, provider)
    if quirks.max_tokens_field is not None:
        rename_max_tokens(body, quirks.max_tokens_field)
    messages = body.get("messages")
    if isinstance(messages, list) and (quirks.flattens_text_parts or not quirks.accepts_name_in_messages):
        body["messages"] = [_plain_message(message, quirks) for message in messages]
    if isinstance(messages, list) and (quirks.thought != "kept" or quirks.signs_calls):
        body["messages"] = _history(body["messages"], quirks)
    tools = body.get("tools")
    if isinstance(tools, list) and not quirks.accepts_strict_tools:
        body["tools"] = [_unstrict(tool) for tool in tools]
    if quirks.is_mistral:
        write_as_mistral(body)


def _history(messages: list[Any], quirks: Quirks) -> list[Any]:
    if quirks.signs_calls:
        messages = [chat_history.with_signature(message) for message in messages]
    match quirks.thought:
        case "left out":
            messages = [chat_history.without_thought(message) for message in messages]
        case "as reasoning":
            messages = [chat_history.with_thought_as_reasoning(message) for message in messages]
        case "required":
            messages = chat_history.with_every_thought(messages)
    return messages


def _leave_out(body: JsonObject, quirks: Quirks, provider: str) -> None:
    for name in quirks.refused:
        if not _asks_nothing(name, body.get(name)):
            raise Unsupported(field=name, provider=provider)
        body.pop(name, None)
    for name in quirks.dropped:
        body.pop(name, None)


def _asks_nothing(name: str, value: Any) -> bool:
    """Null, empty, off, a penalty of nothing: the same as not sent. A temperature or a seed of 0 is not, nor are options that
    are there: a search with none is still a search."""
    if name == _SEARCH:
        return value is None
    return value is None or value is False or value in ([], {}) or (value == 0 and name in _PENALTIES)


def rename_max_tokens(body: JsonObject, wanted: str) -> None:
    """One field instead of two; the newer name wins when a client sends both."""
    values = [body.pop(name) for name in _MAX_TOKENS if name in body]
    value = next((value for value in values if value is not None), None)
    if value is not None:
        body[wanted] = value


def _plain_message(message: Any, quirks: Quirks) -> Any:
    if not isinstance(message, dict):
        return message
    message = dict(message)
    if not quirks.accepts_name_in_messages:
        message.pop("name", None)
    content = message.get("content")
    if quirks.flattens_text_parts and isinstance(content, list) and content and all(map(_is_text, content)):
        message["content"] = "\n".join(part["text"] for part in content)
    return message


def _is_text(part: Any) -> bool:
    return isinstance(part, dict) and part.get("type") == "text" and isinstance(part.get("text"), str)


def _unstrict(tool: Any) -> Any:
    function = tool.get("function") if isinstance(tool, dict) else None
    if not isinstance(function, dict) or "strict" not in function:
        return tool
    return {**tool, "function": {key: value for key, value in function.items() if key != "strict"}}
