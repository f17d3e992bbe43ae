"""A chat call ↔ the body of Anthropic's `POST /v1/messages`. Pure.

What the upstream cannot do is refused with `Unsupported` when the answer would differ visibly, and left out when
OpenAI itself ignores it or nothing in the answer shows it; docs/providers.md is the table.
"""

import re
from types import UnionType
from typing import Any

from providers.dialects.anthropic_messages.messages import decode_messages, encode_messages
from providers.dialects.anthropic_messages.schema import restrict_schema
from providers.dialects.anthropic_messages.thinking import decode_thinking, encode_thinking, keeps_reasoning
from providers.dialects.anthropic_messages.tools import decode_choice, decode_tools, encode_tools
from providers.dialects.anthropic_messages.traits import ModelTraits
from providers.errors import ClientFault, Unsupported
from providers.types import ChatCall, JsonObject, Message, ResponseFormat, TextPart

VERSION_WITHOUT_SAMPLING = "2026-10-21"
DEFAULT_MAX_TOKENS = 4096
JSON_INSTRUCTION = "Answer with one valid JSON object and nothing else: no prose around it and no code fence."

_NATIVE_FIELDS = frozenset(
    {
        "cache_control",
        "container",
        "context_management",
        "diagnostics",
        "inference_geo",
        "mcp_servers",
        "output_config",
        "speed",
        "thinking",
        "top_k",
    }
)
_REFUSED_EXTRAS = ("web_search_options", "moderation", "audio")
_NATIVE_OBJECTS = ("thinking", "output_config")
_TIERS = {"auto": "auto", "default": "standard_only"}
_PERSONAL = re.compile(r".*@.*|\+?[\d\s().-]{7,}")


# ------------------------------------------------------------------------------------------------------------ encoding


def encode_request(
    call: ChatCall,
    *,
    model: str,
    max_output_tokens: int | None,
    quirks: ModelTraits,
    version: str,
    provider: str = "anthropic",
) -> JsonObject:
    """`max_output_tokens` is the model's limit where known: the default and the upper bound of `max_tokens`, which the
    upstream requires. Raises `Unsupported` and `ClientFault`."""
    _refuse(call, provider)
    max_tokens = _max_tokens(call.max_output_tokens, max_output_tokens)
    thinking, effort = encode_thinking(call, quirks, max_tokens)
    system, messages = encode_messages(
        call.messages, traits=quirks, keep_reasoning=keeps_reasoning(call, quirks, thinking), provider=provider
    )
    body: JsonObject = {"model": model, "max_tokens": max_tokens}
    if _wants_json_object(call):
        system.append({"type": "text", "text": JSON_INSTRUCTION})
    if system:
        body["system"] = system
    body["messages"] = messages
    body.update(encode_tools(call, quirks, provider))
    if call.extra:
        body.update({name: call.extra[name] for name in sorted(_NATIVE_FIELDS & call.extra.keys()) if name != "top_k"})
        body.pop("thinking", None)
    if thinking is not None:
        body["thinking"] = thinking
    if config := _output_config(call, quirks, effort):
        body["output_config"] = config
    if quirks.sampling and version < VERSION_WITHOUT_SAMPLING:
        body.update(_sampling(call, quirks, thinking is not None and thinking != {"type": "disabled"}))
    body.update(_small_fields(call, provider))
    return body


def _refuse(call: ChatCall, provider: str) -> None:
    for name in _NATIVE_OBJECTS:
        if not isinstance(call.extra.get(name), dict | None):
            raise ClientFault(f"'{name}' must be an object.", code="invalid_type", param=name)
    modalities = call.extra.get("modalities")
    refused = {
        "n": call.n is not None and call.n > 1,
        "logprobs": call.logprobs,
        "top_logprobs": call.top_logprobs,
        "logit_bias": call.logit_bias,
        "presence_penalty": call.presence_penalty,
        "frequency_penalty": call.frequency_penalty,
        "modalities": isinstance(modalities, list) and "audio" in modalities,
        **{name: call.extra.get(name) for name in _REFUSED_EXTRAS},
    }
    for name, asked in refused.items():
        if asked:
            raise Unsupported(field=name, provider=provider)


def _max_tokens(asked: int | None, limit: int | None) -> int:
    if asked is None:
        return limit or DEFAULT_MAX_TOKENS
    return min(asked, limit) if limit else asked


def _wants_json_object(call: ChatCall) -> bool:
    return call.response_format is not None and call.response_format.kind == "json_object"


