"""Tools and the choice among them, to those of a chat. Pure."""

from providers.dialects.openai_chat import fields
from providers.dialects.served_messages.own_fields import OF_TOOLS
from providers.types import JsonObject

CHOICES = {"auto": "auto", "any": "required", "none": "none"}


def chat_tools(body: JsonObject) -> list[JsonObject]:
    """A tool that Anthropic's servers run themselves stays as it is: only they know its type."""
    return [_tool(tool, f"tools[{index}].") for index, tool in enumerate(fields.objects(body, "tools"))]


def _tool(tool: JsonObject, where: str) -> JsonObject:
    if (fields.text(tool, "type", where) or "custom") != "custom":
        return tool
    function = fields.present(
        name=fields.required_text(tool, "name", where),
        description=fields.text(tool, "description", where),
        parameters=fields.required_mapping(tool, "input_schema", where),
        strict=fields.flag(tool, "strict", where),
    )
    mark = fields.mapping(tool, "cache_control", where)
    own = {name: tool[name] for name in OF_TOOLS if tool.get(name) is not None}
    return {"type": "function", "function": function, **own, **fields.present(cache_control=mark)}


def chat_tool_choice(body: JsonObject) -> JsonObject:
    """The fields of a chat that has tools."""
    choice = fields.mapping(body, "tool_choice")
    if choice is None:
        return {}
    kind = fields.required_text(choice, "type", "tool_choice.")
    if kind == "tool":
        name = fields.required_text(choice, "name", "tool_choice.")
        chosen: str | JsonObject = {"type": "function", "function": {"name": name}}
    elif kind in CHOICES:
        chosen = CHOICES[kind]
    else:
        fields.refuse("tool_choice.type", f"one of {', '.join((*CHOICES, 'tool'))}")
    alone = fields.flag(choice, "disable_parallel_tool_use", "tool_choice.")
    return {"tool_choice": chosen, **fields.present(parallel_tool_calls=False if alone else None)}
