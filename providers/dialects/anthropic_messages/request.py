"""A chat call → the body of Anthropic's `POST /v1/messages`. Pure.

What the upstream cannot do is refused with `Unsupported` when the answer would differ visibly, and left out when
OpenAI itself ignores it or nothing in the answer shows it; docs/providers.md is the table.
"""

import re

from providers.dialects.anthropic_messages.messages import encode_messages
from providers.dialects.anthropic_messages.schema import restrict_schema
from providers.dialects.anthropic_messages.thinking import encode_thinking, keeps_reasoning
from providers.dialects.anthropic_messages.tools import encode_tools
from providers.dialects.anthropic_messages.traits import ModelTraits
from providers.errors import ClientFault, Unsupported
from providers.types import ChatCall, JsonObject

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
_REFUSED_EXTRAS = ("moderation", "audio")
_NATIVE_OBJECTS = ("thinking", "output_config")
_TIERS = {"auto": "auto", "default": "standard_only"}
_PERSONAL = re.compile(r".*@.*|\+?[\d\s().-]{7,}")


def encode_request(
    call: ChatCall,
    *,
    model: str,
    max_output_tokens: int | None,
    traits: ModelTraits,
    version: str,
    provider: str = "anthropic",
) -> JsonObject:
    """`max_output_tokens` is the model's limit where known: the default and the upper bound of `max_tokens`, which the
    upstream requires. Raises `Unsupported` and `ClientFault`."""
    _refuse(call, provider)
    max_tokens = _max_tokens(call.max_output_tokens, max_output_tokens)
    thinking, effort = encode_thinking(call, traits, max_tokens)
    system, messages = encode_messages(
        call.messages, traits=traits, keep_reasoning=keeps_reasoning(call, traits, thinking), provider=provider
    )
    body: JsonObject = {"model": model, "max_tokens": max_tokens}
    if _wants_json_object(call):
        system.append({"type": "text", "text": JSON_INSTRUCTION})
    if system:
        body["system"] = system
    body["messages"] = messages
    body.update(encode_tools(call, traits, provider))
    if call.extra:
        body.update({name: call.extra[name] for name in sorted(_NATIVE_FIELDS & call.extra.keys()) if name != "top_k"})
        body.pop("thinking", None)
    if thinking is not None:
        body["thinking"] = thinking
    if config := _output_config(call, traits, effort):
        body["output_config"] = config
    if traits.sampling and version < VERSION_WITHOUT_SAMPLING:
        body.update(_sampling(call, traits, thinking is not None and thinking != {"type": "disabled"}))
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
        # Without a word in them they ask for a search, too.
        "web_search_options": call.extra.get("web_search_options") is not None,
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
