"""Why an answer ended, in the words of servers that speak OpenAI's dialect loosely → in OpenAI's own. Pure.

Clients in typed languages refuse an answer whose reason is none of OpenAI's.
"""

from typing import Any

from providers.errors import ServerFailed, UnreadableCall

_MEANT = {
    "eos": "stop",  # Together
    "eos_token": "stop",  # TGI
    "stop_sequence": "stop",
    "end_turn": "stop",
    "model_length": "length",  # Mistral
    "max_tokens": "length",
    "model_context_window_exceeded": "length",  # Z.ai
    "tool_use": "tool_calls",
    "sensitive": "content_filter",  # Z.ai
    "repetition": "stop",  # vLLM
    "STOP": "stop",  # Gemini, at its OpenAI-compatible address
    "MAX_TOKENS": "length",
    "SAFETY": "content_filter",
    "RECITATION": "content_filter",
    "BLOCKLIST": "content_filter",
    "PROHIBITED_CONTENT": "content_filter",
    "SPII": "content_filter",
}
_FAILED = frozenset({"error", "network_error", "insufficient_system_resource", "abort"})
"""OpenRouter and Mistral; Z.ai; DeepSeek, when its machines were needed elsewhere; vLLM and SGLang."""


_FILTERED = "content_filter:"
_UNREADABLE = "function_call_filter:"
"""Gemini says behind the colon what it found, such as `PROHIBITED_CONTENT` or `MALFORMED_FUNCTION_CALL`."""


def openai_reason(reason: str) -> str:
    """A reason that nobody knows stays as it is. Raises `ServerFailed` for one that is a failure, `UnreadableCall` where all
    that was said was left out because of how a tool was called."""
    if reason == "stop":
        return reason
    if reason in _FAILED:
        raise ServerFailed("The provider failed while it was answering.", upstream_status=200)
    if ":" in reason:
        if reason.startswith(_UNREADABLE):
            raise UnreadableCall(
                "The model called a tool in a form that its provider cannot read.", upstream_status=200
            )
        return "content_filter" if reason.startswith(_FILTERED) else reason
    return _MEANT.get(reason, reason)


def reason_of_calls(reason: Any, body: dict[str, Any]) -> Any:
    """Of an answer that calls tools, to the request `body`. OpenAI ends it with `stop` only where the client named the tool
    to be called; else with `tool_calls`, and agents go by it. Gemini's streams say `stop` of them, too."""
    choice = body.get("tool_choice")
    is_named = isinstance(choice, dict) and choice.get("type") != "allowed_tools"
    return "tool_calls" if reason == "stop" and not is_named else reason


def mend_calling(choices: list[dict[str, Any]], body: dict[str, Any]) -> bool:
    """Corrects the choices of a whole answer that call tools in place; True when it changed something."""
    is_changed = False
    for choice in choices:
        message = choice.get("message")
        calls = message.get("tool_calls") if isinstance(message, dict) else None
        reason = choice.get("finish_reason")
        if calls and isinstance(calls, list) and (meant := reason_of_calls(reason, body)) != reason:
            choice["finish_reason"] = meant
            is_changed = True
    return is_changed


def mend_reasons(choices: list[dict[str, Any]]) -> bool:
    """Corrects the choices of a whole answer in place; True when it changed something. One that came without a reason ended
    by itself, as one of a stream does."""
    is_changed = False
    for choice in choices:
        reason = choice.get("finish_reason")
        if not reason:
            message = choice.get("message")
            calls = message.get("tool_calls") if isinstance(message, dict) else None
            choice["finish_reason"] = "tool_calls" if calls and isinstance(calls, list) else "stop"
            is_changed = True
        elif isinstance(reason, str) and (meant := openai_reason(reason)) != reason:
            choice["finish_reason"] = meant
            is_changed = True
    return is_changed
