"""The response headers that tell which deployment answered."""

from accounts.header_lines import HeaderLines
from providers.specs import DeploymentSpec


def deployment_headers(deployment: DeploymentSpec) -> HeaderLines:
    """Provider and model."""
    provider, model = _text(deployment.provider.name), _text(deployment.upstream_model)
    return b"x-llm-proxy-provider: %b\r\nx-llm-proxy-model: %b\r\n" % (provider, model)


def _text(text: str) -> bytes:
    """Header values are ASCII without control characters, whatever an upstream's model is called."""
    return text.encode("ascii", "replace") if text.isprintable() else b"?"
