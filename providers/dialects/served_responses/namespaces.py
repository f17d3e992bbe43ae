"""Tools in namespaces, which a chat completion does not have: there each is called `NAMESPACE__NAME`. Pure.

Codex groups its own tools so, and those of every MCP server.
"""

from collections.abc import Iterable
from typing import Any

from providers.types import JsonObject

KIND = "namespace"
LONGEST_NAME = 64


def _flat_name(namespace: str, name: str) -> str:
    """No provider takes a name that is longer: such a tool keeps its own."""
    joined = f"{namespace}__{name}"
    return joined if len(joined) <= LONGEST_NAME else name


def flat_tools(tools: Iterable[JsonObject]) -> list[JsonObject]:
    """What a namespace says of itself is left out: there is no tool to say it of."""
    flat: list[JsonObject] = []
    for tool in tools:
        if tool["type"] != KIND:
            flat.append(tool)
            continue
        flat += [{**each, "name": _flat_name(tool["name"], each["name"])} for each in tool.get("tools") or ()]
    return flat


def flat_input(given: Any) -> Any:
    """Earlier calls by the names that their tools have in the chat."""
    if isinstance(given, str):
        return given
    return [
        {**item, "name": _flat_name(item["namespace"], item["name"])}
        if item.get("namespace") and "name" in item
        else item
        for item in given
    ]


def names_in_namespaces(tools: Iterable[JsonObject]) -> dict[str, tuple[str, str]]:
    """By the name in the chat, namespace and name."""
    return {
        _flat_name(tool["name"], each["name"]): (tool["name"], each["name"])
        for tool in tools
        if tool["type"] == KIND
        for each in tool.get("tools") or ()
    }
