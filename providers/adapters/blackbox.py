"""BLACKBOX AI: OpenRouter's chat dialect at a path without a version, with the string "None" where null is meant.

Its documentation shows `/chat/completions` below the host, for `messages` and for `prompt`; a base_url with a version
keeps it. It documents no embeddings and no list of models.
"""

from collections.abc import Mapping

import orjson

from providers.adapters import openrouter
from providers.adapters.base import ClientStream, Delivered, Quirks, configured_path
from providers.adapters.openai_compatible import OpenAICompatibleAdapter, load_answer, show_images
from providers.dialects.call_repair import CallRepair
from providers.dialects.openai_chat import keep_first_call, wants_one_call
from providers.dialects.relay import RelayStream
from providers.errors import Unsupported
from providers.lenient import objects
from providers.specs import DeploymentSpec
from providers.types import ClientRequest, JsonObject, Operation

_NONE = "None"
_SMALLEST_TOP_P = 0.01

# Fields that may be null. Text the model wrote is not among them: it may well say "None".
_NULLABLE = frozenset(
    {
        "system_fingerprint", "service_tier", "provider", "usage",
        "logprobs", "finish_reason", "native_finish_reason", "provider_specific_fields",
        "refusal", "tool_calls", "function_call", "audio", "annotations", "images", "reasoning_details",
    }
)  # fmt: skip
# Clients take a present list of calls for calls: these go rather than become null.
_REMOVED = frozenset({"tool_calls", "function_call"})


def repair_answer(answer: JsonObject) -> bool:
    is_changed = _clean(answer)
    usage = answer.get("usage")
    if isinstance(usage, dict):
        is_changed = _clean_usage(usage) or is_changed
    for choice in objects(answer.get("choices")):
        is_changed = _clean_choice(choice) or is_changed
    return openrouter.repair_answer(answer) or is_changed


def _clean_choice(choice: JsonObject) -> bool:
    is_changed = _clean(choice)
    for name in ("message", "delta", "provider_specific_fields"):
        inner = choice.get(name)
        if isinstance(inner, dict):
            is_changed = _clean(inner) or is_changed
    message = choice.get("message")
    if isinstance(message, dict) and not choice.get("finish_reason"):
        # A complete answer without a reason ended by itself.
        choice["finish_reason"] = "tool_calls" if message.get("tool_calls") else "stop"
        is_changed = True
    return is_changed


def _clean(value: JsonObject) -> bool:
    names = [name for name in value if name in _NULLABLE and value[name] == _NONE]
    for name in names:
        if name in _REMOVED:
            del value[name]
        else:
            value[name] = None
    return bool(names)


def _clean_usage(usage: JsonObject) -> bool:
    is_changed = False
    for name, value in usage.items():
        if value == _NONE:
            usage[name] = None
            is_changed = True
        elif isinstance(value, dict):
            is_changed = _clean_usage(value) or is_changed
    return is_changed


def _text_of_completion(answer: JsonObject) -> bool:
    """The one path answers prompts in either shape; a client of text completions reads `text`."""
    is_changed = repair_answer(answer)
    for choice in objects(answer.get("choices")):
        said = choice.pop("message", None) or choice.pop("delta", None)
        if isinstance(said, dict):
            choice.setdefault("text", said.get("content") or "")
            answer["object"] = "text_completion"
            is_changed = True
    return is_changed


def _with_one_call(body: bytes) -> bytes:
    answer = load_answer(body)
    for choice in objects(answer.get("choices")):
        message = choice.get("message")
        if isinstance(message, dict):
            keep_first_call(message)
    return orjson.dumps(answer)


class _OneCall:
    """One per stream (of one choice): `parallel_tool_calls: false`, of which Blackbox knows nothing."""

    def __init__(self) -> None:
        self._numbered = CallRepair()

    def __call__(self, chunk: JsonObject) -> bool:
        is_changed = repair_answer(chunk)
        for choice in chunk["choices"]:
            delta = choice.get("delta") if isinstance(choice, dict) else None
            if isinstance(delta, dict) and isinstance(delta.get("tool_calls"), list):
                self._keep_first(delta)
                is_changed = True
        return is_changed

    def _keep_first(self, delta: JsonObject) -> None:
        calls = delta.pop("tool_calls")
        self._numbered.mend(calls)
        kept = [call for call in calls if isinstance(call, dict) and call["index"] == 0]
        if kept:
            delta["tool_calls"] = kept


class BlackboxAdapter(OpenAICompatibleAdapter):
    kind = "blackbox"
    label = "BLACKBOX AI"
    default_base_url = "https://api.blackbox.ai"
    version_path = ""
    models_path = None
    operations = frozenset({Operation.CHAT, Operation.COMPLETIONS})
    repairs = True
    quirks = Quirks(
        max_tokens_field="max_tokens",
        # Usage always comes; the option is not among the documented fields.
        accepts_stream_options=False,
        refused=frozenset(
            {"web_search_options", "audio", "moderation", "suffix", "echo", "best_of", *openrouter.CHOOSING}
        ),
        dropped=frozenset(
            {
                "metadata", "store", "service_tier", "verbosity", "prediction", "modalities", "safety_identifier",
                "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
            }
        ),
    )  # fmt: skip

    def path(self, operation: Operation, deployment: DeploymentSpec) -> str:
        return configured_path(deployment.provider, operation) or super().path(Operation.CHAT, deployment)

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        _refuse(body, deployment.provider.name)
        openrouter.refuse_other_models(body, deployment.provider.name)
        if not request.has_plain_roles:
            show_images(body, request)
        if "user" not in body and request.body.get("safety_identifier"):
            body["user"] = request.body["safety_identifier"]
        effort = body.pop("reasoning_effort", None)
        if effort is not None:
            body.setdefault("reasoning", {"effort": effort})
        top_p = body.get("top_p")
        if isinstance(top_p, int | float):
            body["top_p"] = max(top_p, _SMALLEST_TOP_P)
        return body

    def repair(self, answer: JsonObject) -> bool:
        return repair_answer(answer)

    def read_answer(
        self, request: ClientRequest, deployment: DeploymentSpec, headers: Mapping[str, str], body: bytes
    ) -> Delivered:
        if request.operation is Operation.COMPLETIONS:
            answer = load_answer(body)
            _text_of_completion(answer)
            body = orjson.dumps(answer)
        elif wants_one_call(request.body):
            body = _with_one_call(body)
        return super().read_answer(request, deployment, headers, body)

    def open_stream(self, request: ClientRequest, deployment: DeploymentSpec) -> ClientStream:
        if request.operation is not Operation.CHAT:
            return RelayStream(request, repair=_text_of_completion)
        return RelayStream(request, repair=_OneCall() if wants_one_call(request.body) else repair_answer)


def _refuse(body: JsonObject, provider: str) -> None:
    """Fields of which only some values are impossible; the possible ones say what Blackbox does anyway."""
    if body.pop("n", None) not in (None, 1):
        raise Unsupported(field="n", provider=provider, why="it makes one answer per request")
    body.pop("parallel_tool_calls", None)
    wanted = body.get("response_format")
    if isinstance(wanted, dict) and wanted.get("type") == "json_schema":
        raise Unsupported(field="response_format", provider=provider, why="it takes json_object, but no schema")
    if isinstance(wanted, dict) and wanted.get("type") == "text":
        del body["response_format"]
