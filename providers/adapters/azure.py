"""Azure OpenAI: OpenAI's dialect on two surfaces.

With a date as option `api_version` (`2024-10-21`, `2025-02-01-preview`) the deployment is named in the path:
`/openai/deployments/{deployment}/chat/completions?api-version=…`. Without one, or with `v1`, `latest` or `preview`, the
v1 surface is used, where the deployment is the body's `model`: `/openai/v1/chat/completions`.
"""

import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from providers.adapter_options import LINE, Option, Rule, one_of
from providers.adapters.base import Quirks, configured_path
from providers.adapters.credential_headers import bearer, join_headers
from providers.adapters.model_list import ModelInfo, read_model_list
from providers.adapters.model_quirks import openai_quirks
from providers.adapters.openai_compatible import (
    OpenAICompatibleAdapter,
    shape_history,
    show_images,
)
from providers.errors import ClientFault, Misconfigured, ServerFailed, UpstreamError
from providers.lenient import objects
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import UpstreamRequest
from providers.types import ClientRequest, JsonObject, Operation

MAX_RETRY_AFTER_S = 120.0
"""Azure may ask to wait for a day; a client that obeys would wait that long."""

DEPLOYMENT_NAME = re.compile(r"[A-Za-z0-9._-]{1,64}")
API_VERSION = re.compile(r"\d{4}-\d{2}-\d{2}(?:-[a-z]{1,20})?")
V1_VERSIONS = frozenset({"", "v1", "latest", "preview"})
FIRST_WITH_STREAM_OPTIONS = "2024-09-01"
FIRST_WITH_MAX_COMPLETION_TOKENS = "2024-12-01"


def check_deployment_name(name: str) -> str:
    """Raises `ValueError` for a name that Azure would not accept, and that must not reach a path."""
    if not DEPLOYMENT_NAME.fullmatch(name) or not name.strip("."):
        raise ValueError(f"'{name}' is no Azure deployment name: up to 64 letters, digits, dots, hyphens, underscores.")
    return name


def check_api_version(version: str) -> str | None:
    """The date of the dated surface, None for the v1 surface; `ValueError` for anything else."""
    if version in V1_VERSIONS:
        return None
    if not API_VERSION.fullmatch(version):
        raise ValueError(f"'{version}' is no Azure api_version: a date such as 2024-10-21, or v1, latest, preview.")
    return version


def is_api_version(value: Any) -> bool:
    return isinstance(value, str) and (value in V1_VERSIONS or API_VERSION.fullmatch(value) is not None)


