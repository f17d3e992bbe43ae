"""Requests to `POST /v2/chat`. docs/providers.md lists what is mapped, dropped and refused."""

import re
from collections.abc import Sequence

from providers.dialects.cohere_chat.messages import encode_messages
from providers.errors import ClientFault, Unsupported
from providers.types import ChatCall, JsonObject, Tool, ToolChoice

# Fields of Cohere's own that clients may send in the body; `top_k` is what other OpenAI-like services call `k`.
_OWN_FIELDS = ("documents", "citation_options", "safety_mode", "priority", "thinking", "strict_tools", "k")
_TOOL_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*\Z")
_NO_PARAMETERS: JsonObject = {"type": "object", "properties": {}}
_MAX_STOP_SEQUENCES = 5

# Tokens of thinking for an effort; above these the model's own (unlimited) default applies.
_THINKING_BUDGETS = {"minimal": 512, "low": 1024, "medium": 4096}


def encode_request(call: ChatCall, *, model: str, provider: str) -> JsonObject:
    """The body for `model`. Raises `Unsupported` for what Cohere cannot honour and the client would miss."""
    _refuse(call, provider)
    body: JsonObject = {"model": model, "messages": encode_messages(call.messages, provider=provider)}
    if call.stream:
        body["stream"] = True
    body.update({name: call.extra[name] for name in _OWN_FIELDS if call.extra.get(name) is not None})
    if call.extra.get("top_k") is not None:
        body.setdefault("k", call.extra["top_k"])
    body.update(_sampling(call))
    body.update(_tools(call, provider))
    body.update(_response_format(call, body, provider))
    if call.reasoning_effort is not None:
        body.setdefault("thinking", _thinking(call.reasoning_effort))
    return body


def _refuse(call: ChatCall, provider: str) -> None:
    """Fields that change what the client receives and have no equivalent; the rest is dropped by not being mapped."""
    refused = {
        "n": (call.n or 1) > 1,
        "logit_bias": bool(call.logit_bias),
        "top_logprobs": bool(call.top_logprobs),
        # Stream events carry log-probabilities of whole text chunks, which no client could line up with tokens.
        "logprobs": bool(call.logprobs and call.stream),
        "modalities": call.extra.get("modalities") not in (None, [], ["text"]),
        "web_search_options": call.extra.get("web_search_options") is not None,
        "moderation": call.extra.get("moderation") is not None,
        "presence_penalty": (call.presence_penalty or 0) < 0,
        "frequency_penalty": (call.frequency_penalty or 0) < 0,
        "stop": len(call.stop) > _MAX_STOP_SEQUENCES,
    }
    for field, is_refused in refused.items():
        if is_refused:
            raise Unsupported(field=field, provider=provider, why=_WHY.get(field, ""))


_WHY = {
    "n": "it makes one answer per request",
    "logprobs": "not while streaming",
    "presence_penalty": "it must be between 0 and 1",
    "frequency_penalty": "it must be between 0 and 1",
    "stop": "at most 5 stop sequences",
}


def _sampling(call: ChatCall) -> JsonObject:
    body: JsonObject = {}
    if call.max_output_tokens is not None:
        body["max_tokens"] = call.max_output_tokens
    if call.temperature is not None:
        body["temperature"] = _clamp(call.temperature, 0, 1)
    if call.top_p is not None:
        body["p"] = _clamp(call.top_p, 0.01, 0.99)
    # Zero is the default; some models refuse to be given both penalties.
    penalties = {"presence_penalty": call.presence_penalty, "frequency_penalty": call.frequency_penalty}
    body.update({name: _clamp(value, 0, 1) for name, value in penalties.items() if value})
    stop = [text for text in call.stop if text]
    if stop:
        body["stop_sequences"] = stop
    if call.seed is not None:
        # Cohere's seed is unsigned; a negative one keeps its own distinct value.
        body["seed"] = call.seed & 0x7FFF_FFFF_FFFF_FFFF
    if call.logprobs:
        body["logprobs"] = True
    return body


def _clamp(value: float, low: float, high: float) -> float:
    return min(max(value, low), high)


def _thinking(effort: str) -> JsonObject:
    if effort == "none":
        return {"type": "disabled"}
    budget = _THINKING_BUDGETS.get(effort)
    return {"type": "enabled"} if budget is None else {"type": "enabled", "token_budget": budget}


def _tools(call: ChatCall, provider: str) -> JsonObject:
    if not call.tools:
        return {}
    choice = call.tool_choice or ToolChoice(mode="auto")
    tools = _chosen(call.tools, choice)
    body: JsonObject = {"tools": [_encode_tool(tool, f"tools[{i}]", provider) for i, tool in enumerate(tools)]}
    if any(tool.strict for tool in tools):
        body["strict_tools"] = True
    if choice.mode in ("required", "tool"):
        body["tool_choice"] = "REQUIRED"
    elif choice.mode == "none":
        body["tool_choice"] = "NONE"
    return body


def _chosen(tools: Sequence[Tool], choice: ToolChoice) -> Sequence[Tool]:
    """Cohere has no choice of one tool, nor of some: only those are sent."""
    wanted = {choice.name} if choice.mode == "tool" else set(choice.allowed)
    if not wanted:
        return tools
    missing = wanted - {tool.name for tool in tools}
    if missing:
        raise ClientFault(
            f"tool_choice names {sorted(map(str, missing))}, which tools does not hold.", param="tool_choice"
        )
    return [tool for tool in tools if tool.name in wanted]


def _encode_tool(tool: Tool, where: str, provider: str) -> JsonObject:
    if tool.custom:
        raise Unsupported(field=where, provider=provider, why="custom tools are OpenAI's own")
    if tool.extra.get("type"):
        raise Unsupported(field=where, provider=provider, why=f"it runs no tool of type {tool.extra['type']!r}")
    if not _TOOL_NAME.match(tool.name):
        why = "names hold letters, digits and underscores and do not start with a digit"
        raise Unsupported(field=f"{where}.function.name", provider=provider, why=why)
    function: JsonObject = {"name": tool.name}
    if tool.description is not None:
        function["description"] = tool.description
    function["parameters"] = tool.parameters or _NO_PARAMETERS
    return {"type": "function", "function": function}


def _response_format(call: ChatCall, body: JsonObject, provider: str) -> JsonObject:
    wanted = call.response_format
    if wanted is None or wanted.kind == "text":
        return {}
    for other in ("tools", "documents"):
        if body.get(other):
            raise Unsupported(field="response_format", provider=provider, why=f"not together with {other}")
    encoded: JsonObject = {"type": "json_object"}
    if wanted.kind == "json_schema" and wanted.schema is not None:
        encoded["json_schema"] = wanted.schema
    return {"response_format": encoded}
