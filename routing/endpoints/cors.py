"""CORS for browser applications: off until origins are configured, never `*` together with credentials. Pure."""

from collections.abc import Collection

from accounts.header_lines import HeaderLines, header_lines
from routing.endpoints.request_head import RequestHead
from routing.table import GatewayPolicy

ALLOWED_HEADERS = (
    "authorization, content-type, idempotency-key, x-request-id, x-llm-proxy-tags, x-llm-proxy-no-cache, "
    "x-llm-proxy-timeout, x-stainless-lang, x-stainless-package-version, x-stainless-os, x-stainless-arch, "
    "x-stainless-runtime, x-stainless-runtime-version, x-stainless-retry-count, x-stainless-timeout"
)
EXPOSED_HEADERS = b"x-request-id, x-llm-proxy-provider, x-llm-proxy-model, x-llm-proxy-cache, retry-after"


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
    """Empty when the origin is not allowed."""
    if _allowed_origin(head, policy.cors_origins) is None:
        return b""
    return header_lines(
        [
            (b"access-control-allow-methods", b"GET, POST, OPTIONS"),
            (b"access-control-allow-headers", f"{ALLOWED_HEADERS}, {policy.api_key_header}".encode("latin-1")),
            (b"access-control-max-age", b"600"),
        ]
    )
