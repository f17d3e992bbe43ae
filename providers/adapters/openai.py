"""OpenAI, and every server that is compatible with it (vLLM, llama.cpp, Ollama, LM Studio, Groq, Mistral, Together …)."""

import re
from dataclasses import replace

from providers.adapter_options import FLAG, LINE, Option, one_of
from providers.adapters.base import Adapter, Quirks, Thought
from providers.adapters.model_quirks import OPENAIS_HOST, OWN_HOSTS, openai_quirks, thinking_tools
from providers.adapters.openai_compatible import CHOOSING, OpenAICompatibleAdapter, shape_history, show_images
from providers.adapters.openai_responses import OpenAIResponsesAdapter
from providers.dialects import mistral_body
from providers.dialects.openai_chat.request import effort_of_routers
from providers.specs import DeploymentSpec, ProviderSpec
from providers.types import ClientRequest, JsonObject, Operation

MISTRAL = Quirks(
    dropped=mistral_body.DROPPED,
    refused=mistral_body.REFUSED,
    max_tokens_field="max_tokens",
    accepts_stream_options=False,
    is_mistral=True,
)
"""It tells usage in every stream, and answers 422 to whoever asks for it."""

THOUGHT_AT: tuple[tuple[str, Thought], ...] = (
    (".groq.com", "left out"),
    (".cerebras.ai", "as reasoning"),
    (".deepseek.com", "required"),
    (".moonshot.ai", "required"),
    (".moonshot.cn", "required"),
)
GOOGLES_HOST = ".googleapis.com"
STRICT_HOSTS = (GOOGLES_HOST, ".groq.com", ".cerebras.ai")
"""Where a field that is not known is a 400."""
OPENAIS_ALONE = frozenset(
    {
        "store", "metadata", "safety_identifier",
        "prompt_cache_key", "prompt_cache_options", "prompt_cache_retention",
    }
)  # fmt: skip
"""Fields that clients send without being told to."""
_SIGNING = re.compile(r"(?:^|/)gemini-(?:[3-9]|\d{2,}|.*-latest$)")
"""Gemini 3 and later."""


class _InsteadOfChat(OpenAIResponsesAdapter):
    """Refuses by name what chats refuse here: other models to choose from."""

    quirks = Quirks(refused=CHOOSING)


class OpenAIAdapter(OpenAICompatibleAdapter):
    kind = "openai"
    label = "OpenAI or compatible"
    default_base_url = "https://api.openai.com/v1"
    needs_credential = False
    own_options = (
        Option(
            name="max_tokens_field",
            rule=LINE,
            meaning="The name that a server wants for the limit.",
            default="by the model",
            of_model=True,
        ),
        Option(
            name="accepts_stream_options",
            rule=FLAG,
            meaning="false for servers that refuse `stream_options`.",
            default="true",
            of_model=True,
        ),
        Option(
            name="dialect",
            rule=one_of("mistral"),
            meaning="For Mistral's models at another host than its own.",
        ),
    )

    def __init__(self) -> None:
        super().__init__()
        self._responses = _InsteadOfChat()

    def serving(self, request: ClientRequest, deployment: DeploymentSpec) -> Adapter:
        """The Responses API, for models that are given tools and think: a chat of theirs may only do one of both."""
        body = request.body
        if not (body.get("tools") or body.get("functions")) or request.operation is not Operation.CHAT:
            return self
        where = self._quirks.get(deployment).thinking_tools
        effort = body.get("reasoning_effort") or effort_of_routers(body.get("reasoning"))
        thinks = where == "responses" if effort is None else where != "chat" and effort != "none"
        return self._responses if thinks else self

    def quirks_for(self, deployment: DeploymentSpec) -> Quirks:
        is_mistral = speaks_as_mistral(deployment.provider)
        quirks = MISTRAL if is_mistral else openai_quirks(self.quirks, deployment.upstream_model)
        quirks = _at_host(quirks, deployment)
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

    def refuses_reasoning(self, deployment: DeploymentSpec) -> bool:
        provider = deployment.provider
        return provider.endpoint.host.endswith(OWN_HOSTS + STRICT_HOSTS) or speaks_as_mistral(provider)

    def refuses_metadata(self, deployment: DeploymentSpec) -> bool:
        return deployment.provider.endpoint.host.endswith(OPENAIS_HOST)

    def shape(self, body: JsonObject, request: ClientRequest, deployment: DeploymentSpec) -> JsonObject:
        if not request.has_plain_roles:
            shape_history(body, has_developer=deployment.provider.endpoint.host.endswith(OWN_HOSTS))
            show_images(body, request)
            if self._quirks.get(deployment).is_mistral:
                mistral_body.part_results(body)
        return body


def _at_host(quirks: Quirks, deployment: DeploymentSpec) -> Quirks:
    provider, model = deployment.provider, deployment.upstream_model
    host = provider.endpoint.host
    if host.endswith(STRICT_HOSTS):
        quirks = replace(quirks, dropped=OPENAIS_ALONE)
    for suffix, thought in THOUGHT_AT:
        if host.endswith(suffix):
            return replace(quirks, thought=thought)
    if host.endswith(GOOGLES_HOST):
        # It would not read another model's, and its own is in the signature.
        return replace(quirks, signs_calls=bool(_SIGNING.search(model)), thought="left out")
    tools = thinking_tools(model) if host.endswith(OPENAIS_HOST) and not provider.options.get("paths") else "chat"
    return quirks if tools == quirks.thinking_tools else replace(quirks, thinking_tools=tools)


def speaks_as_mistral(provider: ProviderSpec) -> bool:
    host = provider.endpoint.host
    return host == "mistral.ai" or host.endswith(".mistral.ai") or provider.options.get("dialect") == "mistral"
