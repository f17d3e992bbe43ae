"""Perplexity's Agent API as far as it differs from OpenAI's Responses API: a smaller request, and search by choice. Pure.

Unknown fields are refused by Perplexity with 400, so only fields from a list are sent. Parts of a message are text and
images; a tool's output is text. The web is searched only with a preset or with a `web_search` tool.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from providers.dialects.model_choice import WHY
from providers.dialects.openai_responses.request import encode_format, encode_request
from providers.dialects.tool_images import placed
from providers.errors import Unsupported
from providers.types import (
    ChatCall,
    ImagePart,
    JsonObject,
    Message,
    Part,
    RefusalPart,
    ResponseFormat,
    TextPart,
    Tool,
)

if TYPE_CHECKING:  # at run time the registry of adapters imports this module
    from providers.adapters.base import Quirks

SENT = frozenset(
    {
        "model", "preset", "effort", "input", "instructions", "max_output_tokens", "max_steps", "temperature",
        "top_p", "reasoning", "response_format", "tools", "tool_choice", "stream", "store", "previous_response_id",
        "language_preference", "prompt_cache_key", "service_tier",
    }
)  # fmt: skip
OWN_FIELDS = ("effort", "max_steps", "language_preference")
CHOOSING = ("models", "preset")
ELSEWHERE = frozenset({"web_search_options", "reasoning_summary"})
"""What OpenAI's Responses API has a place for, and this one none, or another."""

# Sonar's names, as clients still use them. A preset alone may resolve to another vendor's model, so the model is pinned.
SONAR = "perplexity/sonar"
OLD_NAMES: dict[str, JsonObject] = {
    "sonar": {"model": SONAR},
    "sonar-pro": {"model": SONAR, "preset": "fast"},
    "sonar-reasoning": {"model": SONAR, "preset": "low"},
    "sonar-reasoning-pro": {"model": SONAR, "preset": "low"},
    "sonar-deep-research": {"model": SONAR, "preset": "high"},
}
PRESETS = frozenset({"fast", "low", "medium", "high", "xhigh", "fast-search", "pro-search", "deep-research"})

FILTERS = (
    "search_domain_filter", "search_recency_filter", "search_after_date_filter", "search_before_date_filter",
    "last_updated_after_filter", "last_updated_before_filter",
)  # fmt: skip
LOCATION = ("city", "country", "region", "latitude", "longitude")


def encode_agent_request(
    call: ChatCall, *, model: str, quirks: "Quirks", provider: str, options: Mapping[str, Any]
) -> JsonObject:
    """`options` may hold `preset`, and `web_search` to say whether the web is searched without being asked."""
    _refuse_wishes(call, provider)
    messages = tuple(_plain_message(message, provider) for _, message in placed(call.messages))
    tools = _allowed_tools(call)
    if any(tool.custom for tool in tools):
        raise Unsupported(field="tools.custom", provider=provider)
    plain = {name: value for name, value in call.extra.items() if name not in ELSEWHERE}
    choice = call.tool_choice
    if choice is not None and choice.allowed:
        choice = type(choice)(mode=choice.mode)
    body = encode_request(
        replace(call, messages=messages, tools=tools, tool_choice=choice, extra=plain),
        model=model,
        quirks=quirks,
        provider=provider,
    )
    body |= _model_fields(model, call, options)
    if call.max_output_tokens is not None:
        body["max_output_tokens"] = call.max_output_tokens
    if call.reasoning_effort is not None:
        body["reasoning"] = {"effort": "xhigh" if call.reasoning_effort == "max" else call.reasoning_effort}
    wanted = _nested_format(call.response_format)
    if wanted is not None:
        body["response_format"] = wanted
    _add_search(body, call, options)
    return {name: value for name, value in body.items() if name in SENT}


def _refuse_wishes(call: ChatCall, provider: str) -> None:
    for name in CHOOSING:
        if call.extra.get(name):
            raise Unsupported(field=name, provider=provider, why=WHY)
    for name in ("return_images", "return_related_questions"):
        if call.extra.get(name):
            raise Unsupported(field=name, provider=provider)
    if call.extra.get("search_mode") not in (None, "web"):
        raise Unsupported(field="search_mode", provider=provider, why="only the web is searched")


def _allowed_tools(call: ChatCall) -> tuple[Tool, ...]:
    """There is no choice among some tools: only those are offered then."""
    allowed = call.tool_choice.allowed if call.tool_choice is not None else ()
    return tuple(tool for tool in call.tools if not allowed or tool.name in allowed)


def _plain_message(message: Message, provider: str) -> Message:
    texts = [part.text for part in message.parts if isinstance(part, TextPart | RefusalPart)]
    only_text = len(texts) == len(message.parts)
    if message.role in ("assistant", "tool"):
        if not only_text:
            raise Unsupported(field="messages.content", provider=provider, why=f"the {message.role} sends only text")
        parts: tuple[Part, ...] = (TextPart(text="".join(texts)),) if texts else ()
        return replace(message, parts=parts, reasoning=())
    for part in message.parts:
        if not isinstance(part, TextPart | ImagePart):
            raise Unsupported(field="messages.content", provider=provider, why="only text and images are read")
    return replace(message, reasoning=())


def _model_fields(model: str, call: ChatCall, options: Mapping[str, Any]) -> JsonObject:
    fields = dict(OLD_NAMES.get(model, {"model": model}))
    if model in PRESETS:
        fields = {"model": SONAR, "preset": model}
    if options.get("preset"):
        fields["preset"] = options["preset"]
    return fields | {name: call.extra[name] for name in OWN_FIELDS if call.extra.get(name) is not None}


def _nested_format(wanted: ResponseFormat | None) -> JsonObject | None:
    """Nested as in chat. There is no `json_object`: any object will do as a schema."""
    if wanted is None or wanted.kind == "text":
        return None
    if wanted.kind == "json_object":
        return {"type": "json_schema", "json_schema": {"name": "object", "schema": {"type": "object"}}}
    flat = encode_format(wanted)
    return {"type": flat.pop("type"), "json_schema": flat}


def _add_search(body: JsonObject, call: ChatCall, options: Mapping[str, Any]) -> None:
    """A `web_search` tool where the client asks for one, and by default for Perplexity's own models without a preset."""
    extra = call.extra
    tools = body.get("tools", [])
    if extra.get("disable_search") or any(tool.get("type") == "web_search" for tool in tools):
        return
    wished = isinstance(extra.get("web_search_options"), dict) or any(extra.get(name) for name in FILTERS)
    own = str(body.get("model", "")).startswith("perplexity/") and "preset" not in body
    if wished or options.get("web_search", own):
        body["tools"] = [*tools, _search_tool(extra)]


def _search_tool(extra: JsonObject) -> JsonObject:
    tool: JsonObject = {"type": "web_search"}
    filters = {name: extra[name] for name in FILTERS if extra.get(name)}
    if filters:
        tool["filters"] = filters
    wishes = extra.get("web_search_options")
    if not isinstance(wishes, dict):
        return tool
    if wishes.get("search_context_size"):
        tool["search_context_size"] = wishes["search_context_size"]
    location = wishes.get("user_location")
    if isinstance(location, dict):
        nested = location.get("approximate")
        place = nested if isinstance(nested, dict) else location
        tool["user_location"] = {name: place[name] for name in LOCATION if place.get(name) is not None}
    return tool
