"""Tools of a Responses request, and which of them is to be called. Pure.

Functions and custom tools are the client's. A search of the web is the provider's, and the only one that a chat
completion can ask for: by `web_search_options`.
"""

from typing import Any, NoReturn

from providers.dialects.openai_chat import fields
from providers.dialects.served_responses import added_tools, namespaces
from providers.errors import ClientFault
from providers.types import JsonObject

OWN = ("function", "custom")
SEARCHES = frozenset(
    {"web_search", "web_search_2025_08_26", "web_search_preview", "web_search_preview_2025_03_11"}
)  # fmt: skip
SEARCH_FIELDS = frozenset({"type", "search_context_size", "user_location", "filters"})
MODES = ("none", "auto", "required")


def check_tools(body: JsonObject) -> None:
    """Raises `ClientFault` naming the tool, or the choice."""
    for position, tool in enumerate(fields.objects(body, "tools")):
        _check_tool(tool, f"tools[{position}].")
    for place, item in added_tools.items_with_tools(body):
        for position, tool in enumerate(added_tools.tools_of(item, f"input[{place}].")):
            _check_tool(tool, f"input[{place}].tools[{position}].")
    _check_choice(body)


def _check_tool(tool: JsonObject, where: str) -> None:
    kind = fields.required_text(tool, "type", where)
    if kind in OWN:
        _check_own(tool, where)
    elif kind in SEARCHES:
        _check_search(tool, where)
    elif kind == namespaces.KIND:
        _check_namespace(tool, where)
    elif kind == added_tools.SEARCH:
        _check_tool_search(tool, where)
    else:
        _refuse_kind(kind, where, f"function, custom, namespace, {added_tools.SEARCH} and web_search")


def _check_tool_search(tool: JsonObject, where: str) -> None:
    if tool.get("execution") != added_tools.BY_CLIENT:
        fields.refuse(f"{where}execution", f"'{added_tools.BY_CLIENT}': providers search for no tools here")
    fields.text(tool, "description", where)
    fields.mapping(tool, "parameters", where)


def _refuse_kind(kind: str, where: str, known: str) -> NoReturn:
    message = f"'{where}type' is '{kind[:100]}'; tools here are {known}."
    raise ClientFault(message, param=f"{where}type", code="unsupported_value")


def _check_namespace(namespace: JsonObject, where: str) -> None:
    if not fields.required_text(namespace, "name", where):
        fields.refuse(f"{where}name", "a string that is not empty")
    for position, tool in enumerate(fields.objects(namespace, "tools", where)):
        inner = f"{where}tools[{position}]."
        kind = fields.required_text(tool, "type", inner)
        if kind not in OWN:
            _refuse_kind(kind, inner, "function and custom")
        _check_own(tool, inner)


def _check_own(tool: JsonObject, where: str) -> None:
    if not fields.required_text(tool, "name", where):
        fields.refuse(f"{where}name", "a string that is not empty")
    fields.text(tool, "description", where)
    fields.mapping(tool, "parameters", where)
    fields.flag(tool, "strict", where)
    fields.mapping(tool, "format", where)
    if tool.get("defer_loading"):
        message = f"'{where}defer_loading' is not supported: there is no tool search here."
        raise ClientFault(message, param=f"{where}defer_loading", code="unsupported_parameter")


def _check_search(tool: JsonObject, where: str) -> None:
    for name, value in tool.items():
        if name not in SEARCH_FIELDS and value is not None:
            message = f"'{where}{name}' is not supported: a chat completion cannot carry it."
            raise ClientFault(message, param=where + name, code="unsupported_parameter")
    fields.text(tool, "search_context_size", where)
    fields.mapping(tool, "user_location", where)
    fields.mapping(tool, "filters", where)


def own_tools(body: JsonObject) -> list[JsonObject]:
    """Those that a later item brings once more count as it has them: no provider takes a name twice."""
    flat = namespaces.flat_tools(map(added_tools.as_function, added_tools.every_tool(body)))
    return list({(tool["type"], tool["name"]): tool for tool in flat if tool["type"] in OWN}.values())


def chat_tools(body: JsonObject) -> list[JsonObject]:
    return [{"type": tool["type"], tool["type"]: _inner_tool(tool)} for tool in own_tools(body)]


def _inner_tool(tool: JsonObject) -> JsonObject:
    """Chat nests the grammar of a custom tool once more."""
    about = fields.present(name=tool["name"], description=tool.get("description"))
    if tool["type"] == "function":
        return about | fields.present(parameters=tool.get("parameters"), strict=tool.get("strict"))
    wanted = tool.get("format")
    if wanted is not None and wanted.get("type") == "grammar":
        wanted = {"type": "grammar", "grammar": {name: value for name, value in wanted.items() if name != "type"}}
    return about | fields.present(format=wanted)


def search_options(body: JsonObject) -> JsonObject | None:
    """Chat nests the location below `approximate`; the tool does not."""
    searches = [tool for tool in added_tools.every_tool(body) if tool["type"] in SEARCHES]
    if not searches or body.get("tool_choice") == "none":
        return None
    tool = searches[0]
    place = {name: value for name, value in (tool.get("user_location") or {}).items() if name != "type"}
    location = {"type": "approximate", "approximate": place} if place else None
    return fields.present(
        search_context_size=tool.get("search_context_size"), user_location=location, filters=tool.get("filters")
    )


def _check_choice(body: JsonObject) -> None:
    choice = body.get("tool_choice")
    if choice is None or choice == "none" or choice == "auto":
        return
    offered = [(tool["type"], tool["name"]) for tool in own_tools(body)]
    if choice == "required":
        if not offered:
            raise ClientFault("'tool_choice' is 'required', but there is no tool of yours.", param="tool_choice")
        return
    if not isinstance(choice, dict):
        fields.refuse("tool_choice", f"one of {', '.join(MODES)}, or an object")
    for kind, name in _chosen(choice):
        if (kind, name) not in offered:
            message = f"'tool_choice' speaks of {kind} {name!r}, which is no function or custom tool in 'tools'."
            raise ClientFault(message[:300], param="tool_choice")


def _chosen(choice: JsonObject) -> list[tuple[Any, Any]]:
    """The tools that a choice speaks of, by type and name."""
    if choice.get("type") != "allowed_tools":
        return [(choice.get("type"), choice.get("name"))]
    if choice.get("mode") not in ("auto", "required"):
        fields.refuse("tool_choice.mode", "auto or required")
    allowed = fields.objects(choice, "tools", "tool_choice.")
    if not allowed:
        fields.refuse("tool_choice.tools", "an array of tools that is not empty")
    return [(tool.get("type"), tool.get("name")) for tool in allowed]


def chat_tool_choice(body: JsonObject) -> str | JsonObject | None:
    """Chat completions refuse a choice where there is nothing to choose from."""
    choice = body.get("tool_choice")
    if choice is None or not own_tools(body):
        return None
    if isinstance(choice, str):
        return choice
    if choice["type"] != "allowed_tools":
        return _chat_tool(choice)
    tools = [_chat_tool(tool) for tool in choice["tools"]]
    return {"type": "allowed_tools", "allowed_tools": {"mode": choice["mode"], "tools": tools}}


def _chat_tool(tool: JsonObject) -> JsonObject:
    return {"type": tool["type"], tool["type"]: {"name": tool["name"]}}
