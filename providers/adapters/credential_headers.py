"""The headers of requests to a provider, the same for every call with one credential. Pure."""

from collections.abc import Callable
from typing import TypeAlias

from providers.specs import ProviderSpec

BASE_HEADERS = (
    ("content-type", "application/json"),
    ("accept", "application/json"),
    ("accept-encoding", "identity"),
    ("user-agent", "llm-proxy-api"),
)
Headers: TypeAlias = tuple[tuple[str, str], ...]
REMEMBERED = 1024
"""Header tuples kept at most, one for each credential in use."""


def bearer(secret: str) -> Headers:
    return (("authorization", f"Bearer {secret}"),) if secret else ()


class CredentialHeaders:
    """The same tuple for every call with one credential, so that the transport encodes it once. Remembered by identity: a
    new routing table has new specs, and what belonged to the old ones is dropped in time. `auth` takes (secret, provider)."""

    def __init__(self, auth: Callable[[str, ProviderSpec], Headers]) -> None:
        self._auth = auth
        self._remembered: dict[int, tuple[ProviderSpec, str, Headers]] = {}

    def of(self, provider: ProviderSpec, secret: str) -> Headers:
        known = self._remembered.get(id(secret))
        if known is not None and known[0] is provider and known[1] is secret:
            return known[2]
        headers = join_headers(self._auth(secret, provider), provider.headers)
        if len(self._remembered) >= REMEMBERED:
            self._remembered.clear()
        self._remembered[id(secret)] = (provider, secret, headers)
        return headers


def join_headers(auth: Headers, extra: Headers) -> Headers:
    """The provider's own configured headers win over ours of the same name. Secrets are not kept in any cache here."""
    if not extra:
        return BASE_HEADERS + auth
    joined = {name.lower(): value for name, value in (*BASE_HEADERS, *auth, *extra)}
    joined["accept-encoding"] = "identity"
    return tuple(joined.items())
