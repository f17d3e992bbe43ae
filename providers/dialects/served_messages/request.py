"""The body of `POST /v1/messages` to the body of a chat completion. Pure.

What has no place in a chat and matters is refused by name; what only Anthropic's own servers understand goes along in one
field (see `own_fields`). A field that is not known here goes on as it is, as those of a chat do.
"""

import hashlib
from typing import Any

from providers.dialects.openai_chat import fields
from providers.dialects.served_chat import SEVERAL, refuse_fields_of_chats, renamed
from providers.dialects.served_messages.betas import context_edits, passed_betas
from providers.dialects.served_messages.content import chat_messages
from providers.dialects.served_messages.errors import NO_THREADS
from providers.dialects.served_messages.own_fields import BETAS, OWN
from providers.dialects.served_messages.tools import chat_tool_choice, chat_tools
from providers.errors import ClientFault
from providers.types import JsonObject

ONLY_THERE = (
    "thinking",
    "top_k",
    "output_config",
    "cache_control",
    "container",
    "mcp_servers",
    "inference_geo",
    "speed",
)
LEFT_OUT = frozenset(
    {
        "context_management", "betas", "diagnostics", "user_profile_id", "workspace_id", "billing_policy",
        "fallback_credit_token",
    }
)  # fmt: skip
"""Of Anthropic's trials, which its servers refuse without their header and which make an answer cheaper, not another one; and
what says whose account pays, which is the gateway's."""
SAME = ("model", "max_tokens", "temperature", "top_p")
OF_CHATS = frozenset({"stream_options", OWN})
"""They say how a chat is carried, which is decided here."""
TRANSLATED = frozenset(
    {
        *ONLY_THERE, *LEFT_OUT, *SAME, "messages", "system", "tools", "tool_choice", "stop_sequences", "stream", "metadata",
        "service_tier", "output_format", *SEVERAL, *OF_CHATS,
    }
)  # fmt: skip
MOVED = {
    "stop": "stop_sequences",
    "max_completion_tokens": "max_tokens",
    "functions": "tools",
    "response_format": "output_config.format",
    "reasoning_effort": "output_config.effort",
    "function_call": "tool_choice",
}
"""What chat completions call a field, and where it is here."""
KEPT_THERE = {
    "thread": ("no conversation is kept here, send all of it without 'thread'", NO_THREADS),
    "compaction": ("nobody but Anthropic summarizes a conversation", "unsupported_parameter"),
}
"""Why not, and the code. A client that was told so of threads sends the whole conversation."""
TIERS = {"auto": "auto", "standard_only": "default"}
EFFORTS = ((4096, "high"), (2048, "medium"), (0, "low"))
"""How much thinking a budget of so many tokens is, for models that are told in words."""
LONGEST_USER = 64
"""OpenAI refuses longer ones; Claude Code sends three ids in one."""


def to_chat(body: JsonObject, *, counting: bool = False, beta: str = "") -> JsonObject:
    """Raises `ClientFault` naming the field. `counting`: no answer is wanted, so none has to be limited; `beta`: the header
    `anthropic-beta`."""
    _refuse(body)
    _check(body, counting=counting)
    chat: JsonObject = {name: body[name] for name in SAME if body.get(name) is not None}
    chat["messages"] = chat_messages(body)
    tools = chat_tools(body)
    if tools:
        chat |= {"tools": tools, **chat_tool_choice(body)}
    chat |= fields.present(
        stop=list(fields.texts(body, "stop_sequences")) or None,
        user=_user(body),
        service_tier=TIERS.get(body.get("service_tier") or ""),
        reasoning_effort=_effort(body),
        response_format=_format(body),
    )
    if body.get("stream"):
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    chat[OWN] = _own(body, passed_betas(beta) if beta else [])
    return chat | {name: value for name, value in body.items() if name not in TRANSLATED and value is not None}


def _own(body: JsonObject, betas: list[str]) -> JsonObject:
    own: JsonObject = {name: body[name] for name in ONLY_THERE if body.get(name) is not None}
    if "format" in own.get("output_config", ()):
        # The chat's `response_format` says it, which a model without formats is told in another way.
        config = {name: value for name, value in own.pop("output_config").items() if name != "format"}
        own |= {"output_config": config} if config else {}
    if betas:
        own |= {BETAS: betas, **fields.present(context_management=context_edits(body.get("context_management"), betas))}
    return own


def _check(body: JsonObject, *, counting: bool) -> None:
    fields.required_text(body, "model")
    limit = fields.integer(body, "max_tokens")
    if (limit is None and not counting) or (limit is not None and limit < 1):
        fields.refuse("max_tokens", "an integer of at least 1")
    for name in ("temperature", "top_p"):
        value = fields.number(body, name)
        if value is not None and not 0 <= value <= 1:
            fields.refuse(name, "a number from 0 to 1")
    fields.integer(body, "top_k")
    fields.flag(body, "stream")
    fields.mapping(body, "metadata")
    tier = fields.text(body, "service_tier")
    if tier is not None and tier not in TIERS:
        fields.refuse("service_tier", f"one of {', '.join(TIERS)}")
    fields.mapping(body, "output_config")
    fields.mapping(body, "output_format")
    thinking = fields.mapping(body, "thinking")
    if thinking is not None:
        fields.required_text(thinking, "type", "thinking.")


def _refuse(body: JsonObject) -> None:
    refuse_fields_of_chats(body, MOVED, api="Messages", answer="a message is one answer")
    for name, (why, code) in KEPT_THERE.items():
        if body.get(name) is not None:
            raise ClientFault(f"Unsupported parameter: '{name}': {why}.", param=name, code=code)


def _user(body: JsonObject) -> str | None:
    """What identifies the end user. Too long for some providers it is told apart from others by its digest."""
    user = fields.text(body.get("metadata") or {}, "user_id", "metadata.")
    if not user or len(user) <= LONGEST_USER:
        return user or None
    return hashlib.sha256(user.encode("utf-8", "surrogatepass")).hexdigest()


def _effort(body: JsonObject) -> str | None:
    effort = fields.text(body.get("output_config") or {}, "effort", "output_config.")
    if effort is not None:
        return "xhigh" if effort == "max" else effort
    thinking = body.get("thinking") or {}
    if thinking.get("type") != "enabled":
        return None
    budget = fields.integer(thinking, "budget_tokens", "thinking.") or 0
    if budget < 0:
        fields.refuse("thinking.budget_tokens", "an integer of at least 0")
    return next(word for least, word in EFFORTS if budget >= least)


def _format(body: JsonObject) -> JsonObject | None:
    """`output_format` is what `output_config.format` was called while it was tried."""
    wanted: Any = (body.get("output_config") or {}).get("format") or body.get("output_format")
    if wanted is None:
        return None
    where = "output_config.format"
    if not isinstance(wanted, dict) or wanted.get("type") != "json_schema":
        fields.refuse(where, "an object of type json_schema")
    schema = fields.required_mapping(wanted, "schema", where + ".")
    return {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema, "strict": True}}


NAMES = {chat: here for here, chat in (
    ("stop_sequences", "stop"), ("max_tokens", "max_completion_tokens"), ("metadata.user_id", "user"),
    ("output_config.format", "response_format"), ("thinking", "reasoning_effort"),
    ("tool_choice.disable_parallel_tool_use", "parallel_tool_calls"), ("messages", "messages"),
)}  # fmt: skip
"""Of messages no more than that: the chat's are counted otherwise, with the system's and results of tools among them."""


def name_of_field(param: str | None) -> str | None:
    return renamed(param, NAMES)