def _output_config(call: ChatCall, traits: ModelTraits, effort: str | None) -> JsonObject:
    config: JsonObject = dict(call.extra.get("output_config") or {})
    wanted = call.response_format
    if effort is not None:
        config["effort"] = effort
    if wanted is not None and wanted.kind == "json_schema" and traits.structured_output:
        schema = restrict_schema(wanted.schema or {"type": "object", "properties": {}})
        if wanted.description and "description" not in schema:
            schema["description"] = wanted.description
        config["format"] = {"type": "json_schema", "schema": schema}
    return config


def _sampling(call: ChatCall, traits: ModelTraits, thinks: bool) -> JsonObject:
    """Thinking excludes sampling parameters. Where one of the two is the most that is accepted, the one that says
    something (is not 1) stays, temperature first."""
    if thinks:
        return {}
    temperature = None if call.temperature is None else min(max(call.temperature, 0), 1)
    top_p = call.top_p
    if not traits.sampling_pair and temperature is not None and top_p is not None:
        if temperature == 1:
            temperature = None
        else:
            top_p = None
    fields = {"temperature": temperature, "top_p": top_p, "top_k": call.extra.get("top_k")}
    return {name: value for name, value in fields.items() if value is not None}


def _small_fields(call: ChatCall, provider: str) -> JsonObject:
    fields: JsonObject = {}
    if stop := [text for text in call.stop if text] if call.stop else []:
        if any(not text.strip() for text in stop):
            raise Unsupported(field="stop", provider=provider, why="a stop sequence of white space only")
        fields["stop_sequences"] = stop
    user = call.extra.get("safety_identifier") or call.user
    if (
        isinstance(user, str) and user and not _PERSONAL.fullmatch(user)
    ):  # e-mail addresses and telephone numbers are refused
        fields["metadata"] = {"user_id": user}
    if tier := _TIERS.get(call.service_tier or ""):
        fields["service_tier"] = tier
    if call.stream:
        fields["stream"] = True
    return fields


# ------------------------------------------------------------------------------------------------------------ decoding


def decode_request(body: JsonObject) -> ChatCall:
    """The same the other way round. Fields that OpenAI does not have stay under their own name in `extra`.
    Raises `ClientFault` when a required field is missing or has the wrong shape."""
    messages, json_object = _take_json_instruction(decode_messages(body.get("system"), body.get("messages")))
    choice, parallel = decode_choice(body.get("tool_choice"))
    effort, extra = decode_thinking(body)
    response_format, rest = _decode_config(body.get("output_config"))
    extra.update({name: body[name] for name in _NATIVE_FIELDS - {"thinking", "output_config"} if name in body})
    if rest:
        extra["output_config"] = rest
    tiers = {upstream: ours for ours, upstream in _TIERS.items()}
    stream = bool(body.get("stream"))
    return ChatCall(
        model=_required(body, "model", str),
        messages=messages,
        tools=decode_tools(body.get("tools")),
        tool_choice=choice,
        parallel_tool_calls=parallel,
        response_format=ResponseFormat(kind="json_object") if json_object else response_format,
        max_output_tokens=_required(body, "max_tokens", int),
        temperature=_optional(body, "temperature", int | float, "a number"),
        top_p=_optional(body, "top_p", int | float, "a number"),
        stop=tuple(map(str, _optional(body, "stop_sequences", list, "a list") or ())),
        reasoning_effort=effort,
        user=(_optional(body, "metadata", dict, "an object") or {}).get("user_id"),
        service_tier=tiers.get(_optional(body, "service_tier", str, "a string") or ""),
        stream=stream,
        include_usage=stream,
        extra=extra,
    )


def _required(body: JsonObject, name: str, kind: type[Any]) -> Any:
    value = body.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise ClientFault(f"{name}: field required", param=name)
    return value


def _optional(body: JsonObject, name: str, kind: type[Any] | UnionType, wanted: str) -> Any:
    value = body.get(name)
    if not isinstance(value, kind | None):
        raise ClientFault(f"{name}: Input should be {wanted}", param=name)
    return value


def _decode_config(config: Any) -> tuple[ResponseFormat | None, JsonObject]:
    if not isinstance(config, dict):
        return None, {}
    rest = {key: value for key, value in config.items() if key not in ("effort", "format")}
    wanted = config.get("format")
    if not isinstance(wanted, dict):
        return None, rest
    return ResponseFormat(kind="json_schema", name="answer", schema=wanted.get("schema"), strict=True), rest


def _take_json_instruction(messages: tuple[Message, ...]) -> tuple[tuple[Message, ...], bool]:
    """Our own instruction at the end of the system prompt is `json_object` again."""
    first = messages[0] if messages else None
    instruction = TextPart(text=JSON_INSTRUCTION)
    if first is None or first.role != "system" or not first.parts or first.parts[-1] != instruction:
        return messages, False
    parts = first.parts[:-1]
    kept = (Message(role="system", parts=parts), *messages[1:]) if parts else messages[1:]
    return kept, True
