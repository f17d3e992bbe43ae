"""The response object around the output: what was asked, said again as the API does. Pure."""

from typing import Any

from providers.dialects.served_responses.added_tools import every_tool
from providers.dialects.served_responses.tools import OWN
from providers.types import JsonObject

ECHOED = (
    "instructions", "max_output_tokens", "temperature", "top_p", "top_logprobs", "user", "safety_identifier",
    "prompt_cache_key",
)  # fmt: skip


def opening(body: JsonObject, *, response_id: str, created_at: int) -> JsonObject:
    """A response that has just begun. It says itself that it is not stored."""
    reasoning, text = body.get("reasoning") or {}, body.get("text") or {}
    return {
        "id": response_id,
        "object": "response",
        "created_at": created_at,
        "status": "in_progress",
        "background": False,
        "error": None,
        "incomplete_details": None,
        "max_tool_calls": None,
        "metadata": body.get("metadata") or {},
        "model": body["model"],
        "output": [],
        "parallel_tool_calls": _or(body.get("parallel_tool_calls"), True),
        "previous_response_id": None,
        "reasoning": {"effort": reasoning.get("effort"), "summary": reasoning.get("summary")},
        "service_tier": None,
        "store": False,
        "text": {"format": text.get("format") or {"type": "text"}, "verbosity": text.get("verbosity") or "medium"},
        "tool_choice": body.get("tool_choice") or "auto",
        "tools": [_tool(tool) for tool in every_tool(body)],
        "truncation": body.get("truncation") or "disabled",
        "usage": None,
        **{name: body.get(name) for name in ECHOED},
    }


def _or(given: Any, default: Any) -> Any:
    return default if given is None else given


def _tool(tool: JsonObject) -> JsonObject:
    """A function without `strict` was not asked for strictly: that is what a chat completion takes it for."""
    return {"parameters": None, "strict": False, **tool} if tool["type"] == OWN[0] else tool
