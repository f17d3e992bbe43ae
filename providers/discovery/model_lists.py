"""The models that a provider itself says it serves: each one that we do not know yet is proposed."""

from collections.abc import Collection

from providers.adapters import adapter_for
from providers.control_plane import ControlPlaneClient
from providers.dialects.redaction import conceal
from providers.discovery.found import MODEL, MOST_MODELS, Findings, Found, SourceFailed
from providers.errors import UpstreamError
from providers.own_models import read_models
from providers.specs import ProviderSpec

SOURCE = "models"


def source_of(provider: str) -> str:
    """Each provider's list is a source of its own: one that is down says nothing about the others."""
    return f"models:{provider}"


async def look(client: ControlPlaneClient, provider: ProviderSpec, known: Collection[str]) -> Findings | None:
    """`known` are upstream names entered otherwise. None for a provider without a list. Raises `SourceFailed`."""
    secret = provider.first_secret
    try:
        request = adapter_for(provider.kind).models_request(provider, secret)
        if request is None:
            return None
        answer = await client.send(provider.endpoint, request)
        models = read_models(provider, secret, answer.status, answer.headers, answer.body)
    except UpstreamError as error:
        conceal(error, provider.secrets)
        raise SourceFailed(str(error)) from error
    found = {
        model.id: Found(
            external_id=model.id,
            name=f"{provider.name}/{model.id}"[:63],
            document={
                "provider": provider.name,
                "model": model.id,
                "context_window": model.context_window,
                "max_output_tokens": model.max_output_tokens,
            },
        )
        for model in models[:MOST_MODELS]
        if MODEL.fullmatch(model.id) and model.id not in known
    }
    return Findings(source=source_of(provider.name), found=tuple(found.values()))