class AzureAdapter(OpenAICompatibleAdapter):
    kind = "azure"
    label = "Azure OpenAI"
    version_path = "/openai/v1"
    repairs = True
    own_options = (
        Option(
            name="api_version",
            rule=Rule(label="a date such as 2024-10-21, or v1, latest, preview", fits=is_api_version),
            meaning="With a date the deployment is named in the path.",
            default="v1",
            of_model=True,
        ),
        Option(
            name="auth",
            rule=one_of("api-key", "bearer"),
            meaning="`bearer` for an Entra token instead of a key.",
            default="api-key",
        ),
        Option(
            name="base_model",
            rule=LINE,
            meaning="The model behind a deployment, of which its name says nothing.",
            of_provider=False,
            of_model=True,
        ),
    )

    def path(self, operation: Operation, deployment: DeploymentSpec) -> str:
        provider = deployment.provider
        if (path := configured_path(provider, operation)) is not None:
            return path
        version_name = _version_name(deployment)
        try:
            name, version = check_deployment_name(deployment.upstream_model), check_api_version(version_name)
        except ValueError as error:
            raise Misconfigured(provider=provider.name, why=error) from None
        if version is None:
            return f"{_prefix(provider)}/openai/v1/{operation.value}{_preview(version_name)}"
        return f"{_prefix(provider)}/openai/deployments/{name}/{operation.value}?api-version={version}"

    def auth_headers(self, secret: str, provider: ProviderSpec) -> tuple[tuple[str, str], ...]:
        if not secret:
            return ()
        if provider.options.get("auth") == "bearer":
            return bearer(secret)
        return (("api-key", secret),)

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        quirks = openai_quirks(self.quirks, str(deployment.options.get("base_model") or deployment.upstream_model))
        version = _version_name(deployment)
        if not API_VERSION.fullmatch(version):
            return quirks
        if version < FIRST_WITH_STREAM_OPTIONS:
            quirks = replace(quirks, accepts_stream_options=False)
        if version < FIRST_WITH_MAX_COMPLETION_TOKENS:
            quirks = replace(quirks, max_tokens_field="max_tokens")
        return quirks

    def refuses_reasoning(self, deployment: DeploymentSpec) -> bool:
        return True

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        messages = body.get("messages")
        if isinstance(messages, list):
            body["messages"] = [_plain_message(message) for message in messages]
            if not request.has_plain_roles:
                shape_history(body, has_developer=True)
                show_images(body, request)
        return body

    def repair(self, answer: JsonObject) -> bool:
        """Chunks of the asynchronous content filter come without a delta; clients expect one."""
        changed = False
        for choice in objects(answer.get("choices")):
            if not {"delta", "message", "text"} & choice.keys():
                choice["delta"] = {}
                choice.setdefault("finish_reason", None)
                changed = True
        return changed

    def read_error(self, status: int, headers: Mapping[str, str], body: bytes, *, provider: str) -> UpstreamError:
        error = super().read_error(status, headers, body, provider=provider)
        if error.retry_after_s is not None:
            error.retry_after_s = min(error.retry_after_s, MAX_RETRY_AFTER_S)
        if isinstance(error, ClientFault) and status == 404 and error.code is None and error.param is None:
            # "Resource not found" is a wrong address: ours to mend, not the client's. With a code or a field it is a
            # file or an answer that the client named, which must not count against the deployment.
            return ServerFailed(error.message, upstream_status=status)
        return error

    def models_request(self, provider: ProviderSpec, secret: str) -> UpstreamRequest | None:
        version_name = provider.options.get("api_version")
        try:
            version = check_api_version(str(version_name or ""))
        except ValueError as error:
            raise Misconfigured(provider=provider.name, why=error) from None
        surface = f"/openai/models?api-version={version}" if version else f"/openai/v1/models{_preview(version_name)}"
        headers = join_headers(self.auth_headers(secret, provider), provider.headers)
        return UpstreamRequest(method="GET", path=_prefix(provider) + surface, headers=headers)

    def read_models(self, body: bytes) -> tuple[ModelInfo, ...]:
        """None of them: the list holds base models, and a call needs the name of a deployment. `BadAnswer` still tells
        an answer that is no list."""
        read_model_list(body)
        return ()


def _version_name(deployment: DeploymentSpec) -> str:
    return str(deployment.options.get("api_version") or deployment.provider.options.get("api_version") or "")


def _preview(version: Any) -> str:
    return "?api-version=preview" if version == "preview" else ""


def _prefix(provider: ProviderSpec) -> str:
    """What stands before `/openai`: nothing at Azure itself, something behind a gateway."""
    return provider.base_path.removesuffix("/v1").removesuffix("/openai")


def _plain_message(message: Any) -> Any:
    if not isinstance(message, dict):
        return message
    changes: JsonObject = {}
    calls = message.get("tool_calls")
    if isinstance(calls, list):
        changes["tool_calls"] = [_with_arguments(call) for call in calls]
    content = message.get("content")
    if isinstance(content, list):
        changes["content"] = [_plain_image(part) for part in content]
    return {**message, **changes} if changes else message


def _with_arguments(call: Any) -> Any:
    """Azure refuses null for arguments."""
    function = call.get("function") if isinstance(call, dict) else None
    if not isinstance(function, dict) or function.get("arguments") is not None:
        return call
    return {**call, "function": {**function, "arguments": ""}}


def _plain_image(part: Any) -> Any:
    """`image_url` is an object of `url` and `detail` and nothing else."""
    if not isinstance(part, dict) or part.get("type") != "image_url":
        return part
    image = part.get("image_url")
    if isinstance(image, str):
        return {**part, "image_url": {"url": image}}
    if isinstance(image, dict):
        return {**part, "image_url": {key: value for key, value in image.items() if key in ("url", "detail")}}
    return part
