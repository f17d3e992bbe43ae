"""What a message asks for and only Anthropic's dialect can say: a chat carries it, and other providers are not sent it. Pure.

`OWN` holds the fields of the body. What is said beside a text, a tool or a result of one (`MARKS`) stays where it is.
What Claude Code says to everybody and not everybody understands is written anew.
"""

from typing import Any

from providers.dialects.anthropic_messages.messages import BLOCK_ORDER, labelled
from providers.dialects.served_messages.strictness import as_strict_as_may_be
from providers.errors import Unsupported
from providers.types import JsonObject

OWN = "messages_api"
BETAS = "betas"
"""Among them: the trials that the client asked for by a header."""
OF_ANSWERS = frozenset({BLOCK_ORDER})
OF_RESULTS = frozenset({"is_error"})
OF_TOOLS = frozenset({"allowed_callers", "defer_loading", "eager_input_streaming", "input_examples"})
MARKS = OF_ANSWERS | OF_RESULTS | OF_TOOLS | {"cache_control"}
RUN_THERE = ("container", "mcp_servers")
"""What Anthropic's servers run beside the model: an answer without it would be another one."""
PARTS = frozenset({"text", "image_url", "file", "refusal"})
BILLING = "x-anthropic-billing-header:"
"""Begins a text before Claude Code's instructions that is a header for Anthropic's servers. It differs from conversation to
conversation, and other servers keep beginnings that are the same."""


def without_own(
    body: JsonObject,
    *,
    provider: str,
    reasons: bool,
    marked: bool = False,
    late_system: bool = True,
    most_output: int | None = None,
) -> JsonObject:
    """The chat without what another dialect's servers may refuse. `reasons`: the model can be told how much to think;
    `marked`: marks for the cache are understood; `late_system`: instructions in the midst of a conversation, too;
    `most_output`: tokens that the model can write at most, where that is known. Raises `Unsupported` for what cannot be left
    out without anybody noticing."""
    for name in RUN_THERE:
        if body[OWN].get(name):
            raise Unsupported(field=name, provider=provider, why="it is Anthropic's alone")
    # A client of Claude's asks every model to think, as far as it can.
    left_out = {OWN} if reasons else {OWN, "reasoning_effort"}
    kept = {name: value for name, value in body.items() if name not in left_out}
    marks = MARKS - {"cache_control"} if marked else MARKS
    messages = [_message(message, marks, provider) for message in body["messages"]]
    kept["messages"] = [each for each in messages if each["role"] != "system" or each["content"]]
    if not late_system:
        kept["messages"] = _with_system_first(kept["messages"])
    if "tools" in body:
        kept["tools"] = [_tool(tool, marks, provider) for tool in body["tools"]]
    if "response_format" in kept:
        wanted = kept["response_format"]
        kept["response_format"] = {**wanted, "json_schema": as_strict_as_may_be(wanted["json_schema"], "schema")}
    if most_output is not None and kept.get("max_tokens", 0) > most_output:
        # The limit has to be said, and is made for Claude.
        kept["max_tokens"] = most_output
    return kept


def _message(message: JsonObject, marks: frozenset[str], provider: str) -> JsonObject:
    kept = {name: value for name, value in message.items() if name not in marks}
    content = message.get("content")
    if isinstance(content, list):
        kept["content"] = [_part(part, marks, provider) for part in content if not _is_billing(part, message)]
    return kept


def _is_billing(part: JsonObject, message: JsonObject) -> bool:
    return bool(message["role"] == "system" and part["type"] == "text" and part["text"].startswith(BILLING))


def _with_system_first(messages: list[JsonObject]) -> list[JsonObject]:
    """Later ones are the user's text, in his turn: the templates of many models take no other."""
    told: list[JsonObject] = []
    begun = joining = False
    for message in messages:
        begun = begun or message["role"] != "system"
        late = begun and message["role"] == "system"
        said = {"role": "user", "content": [labelled(part) for part in _parts(message)]} if late else message
        if (late or joining) and said["role"] == "user" and told[-1]["role"] == "user":
            told[-1] = {"role": "user", "content": [*_parts(told[-1]), *_parts(said)]}
        else:
            told.append(said)
        joining = late
    return told


def _parts(message: JsonObject) -> list[JsonObject]:
    content = message["content"]
    return content if isinstance(content, list) else [{"type": "text", "text": content}]


def _part(part: JsonObject, marks: frozenset[str], provider: str) -> JsonObject:
    if part["type"] == "tool_reference" and isinstance(part.get("tool_name"), str):
        # The tool itself is among those of the request.
        return {"type": "text", "text": part["tool_name"]}
    if part["type"] not in PARTS:
        raise Unsupported(field="messages", provider=provider, why=f"content of type '{part['type']}'")
    # Who understands a mark beside a text may not beside a picture.
    left_out = marks if part["type"] == "text" else MARKS
    return {name: value for name, value in part.items() if name not in left_out}


def _tool(tool: JsonObject, marks: frozenset[str], provider: str) -> JsonObject:
    if tool["type"] != "function":
        raise Unsupported(field="tools", provider=provider, why=f"a tool of type '{tool['type']}'")
    kept = {name: value for name, value in tool.items() if name not in marks}
    return {**kept, "function": as_strict_as_may_be(kept["function"], "parameters")}


def own_of(extra: JsonObject) -> JsonObject:
    """For a provider of Anthropic's dialect: the fields themselves, in the place of the one that holds them."""
    own: dict[str, Any] = extra[OWN]
    return {**{name: value for name, value in extra.items() if name != OWN}, **own}
