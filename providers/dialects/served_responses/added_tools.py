"""Tools that come with the conversation, and the search for more that a client runs itself. Pure.

An item `additional_tools` offers tools from where it stands, `tool_search_output` those that were found. A chat completion
offers all its tools at once, so theirs are offered like those in `tools`. To the model such a search is a function.
"""

from typing import Any

import orjson

from providers.dialects.openai_chat import fields
from providers.dialects.served_responses.namespaces import flat_tools
from providers.types import JsonObject

SEARCH = "tool_search"
SEARCH_CALL = "tool_search_call"
FOUND = "tool_search_output"
ADDED = "additional_tools"
BRINGING = (ADDED, FOUND)
BY_CLIENT = "client"
DEFERRED = "defer_loading"


def items_with_tools(body: JsonObject) -> list[tuple[int, JsonObject]]:
    """Each with its position in the input."""
    given = body.get("input")
    if not isinstance(given, list):
        return []
    return [(position, item) for position, item in enumerate(given) if item.get("type") in BRINGING]


def tools_of(item: JsonObject, where: str = "") -> list[JsonObject]:
    """What was found was put off until then, and says so still."""
    tools = fields.objects(item, "tools", where)
    return [_at_once(tool) for tool in tools] if item["type"] == FOUND else tools


def _at_once(tool: JsonObject) -> JsonObject:
    loaded = {name: value for name, value in tool.items() if name != DEFERRED}
    if isinstance(inner := loaded.get("tools"), list):
        loaded["tools"] = [_at_once(each) if isinstance(each, dict) else each for each in inner]
    return loaded


def every_tool(body: JsonObject) -> list[JsonObject]:
    return [*(body.get("tools") or ()), *(tool for _, item in items_with_tools(body) for tool in tools_of(item))]


def as_function(tool: JsonObject) -> JsonObject:
    """A search as the model sees it, any other tool as it is."""
    if tool["type"] != SEARCH:
        return tool
    return {"type": "function", "name": SEARCH} | fields.present(
        description=tool.get("description"), parameters=tool.get("parameters")
    )


def without_searches(given: Any) -> Any:
    """The input with searches as calls of a function, and without the items that only offer tools."""
    if isinstance(given, str):
        return given
    return [_plain(item) for item in given if item.get("type") != ADDED]


def _plain(item: JsonObject) -> JsonObject:
    kind = item.get("type")
    if kind == SEARCH_CALL:
        arguments = item.get("arguments")
        written = arguments if isinstance(arguments, str) else orjson.dumps(arguments or {}).decode()
        return {"type": "function_call", "call_id": item["call_id"], "name": SEARCH, "arguments": written}
    if kind == FOUND:
        # Tools that run at OpenAI have no name.
        names = ", ".join(tool.get("name") or tool["type"] for tool in flat_tools(tools_of(item)))
        told = f"These tools can be called now: {names}" if names else "No tools were found."
        return {"type": "function_call_output", "call_id": item["call_id"], "output": told}
    return item
