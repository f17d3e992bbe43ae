"""The response headers that tell which deployment answered."""

from providers.specs import DeploymentSpec

Header = tuple[bytes, bytes]
REMEMBERED = 1024


class DeploymentHeaders:
    """Made once for each deployment and remembered by its identity."""

    def __init__(self) -> None:
        self._known: dict[int, tuple[DeploymentSpec, tuple[Header, Header]]] = {}

    def headers(self, deployment: DeploymentSpec) -> tuple[Header, Header]:
        """Provider and model."""
        known = self._known.get(id(deployment))
        if known is not None and known[0] is deployment:
            return known[1]
        if len(self._known) >= REMEMBERED:
            self._known.clear()
        made = (
            (b"x-llm-proxy-provider", _text(deployment.provider.name)),
            (b"x-llm-proxy-model", _text(deployment.upstream_model)),
        )
        self._known[id(deployment)] = (deployment, made)
        return made


def _text(text: str) -> bytes:
    """Header values are ASCII without control characters, whatever an upstream's model is called."""
    return text.encode("ascii", "replace") if text.isprintable() else b"?"
