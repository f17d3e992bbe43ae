"""Tools, tool choice and response format, read. Pure."""

from typing import Literal

from providers.dialects.openai_chat import fields
from providers.types import JsonObject, ResponseFormat, Tool, ToolChoice

_MODES: dict[str, Literal["auto", "none", "required"]] = {"auto": "auto", "none": "none", "required": "required"}
_KINDS: dict[str, Literal["text", "json_object", "json_schema"]] = {
    "text": "text",
    "json_object": "json_object",
    "json_schema": "json_schema",
}


def decode_tools(body: JsonObject) -> tuple[Tool, ...]:
    """`functions` of the old interface become tools."""
    tools = [_decode_tool(tool, f"tools[{index}].") for index, tool in enumerate(fields.objects(body, "tools"))]
    if not tools:
        functions = fields.objects(body, "functions")
        tools = [_decode_function(function, f"functions[{i}].") for i, function in enumerate(functions)]
    return tuple(tools)


def _decode_tool(tool: JsonObject, where: str) -> Tool:
    kind = fields.required_text(tool, "type", where)
    extra = {
        key: value for key, value in tool.items() if key not in ("type", "function", "custom") and value is not None
    }
    if kind == "function":
        return _decode_function(fields.required_mapping(tool, "function", where), where + "function.", extra)
    if kind == "custom":
        custom = fields.required_mapping(tool, "custom", where)
        place = where + "custom."
        return Tool(
            name=fields.required_text(custom, "name", place),
            description=fields.text(custom, "description", place),
            custom=True,
            custom_format=fields.mapping(custom, "format", place),
            extra=extra,
        )
    return Tool(name=fields.text(tool, "name", where) or kind, extra={**extra, "type": kind})


def _decode_function(function: JsonObject, where: str, extra: JsonObject | None = None) -> Tool:
    """LiteLLM's clients give a tool's cache mark beside its type or in here."""
    mark = fields.mapping(function, "cache_control", where)
    return Tool(
        name=fields.required_text(function, "name", where),
        description=fields.text(function, "description", where),
        parameters=fields.mapping(function, "parameters", where),
        strict=fields.flag(function, "strict", where),
        extra={**fields.present(cache_control=mark), **(extra or {})},
    )


def decode_tool_choice(body: JsonObject) -> ToolChoice | None:
    choice = body.get("tool_choice")
    if choice is None:
        return _decode_function_call(body.get("function_call"))
    if isinstance(choice, str):
        return ToolChoice(mode=_mode(choice, "tool_choice"))
    if not isinstance(choice, dict):
        fields.refuse("tool_choice", "a string or an object")
    kind = fields.required_text(choice, "type", "tool_choice.")
    if kind == "allowed_tools":
        return _decode_allowed(choice)
    if kind not in ("function", "custom"):
        fields.refuse("tool_choice.type", "one of function, custom, allowed_tools")
    inner = fields.required_mapping(choice, kind, "tool_choice.")
    name = fields.required_text(inner, "name", f"tool_choice.{kind}.")
    return ToolChoice(mode="tool", name=name, custom=kind == "custom")


def _decode_function_call(choice: object) -> ToolChoice | None:
    if choice is None:
        return None
    if isinstance(choice, str):
        return ToolChoice(mode=_mode(choice, "function_call"))
    if not isinstance(choice, dict):
        fields.refuse("function_call", "a string or an object")
    return ToolChoice(mode="tool", name=fields.required_text(choice, "name", "function_call."))


def _decode_allowed(choice: JsonObject) -> ToolChoice:
    allowed = fields.required_mapping(choice, "allowed_tools", "tool_choice.")
    where = "tool_choice.allowed_tools."
    names = []
    for index, tool in enumerate(fields.objects(allowed, "tools", where)):
        place = f"{where}tools[{index}]."
        kind = "custom" if tool.get("type") == "custom" else "function"
        names.append(fields.required_text(fields.required_mapping(tool, kind, place), "name", f"{place}{kind}."))
    return ToolChoice(mode=_mode(fields.required_text(allowed, "mode", where), where + "mode"), allowed=tuple(names))


def _mode(value: str, where: str) -> Literal["auto", "none", "required"]:
    mode = _MODES.get(value)
    if mode is None:
        fields.refuse(where, "one of none, auto, required")
    return mode


def decode_response_format(body: JsonObject) -> ResponseFormat | None:
    wanted = fields.mapping(body, "response_format")
    if wanted is None:
        return None
    kind = _KINDS.get(fields.required_text(wanted, "type", "response_format."))
    if kind is None:
        fields.refuse("response_format.type", f"one of {', '.join(_KINDS)}")
    if kind != "json_schema":
        return ResponseFormat(kind=kind)
    schema = fields.required_mapping(wanted, "json_schema", "response_format.")
    where = "response_format.json_schema."
    return ResponseFormat(
        kind=kind,
        name=fields.text(schema, "name", where),
        description=fields.text(schema, "description", where),
        schema=fields.mapping(schema, "schema", where),
        strict=fields.flag(schema, "strict", where),
    )
