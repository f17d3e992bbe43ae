"""Tools and the choice among them → Anthropic's `tools` and `tool_choice`. Pure."""

import re
from collections.abc import Sequence

from providers.dialects.anthropic_messages.schema import restrict_schema
from providers.dialects.anthropic_messages.traits import ModelTraits
from providers.dialects.model_choice import WHY, chooses_model
from providers.errors import Unsupported
from providers.types import ChatCall, JsonObject, Message, ResponseFormat, Tool

JSON_ANSWER_TOOL = "answer_as_json"
_HOSTED = re.compile(r"[a-z_]+_\d{8}|mcp_toolset")
_TOOL_EXTRAS = frozenset(
    {"allowed_callers", "cache_control", "defer_loading", "eager_input_streaming", "input_examples"}
)
_CHOICES = {"auto": "auto", "none": "none", "required": "any", "tool": "tool"}
_NO_ARGUMENTS: JsonObject = {"type": "object", "properties": {}}


def needs_json_tool(call: ChatCall, traits: ModelTraits) -> bool:
    """True when a schema is asked of a model without structured output: a forced tool's input is then the answer."""
    return (
        call.response_format is not None and call.response_format.kind == "json_schema" and not traits.structured_output
    )


def forces_tool(call: ChatCall, traits: ModelTraits) -> bool:
    return needs_json_tool(call, traits) or (
        call.tool_choice is not None and call.tool_choice.mode in ("required", "tool")
    )


def encode_tools(call: ChatCall, traits: ModelTraits, provider: str) -> JsonObject:
    """`tools` and `tool_choice`, as far as they are needed."""
    tools = [_encode_tool(tool, traits, provider) for tool in _allowed(call)]
    choice = _encode_choice(call, bool(tools), traits, provider)
    if needs_json_tool(call, traits):
        assert call.response_format is not None
        choice = _force_json_answer(bool(tools), choice, traits, provider)
        tools.append(_json_answer_tool(call.response_format, provider))
    elif not tools and (names := _called_names(call.messages)):
        # Calls in the history are refused unless the request has tools; none of these may be called again.
        tools = [{"name": name, "input_schema": _NO_ARGUMENTS} for name in names]
        choice = {"type": "none"}
    fields: JsonObject = {}
    if tools:
        fields["tools"] = tools
    if choice is not None:
        fields["tool_choice"] = choice
    return fields


def _allowed(call: ChatCall) -> Sequence[Tool]:
    allowed = call.tool_choice.allowed if call.tool_choice is not None else ()
    return [tool for tool in call.tools if tool.name in allowed] if allowed else call.tools


def _encode_tool(tool: Tool, traits: ModelTraits, provider: str) -> JsonObject:
    if tool.custom:
        raise Unsupported(field="tools", provider=provider, why="custom tools with free text input")
    kind = tool.extra.get("type")
    if kind is not None:
        return _encode_hosted(tool, str(kind), provider)
    encoded: JsonObject = {"name": tool.name}
    if tool.description is not None:
        encoded["description"] = tool.description
    strict = tool.strict if traits.structured_output else None
    schema = _object_schema(tool.parameters)
    encoded["input_schema"] = restrict_schema(schema) if strict else schema
    if strict is not None:
        encoded["strict"] = strict
    return encoded | {name: value for name, value in tool.extra.items() if name in _TOOL_EXTRAS}


def _encode_hosted(tool: Tool, kind: str, provider: str) -> JsonObject:
    """A tool that the provider runs itself; another vendor's is none of its own."""
    if not _HOSTED.fullmatch(kind):
        raise Unsupported(field="tools", provider=provider, why=f"a tool of type '{kind}'")
    if chooses_model(tool.extra):
        raise Unsupported(field="tools", provider=provider, why=WHY)
    return {"type": kind, **({} if tool.name in ("", kind) else {"name": tool.name}), **tool.extra}


def _object_schema(parameters: JsonObject | None) -> JsonObject:
    if not parameters:
        return _NO_ARGUMENTS
    return parameters if parameters.get("type") == "object" else {**parameters, "type": "object"}


def _encode_choice(call: ChatCall, has_tools: bool, traits: ModelTraits, provider: str) -> JsonObject | None:
    choice = call.tool_choice
    encoded: JsonObject | None = None
    if choice is not None and (has_tools or choice.mode in ("required", "tool")):
        encoded = {"type": _CHOICES[choice.mode]}
        if choice.mode == "tool":
            encoded["name"] = choice.name
        if choice.mode in ("required", "tool") and not traits.forced_tools:
            raise Unsupported(field="tool_choice", provider=provider, why="this model cannot be forced to call a tool")
    if call.parallel_tool_calls is False and has_tools:
        encoded = encoded or {"type": "auto"}
        if encoded["type"] != "none":
            encoded["disable_parallel_tool_use"] = True
    return encoded


def _force_json_answer(has_tools: bool, choice: JsonObject | None, traits: ModelTraits, provider: str) -> JsonObject:
    """Beside the client's own tools the model may still call one of them; otherwise it has to answer."""
    if not traits.forced_tools:
        raise Unsupported(field="response_format", provider=provider, why="this model has no structured output")
    if choice is not None and choice["type"] == "tool":
        return choice
    may_call = has_tools and (choice is None or choice["type"] != "none")
    return {"type": "any"} if may_call else {"type": "tool", "name": JSON_ANSWER_TOOL}


def _json_answer_tool(wanted: ResponseFormat, provider: str) -> JsonObject:
    kind = (wanted.schema or {}).get("type", "object")
    if kind != "object" and not (isinstance(kind, list) and "object" in kind):
        raise Unsupported(field="response_format", provider=provider, why="what this model answers is an object")
    description = wanted.description or "Give the final answer as the input of this tool."
    return {"name": JSON_ANSWER_TOOL, "description": description, "input_schema": _object_schema(wanted.schema)}


def _called_names(messages: Sequence[Message]) -> list[str]:
    return list(dict.fromkeys(call.name for message in messages for call in message.tool_calls))
