"""A chat completion request, read. Pure.

What has a type is read into it; every other field is kept in `extra` under its own name, so that nothing is lost.
"""

from collections.abc import Mapping
from typing import Any

from providers.dialects.openai_chat import fields
from providers.dialects.openai_chat.messages import decode_messages
from providers.dialects.openai_chat.tools import decode_response_format, decode_tool_choice, decode_tools
from providers.types import ChatCall, JsonObject

_TYPED = frozenset(
    {
        "model",
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "function_call",
        "parallel_tool_calls",
        "response_format",
        "max_completion_tokens",
        "max_tokens",
        "temperature",
        "top_p",
        "stop",
        "n",
        "seed",
        "presence_penalty",
        "frequency_penalty",
        "logit_bias",
        "logprobs",
        "top_logprobs",
        "reasoning_effort",
        "verbosity",
        "user",
        "service_tier",
        "stream",
    }
)


def decode_request(body: JsonObject) -> ChatCall:
    """Raises `ClientFault` naming the field that is wrong."""
    options = fields.mapping(body, "stream_options") or {}
    extra = {key: value for key, value in body.items() if key not in _TYPED and value is not None}
    others = {key: value for key, value in options.items() if key != "include_usage"}
    extra.pop("stream_options", None)
    if others:
        extra["stream_options"] = others
    max_tokens = fields.integer(body, "max_completion_tokens")
    return ChatCall(
        model=fields.required_text(body, "model"),
        messages=decode_messages(body),
        tools=decode_tools(body),
        tool_choice=decode_tool_choice(body),
        parallel_tool_calls=fields.flag(body, "parallel_tool_calls"),
        response_format=decode_response_format(body),
        max_output_tokens=max_tokens if max_tokens is not None else fields.integer(body, "max_tokens"),
        temperature=fields.number(body, "temperature"),
        top_p=fields.number(body, "top_p"),
        stop=fields.texts(body, "stop"),
        n=fields.integer(body, "n"),
        seed=fields.integer(body, "seed", most=fields.MOST_OF_SEED),
        presence_penalty=fields.number(body, "presence_penalty"),
        frequency_penalty=fields.number(body, "frequency_penalty"),
        logit_bias=_logit_bias(body),
        logprobs=fields.flag(body, "logprobs"),
        top_logprobs=fields.integer(body, "top_logprobs"),
        reasoning_effort=fields.text(body, "reasoning_effort") or effort_of_routers(body.get("reasoning")),
        verbosity=fields.text(body, "verbosity"),
        user=fields.text(body, "user"),
        service_tier=fields.text(body, "service_tier"),
        stream=bool(fields.flag(body, "stream")),
        include_usage=bool(fields.flag(options, "include_usage", "stream_options.")),
        extra=extra,
    )


def effort_of_routers(reasoning: Any) -> str | None:
    """`{"reasoning": {"effort"}}` is how OpenRouter's clients say it; anything else there has no equal elsewhere."""
    effort = reasoning.get("effort") if type(reasoning) is dict else None
    return effort if isinstance(effort, str) else None


def say_effort(body: JsonObject) -> None:
    """The same in OpenAI's word, for servers that refuse the other. Changes `body` at its top level."""
    effort = effort_of_routers(body.pop("reasoning", None))
    if effort is not None and body.get("reasoning_effort") is None:
        body["reasoning_effort"] = effort


def _logit_bias(body: JsonObject) -> Mapping[str, float] | None:
    bias = fields.mapping(body, "logit_bias")
    for token in bias or ():
        fields.number(bias or {}, token, "logit_bias.")
    return bias
