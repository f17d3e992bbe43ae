"""A chat that was asked for as a message of Anthropic's API, for a server of another dialect. Pure."""

import re

from providers.adapters.model_quirks import OWN_HOSTS, takes_effort
from providers.dialects.served_messages.own_fields import without_own
from providers.specs import DeploymentSpec
from providers.types import JsonObject

_MOST_OUTPUT = (
    (re.compile(r"(?:^|/)gpt-4o-2024-05-13$"), 4096),
    (re.compile(r"(?:^|/)(?:chat)?gpt-4o(?:-mini)?(?:-latest|-20[\d-]+)?$|-chat-latest$"), 16_384),
    (re.compile(r"(?:^|/)gpt-4\.1(?:-|$)"), 32_768),
)
"""Of OpenAI's models that write less than Claude does, as is widely published of them; its API was not asked. Where it is
another number, the deployment's `max_output_tokens` says so."""


def as_chat(body: JsonObject, deployment: DeploymentSpec, *, marked: bool = False) -> JsonObject:
    """`marked`: the server understands Anthropic's marks for the cache, and efforts of any model. Raises `Unsupported`."""
    provider = deployment.provider
    return without_own(
        body,
        provider=provider.name,
        reasons=marked or takes_effort(deployment),
        marked=marked,
        late_system=provider.endpoint.host.endswith(OWN_HOSTS),
        most_output=deployment.max_output_tokens or _most_output(deployment.upstream_model.lower()),
    )


def _most_output(model: str) -> int | None:
    return next((most for pattern, most in _MOST_OUTPUT if pattern.search(model)), None)
