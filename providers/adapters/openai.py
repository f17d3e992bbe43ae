"""OpenAI, and every server that is compatible with it (vLLM, llama.cpp, Ollama, LM Studio, Groq, Together …)."""

from dataclasses import replace

from providers.adapters.base import Quirks
from providers.adapters.model_quirks import openai_quirks
from providers.adapters.openai_compatible import OpenAICompatibleAdapter
from providers.specs import DeploymentSpec


class OpenAIAdapter(OpenAICompatibleAdapter):
    """`options` of provider or deployment: `max_tokens_field`, `accepts_stream_options` (older servers refuse it)."""

    kind = "openai"
    label = "OpenAI or compatible"
    default_base_url = "https://api.openai.com/v1"
    needs_credential = False

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        quirks = openai_quirks(self.quirks, deployment.upstream_model)
        options = deployment.options or deployment.provider.options
        if not options:
            return quirks
        options = {**deployment.provider.options, **deployment.options}
        return replace(
            quirks,
            max_tokens_field=options.get("max_tokens_field", quirks.max_tokens_field),
            accepts_stream_options=options.get("accepts_stream_options", quirks.accepts_stream_options),
        )
