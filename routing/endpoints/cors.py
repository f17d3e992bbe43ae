"""CORS for browser applications: off until origins are configured, never `*` together with credentials. Pure."""

import re
from collections.abc import Collection

from accounts.header_lines import HeaderLines, header_lines
from routing.endpoints.request_head import RequestHead
from routing.errors import OriginNotAllowed
from routing.table import GatewayPolicy

ALLOWED_HEADERS = (
    "authorization, api-key, x-api-key, content-type, cache-control, idempotency-key, traceparent, tracestate, x-request-id, "
    "x-llm-proxy-tags, x-llm-proxy-no-cache, x-llm-proxy-timeout"
)
MOST_ASKED = 32
OF_CLIENTS = re.compile(rb"(?:x-stainless|openai|anthropic)-[a-z-]{1,40}")
"""What the official clients say about themselves: each release has other words for it."""
EXPOSED_HEADERS = (
    b"request-id, x-request-id, x-llm-proxy-provider, x-llm-proxy-model, x-llm-proxy-attempts, x-llm-proxy-revision, "
    b"x-llm-proxy-cache, x-llm-proxy-condensed, idempotent-replayed, retry-after, retry-after-ms, x-should-retry, "
    b"x-ratelimit-limit-requests, x-ratelimit-remaining-requests, x-ratelimit-reset-requests, x-ratelimit-limit-tokens, "
    b"x-ratelimit-remaining-tokens, x-ratelimit-reset-tokens"
)


def is_preflight(head: RequestHead) -> bool:
    """Whether a request with the method OPTIONS is a browser's question."""
    return b"access-control-request-method" in head.headers


def _allowed_origin(head: RequestHead, origins: Collection[str]) -> bytes | None:
    origin = head.headers.get(b"origin")
    if origin is None:
        return None
    if "*" in origins:
        # Keys travel in headers and never in cookies, so the wildcard needs (and gets) no credentials.
        return b"*"
    return origin if origin.decode("latin-1") in origins else None


def cors_headers(head: RequestHead, origins: Collection[str]) -> HeaderLines:
    origin = _allowed_origin(head, origins)
    if origin is None:
        return b""
    return header_lines(
        [
            (b"access-control-allow-origin", origin),
            (b"vary", b"origin"),
            (b"access-control-expose-headers", EXPOSED_HEADERS),
        ]
    )


def preflight_headers(head: RequestHead, policy: GatewayPolicy) -> HeaderLines:
    """Raises `OriginNotAllowed`: a browser tells of it in general words, so who looks closer finds the cause here."""
    if _allowed_origin(head, policy.cors_origins) is None:
        origin = head.headers.get(b"origin", b"").decode("latin-1")[:200]
        raise OriginNotAllowed(
            f"Pages of '{origin}' may not call this gateway: the setting 'cors_origins' does not list it."
        )
    asked = head.headers.get(b"access-control-request-headers", b"").lower().split(b",")
    own = [name for name in map(bytes.strip, asked) if OF_CLIENTS.fullmatch(name)]
    allowed = b", ".join([f"{ALLOWED_HEADERS}, {policy.api_key_header}".encode("latin-1"), *own[:MOST_ASKED]])
    return header_lines(
        [
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", allowed),
            (b"access-control-max-age", b"600"),
        ]
    )
