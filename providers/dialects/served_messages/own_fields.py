"""What a message asks for and only Anthropic's dialect can say: a chat carries it, and other providers are not sent it. Pure.

`OWN` holds the fields of the body. What is said beside a text, a tool or a result of one (`MARKS`) stays where it is.
"""

from typing import Any

from providers.errors import Unsupported
from providers.types import JsonObject

OWN = "messages_api"
OF_RESULTS = frozenset({"is_error"})
MARKS = OF_RESULTS | {"cache_control"}
PARTS = frozenset({"text", "image_url", "file", "refusal"})


def without_own(body: JsonObject, *, provider: str, reasons: bool, marked: bool = False) -> JsonObject:
    """The chat without what another dialect's servers may refuse. `reasons`: the model can be told how much to think;
    `marked`: marks for the cache are understood. Raises `Unsupported` for what cannot be left out without anybody noticing."""
    # A client of Claude's asks every model to think, as far as it can.
    left_out = {OWN} if reasons else {OWN, "reasoning_effort"}
    kept = {name: value for name, value in body.items() if name not in left_out}
    marks = OF_RESULTS if marked else MARKS
    kept["messages"] = [_message(message, marks, provider) for message in body["messages"]]
    if "tools" in body:
        kept["tools"] = [_tool(tool, marks, provider) for tool in body["tools"]]
    return kept


def _message(message: JsonObject, marks: frozenset[str], provider: str) -> JsonObject:
    kept = {name: value for name, value in message.items() if name not in marks}
    content = message.get("content")
    if isinstance(content, list):
        kept["content"] = [_part(part, marks, provider) for part in content]
    return kept


def _part(part: JsonObject, marks: frozenset[str], provider: str) -> JsonObject:
    if part["type"] not in PARTS:
        raise Unsupported(field="messages", provider=provider, why=f"content of type '{part['type']}'")
    return {name: value for name, value in part.items() if name not in marks}


def _tool(tool: JsonObject, marks: frozenset[str], provider: str) -> JsonObject:
    if tool["type"] != "function":
        raise Unsupported(field="tools", provider=provider, why=f"a tool of type '{tool['type']}'")
    return {name: value for name, value in tool.items() if name not in marks}


def own_of(extra: JsonObject) -> JsonObject:
    """For a provider of Anthropic's dialect: the fields themselves, in the place of the one that holds them."""
    own: dict[str, Any] = extra[OWN]
    return {**{name: value for name, value in extra.items() if name != OWN}, **own}
