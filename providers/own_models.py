"""The list of its models that a provider itself has: asked for, and read."""

from collections.abc import Mapping

from providers.adapters import adapter_for
from providers.adapters.model_list import ModelInfo
from providers.dialects.redaction import conceal
from providers.errors import UpstreamError, knowing_the_secret
from providers.specs import ProviderSpec
from providers.transport import Transport

LIST_LIMIT_BYTES = 16 * 1024 * 1024


class NoModelList(UpstreamError):
    """The provider has no list of its models."""


async def ask_for_models(transport: Transport, spec: ProviderSpec, *, timeout_s: float) -> tuple[ModelInfo, ...]:
    """Raises `UpstreamError`; `NoModelList` where there is none."""
    secret = spec.first_secret
    request = adapter_for(spec.kind).models_request(spec, secret)
    if request is None:
        raise NoModelList("This provider has no list of its models: name those you want.")
    try:
        response = await transport.send(spec.endpoint, request, timeout_s=timeout_s)
        try:
            body = await response.read(limit=LIST_LIMIT_BYTES, timeout_s=timeout_s)
        finally:
            response.close()
        return read_models(spec, secret, response.status, response.headers, body)
    except UpstreamError as error:
        conceal(error, spec.secrets)
        raise


def read_models(
    spec: ProviderSpec, secret: str, status: int, headers: Mapping[str, str], body: bytes
) -> tuple[ModelInfo, ...]:
    """What was answered to who asked with `secret`. Raises what any but a good answer means."""
    adapter = adapter_for(spec.kind)
    if not 200 <= status < 300:
        raise knowing_the_secret(adapter.read_error(status, headers, body, provider=spec.name), secret)
    return adapter.read_models(body)
