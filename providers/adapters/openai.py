"""OpenAI, and every server that is compatible with it (vLLM, llama.cpp, Ollama, LM Studio, Groq, Mistral, Together …)."""

import re
from dataclasses import replace

from providers.adapters.base import Quirks, Thought
from providers.adapters.model_quirks import openai_quirks
from providers.adapters.openai_compatible import OpenAICompatibleAdapter, shape_history
from providers.dialects import mistral_body
from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import ClientRequest, JsonObject

MISTRAL = Quirks(
    dropped=mistral_body.DROPPED,
    refused=mistral_body.REFUSED,
    max_tokens_field="max_tokens",
    accepts_stream_options=False,
    is_mistral=True,
)
"""It tells usage in every stream, and answers 422 to whoever asks for it."""

OWN_HOSTS = (".openai.com", ".azure.com")
"""Where a role is named `developer`."""
THOUGHT_AT: tuple[tuple[str, Thought], ...] = (
    (".groq.com", "left out"),
    (".cerebras.ai", "as reasoning"),
    (".deepseek.com", "required"),
    (".moonshot.ai", "required"),
    (".moonshot.cn", "required"),
)
GOOGLES_HOST = ".googleapis.com"
_SIGNING = re.compile(r"(?:^|/)gemini-(?:[3-9]|\d{2,}|.*-latest$)")
"""Gemini 3 and later."""


class OpenAIAdapter(OpenAICompatibleAdapter):
    """`options` of provider or deployment: `max_tokens_field`, `accepts_stream_options` (older servers refuse it).
    `dialect: mistral` of the provider, for Mistral's API at another host than its own."""

    kind = "openai"
    label = "OpenAI or compatible"
    default_base_url = "https://api.openai.com/v1"
    needs_credential = False

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        is_mistral = speaks_as_mistral(deployment.provider)
        quirks = MISTRAL if is_mistral else openai_quirks(self.quirks, deployment.upstream_model)
        host = deployment.provider.endpoint.host
        for suffix, thought in THOUGHT_AT:
            if host.endswith(suffix):
                quirks = replace(quirks, thought=thought)
        if host.endswith(GOOGLES_HOST) and _SIGNING.search(deployment.upstream_model):
            quirks = replace(quirks, signs_calls=True)
        options = deployment.options or deployment.provider.options
        if not options:
            return quirks
        options = {**deployment.provider.options, **deployment.options}
        set_here = replace(
            quirks,
            max_tokens_field=options.get("max_tokens_field", quirks.max_tokens_field),
            accepts_stream_options=options.get("accepts_stream_options", quirks.accepts_stream_options),
        )
        # The same object where other options were set: nothing has to be applied to each call then.
        return quirks if set_here == quirks else set_here

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        if not request.has_plain_roles:
            shape_history(body, has_developer=deployment.provider.endpoint.host.endswith(OWN_HOSTS))
        return body


def speaks_as_mistral(provider: ProviderSpec) -> bool:
    host = provider.endpoint.host
    return host == "mistral.ai" or host.endswith(".mistral.ai") or provider.options.get("dialect") == "mistral"
