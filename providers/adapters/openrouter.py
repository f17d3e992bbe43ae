"""OpenRouter: OpenAI's dialect with routing extras, comments in streams, errors in 200s and cost in the usage."""

from collections.abc import Mapping
from typing import Any

import orjson

from providers.adapter_options import LINE, Option
from providers.adapters.base import Quirks
from providers.adapters.openai_compatible import SUMMARY, OpenAICompatibleAdapter, shape_history
from providers.dialects import model_choice, upstream_errors
from providers.dialects.retry_after import retry_after_s
from providers.errors import ModelNotFound, QuotaExhausted, RateLimited, Unsupported, UpstreamError
from providers.lenient import an_object, objects
from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import ClientRequest, JsonObject, Operation

_COMPRESSION = "context-compression"
_OPTION_HEADERS = (
    ("app_url", "http-referer"),
    ("app_title", "x-openrouter-title"),
    ("app_categories", "x-openrouter-categories"),
)

# Beside `models`: a preset may hold a model, and the route names other models where none are given.
CHOOSING = frozenset({"preset", "route"})

# What a model's endpoints lack, as the 404 words it, and the request's field that asked for it.
_LACKING = (("'tool_choice'", "tool_choice"), ("tool use", "tools"), ("image input", "messages"))


def repair_answer(answer: JsonObject) -> bool:
    """Changes nothing: raises the error that a choice can hold instead of an answer."""
    for choice in objects(answer.get("choices")):
        if isinstance(choice.get("error"), dict):
            raise upstream_errors.error_of_object(choice)
    return False


def refuse_other_models(body: JsonObject, provider: str) -> None:
    """Plugins and server tools that ask further models, which the client could name."""
    for name in ("tools", "plugins"):
        if name in body:
            model_choice.refuse_in(body[name], name, provider)


class OpenRouterAdapter(OpenAICompatibleAdapter):
    kind = "openrouter"
    takes_marks = True
    label = "OpenRouter"
    default_base_url = "https://openrouter.ai/api/v1"
    version_path = "/api/v1"
    repairs = True
    quirks = Quirks(refused=CHOOSING)
    own_options = tuple(
        Option(name=name, rule=LINE, meaning=f"Sent as `{header}`, for OpenRouter's rankings.")
        for name, header in _OPTION_HEADERS
    )

    def auth_headers(self, secret: str, provider: ProviderSpec) -> tuple[tuple[str, str], ...]:
        named = ((header, provider.options.get(option)) for option, header in _OPTION_HEADERS)
        return super().auth_headers(secret, provider) + tuple((name, str(value)) for name, value in named if value)

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        refuse_other_models(body, deployment.provider.name)
        _ask_for_summary(body, request.body.get(SUMMARY))
        if not request.has_plain_roles:
            shape_history(body, has_developer=True)
        if request.operation is not Operation.CHAT or "transforms" in body:
            return body
        # OpenRouter compresses the middle of long conversations for small models by itself, which would hide overflows
        # from the gateway's own condensation; a client that asks for it gets it.
        plugins = body.get("plugins") or []
        if isinstance(plugins, list) and not any(
            isinstance(plugin, dict) and plugin.get("id") == _COMPRESSION for plugin in plugins
        ):
            body["plugins"] = [*plugins, {"id": _COMPRESSION, "enabled": False}]
        return body

    def repair(self, answer: JsonObject) -> bool:
        return repair_answer(answer)

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str) -> UpstreamError:
        error = super().read_error(status, headers, body, provider=provider)
        if isinstance(error, QuotaExhausted) and _is_budget_in_flight(body):
            # Not the account's money: too many calls are running for what is left, which ends by itself.
            return RateLimited(
                "The provider's budget for calls in flight is used up.",
                upstream_status=status,
                retry_after_s=retry_after_s(headers),
            )
        if status == 404:
            return _no_endpoints(error, provider)
        return error


def _ask_for_summary(body: JsonObject, summary: Any) -> None:
    """The effort has to be the same in both its places."""
    if summary is None:
        return
    effort = body.get("reasoning_effort")
    asked = {**an_object(body.get("reasoning")), "summary": summary}
    body["reasoning"] = asked if effort is None else {**asked, "effort": effort}


def _is_budget_in_flight(body: bytes) -> bool:
    try:
        return bool(orjson.loads(body)["error"]["metadata"]["limit_source"] == "openrouter_in_flight_budget")
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return False


def _no_endpoints(error: UpstreamError, provider: str) -> UpstreamError:
    """A 404 also means that no endpoint of the model can do what is asked; another candidate may."""
    text = error.message.lower()
    if "no endpoints found" not in text:
        return error
    for phrase, field in _LACKING:
        if phrase in text:
            return Unsupported(field=field, provider=provider, why="no endpoint of this model takes it")
    return ModelNotFound(error.message, upstream_status=404, param="model")
