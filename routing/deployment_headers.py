"""The response headers that tell which deployment answered."""

from providers.specs import DeploymentSpec

Header = tuple[bytes, bytes]


def deployment_headers(deployment: DeploymentSpec) -> tuple[Header, Header]:
    """Provider and model."""
    return (
        (b"x-llm-proxy-provider", _text(deployment.provider.name)),
        (b"x-llm-proxy-model", _text(deployment.upstream_model)),
    )


def _text(text: str) -> bytes:
    """Header values are ASCII without control characters, whatever an upstream's model is called."""
    return text.encode("ascii", "replace") if text.isprintable() else b"?"
