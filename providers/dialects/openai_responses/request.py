"""OpenAI's Responses API, asking: a `ChatCall` to the body of `POST /v1/responses`. Pure.

What has no place in a Responses request is refused with `Unsupported` when a client would see the difference (`n` above
1, `stop`, penalties, `logit_bias`, audio, `background`) and left out when it would not (`seed`, `name` in messages,
`prediction`).
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from providers.dialects.model_choice import WHY, chooses_model
from providers.dialects.openai_chat.fields import present
from providers.dialects.openai_responses.items import can_be_replayed, encode_items
from providers.errors import Unsupported
from providers.types import ChatCall, JsonObject, Message, ResponseFormat, TextPart, Tool, ToolChoice

if TYPE_CHECKING:  # at run time the registry of adapters imports this module
    from providers.adapters.base import Quirks

MIN_OUTPUT_TOKENS = 16
HOSTED_TOOLS = frozenset(
    {
        "web_search", "web_search_preview", "file_search", "code_interpreter", "image_generation", "mcp", "computer",
        "computer_use_preview", "shell", "local_shell", "apply_patch", "tool_search", "namespace",
        "fetch_url", "people_search", "finance_search", "image_search", "sandbox",
    }
)  # fmt: skip
ENCRYPTED_REASONING = "reasoning.encrypted_content"
LOGPROBS = "message.output_text.logprobs"

# Fields of a chat body that mean the same in a Responses body, and Responses' own fields that a client may add.
PASSED_ON = frozenset(
    {
        "metadata", "safety_identifier", "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
        "moderation", "truncation", "previous_response_id", "conversation", "max_tool_calls", "context_management",
        "prompt",
    }
)  # fmt: skip

# Whether a field asks for something. A default value asks for nothing, so it is left out in silence.
ASKED: dict[str, Callable[[ChatCall], Any]] = {
    "n": lambda call: (call.n or 1) > 1,
    "stop": lambda call: call.stop,
    "seed": lambda call: call.seed is not None,
    "logit_bias": lambda call: call.logit_bias,
    "presence_penalty": lambda call: call.presence_penalty,
    "frequency_penalty": lambda call: call.frequency_penalty,
    "logprobs": lambda call: call.logprobs,
    "top_logprobs": lambda call: call.top_logprobs,
    "temperature": lambda call: call.temperature is not None,
    "top_p": lambda call: call.top_p is not None,
    "tools": lambda call: call.tools,
    "response_format": lambda call: call.response_format is not None and call.response_format.kind != "text",
    "reasoning_effort": lambda call: call.reasoning_effort,
    "verbosity": lambda call: call.verbosity,
    "service_tier": lambda call: call.service_tier,
    "user": lambda call: call.user,
    "parallel_tool_calls": lambda call: call.parallel_tool_calls is False,
    "audio": lambda call: call.extra.get("audio") or call.extra.get("modalities") not in (None, [], ["text"]),
}
REFUSED = frozenset({"n", "stop", "logit_bias", "presence_penalty", "frequency_penalty", "audio", "background"})
"""With `background` an answer would be one to ask for later: nobody here does, and what it cost would never be seen."""


def encode_request(call: ChatCall, *, model: str, quirks: "Quirks", provider: str) -> JsonObject:
    """Raises `Unsupported` naming the field and the provider."""
    refuse(call, fields=REFUSED | quirks.refused, provider=provider)
    if call.stream and (call.logprobs or call.top_logprobs):
        raise Unsupported(field="logprobs", provider=provider, why="not in a stream")
    instructions, messages = _split_instructions(call)
    body: JsonObject = {"model": model, "input": encode_items(messages, provider=provider)}
    # A chat completion is not stored unless asked; a response is.
    fields: JsonObject = {
        "instructions": instructions,
        "max_output_tokens": call.max_output_tokens and max(MIN_OUTPUT_TOKENS, call.max_output_tokens),
        "temperature": call.temperature,
        "top_p": call.top_p,
        "top_logprobs": call.top_logprobs,
        "tools": _encode_tools(call, provider) or None,
        "tool_choice": encode_tool_choice(call.tool_choice) if call.tool_choice else None,
        "parallel_tool_calls": call.parallel_tool_calls,
        "text": _encode_text(call) or None,
        "reasoning": _encode_reasoning(call) or None,
        "include": _include(call) or None,
        "service_tier": call.service_tier,
        "user": call.user,
        "store": call.extra.get("store") or False,
        **{name: value for name, value in call.extra.items() if name in PASSED_ON},
    }
    body |= {name: value for name, value in fields.items() if value is not None and name not in quirks.dropped}
    if call.stream:
        body["stream"] = True
    return body


def refuse(call: ChatCall, *, fields: frozenset[str], provider: str) -> None:
    """Raises `Unsupported` for the first of `fields` with which the call asks for something."""
    for name in sorted(fields):
        asked = ASKED[name](call) if name in ASKED else call.extra.get(name)
        if asked:
            raise Unsupported(field=name, provider=provider)


def _split_instructions(call: ChatCall) -> tuple[str | None, tuple[Message, ...]]:
    """The first system message as `instructions`, if it is not the only one: an empty input is refused. A developer
    message keeps its role, so it stays an item. For `json_object` the input must hold the word "json", which may stand in
    that message only: a chat completion counts it there, `instructions` are not looked into."""
    messages = call.messages
    if call.response_format is not None and call.response_format.kind == "json_object":
        return None, messages
    first = messages[0] if len(messages) > 1 else None
    if first is not None and first.role == "system" and len(first.parts) == 1 and isinstance(first.parts[0], TextPart):
        return first.text, messages[1:]
    return None, messages


def _encode_tools(call: ChatCall, provider: str) -> list[JsonObject]:
    tools = [encode_tool(tool, provider=provider) for tool in call.tools]
    options = call.extra.get("web_search_options")
    if isinstance(options, dict):
        tools.append({"type": "web_search", **_flat_search_options(options)})
    return tools


def _flat_search_options(options: JsonObject) -> JsonObject:
    """Chat nests the location below `approximate`; the web_search tool does not."""
    flat = {name: value for name, value in options.items() if name in ("search_context_size", "filters")}
    location = options.get("user_location")
    if isinstance(location, dict):
        nested = location.get("approximate")
        flat["user_location"] = {"type": "approximate", **nested} if isinstance(nested, dict) else location
    return flat


def encode_tool(tool: Tool, *, provider: str) -> JsonObject:
    """The flat form. `strict` is written always, because Responses takes an absent one for true and chat for false."""
    hosted = tool.extra.get("type")
    if hosted is not None:
        if hosted not in HOSTED_TOOLS:
            raise Unsupported(field=f"tools.{hosted}", provider=provider)
        if chooses_model(tool.extra):
            raise Unsupported(field=f"tools.{hosted}", provider=provider, why=WHY)
        return tool.extra
    encoded: JsonObject = {"type": "custom" if tool.custom else "function", "name": tool.name}
    if tool.description is not None:
        encoded["description"] = tool.description
    if tool.custom:
        if tool.custom_format is not None:
            encoded["format"] = _flat_grammar(tool.custom_format)
        return encoded
    encoded["parameters"] = tool.parameters if tool.parameters is not None else {"type": "object", "properties": {}}
    encoded["strict"] = bool(tool.strict)
    return encoded


def _flat_grammar(custom_format: JsonObject) -> JsonObject:
    grammar = custom_format.get("grammar")
    return {"type": "grammar", **grammar} if isinstance(grammar, dict) else custom_format


def encode_tool_choice(choice: ToolChoice) -> str | JsonObject:
    kind = "custom" if choice.custom else "function"
    if choice.mode == "tool":
        return {"type": kind, "name": choice.name}
    if choice.allowed:
        tools = [{"type": kind, "name": name} for name in choice.allowed]
        return {"type": "allowed_tools", "mode": choice.mode, "tools": tools}
    return choice.mode


def _encode_text(call: ChatCall) -> JsonObject:
    text: JsonObject = {}
    if call.response_format is not None:
        text["format"] = encode_format(call.response_format)
    if call.verbosity is not None:
        text["verbosity"] = call.verbosity
    return text


def encode_format(wanted: ResponseFormat) -> JsonObject:
    """`text.format`: the schema's fields beside `type`, not below `json_schema`."""
    if wanted.kind != "json_schema":
        return {"type": wanted.kind}
    return {"type": "json_schema"} | present(
        name=wanted.name or "answer", description=wanted.description, schema=wanted.schema, strict=wanted.strict
    )


def _encode_reasoning(call: ChatCall) -> JsonObject:
    given = call.extra.get("reasoning")
    reasoning: JsonObject = dict(given) if isinstance(given, dict) else {}
    if call.reasoning_effort is not None:
        reasoning["effort"] = call.reasoning_effort
    if call.extra.get("reasoning_summary") is not None:
        reasoning["summary"] = call.extra["reasoning_summary"]
    return reasoning


def _include(call: ChatCall) -> list[str]:
    """Encrypted reasoning is asked for only where reasoning is in play: other models refuse the wish with 400."""
    given = call.extra.get("include")
    include = [str(name) for name in given] if isinstance(given, list) else []
    replays = any(can_be_replayed(block) for message in call.messages for block in message.reasoning)
    if (replays or call.reasoning_effort not in (None, "none")) and ENCRYPTED_REASONING not in include:
        include.append(ENCRYPTED_REASONING)
    if (call.logprobs or call.top_logprobs) and LOGPROBS not in include:
        include.append(LOGPROBS)
    return include
