"""A browser's page of an allowed origin may use the official client, and read all that it acts on."""

from typing import Any

import pytest

from accounts.header_lines import header_pairs
from routing.endpoints.cors import cors_headers, is_preflight, preflight_headers
from routing.endpoints.request_head import RequestHead
from routing.errors import OriginNotAllowed
from routing.table import GatewayPolicy

ORIGINS = ("https://app.example",)
POLICY = GatewayPolicy(cors_origins=ORIGINS, api_key_header="x-team-key")


def head(*headers: tuple[bytes, bytes], **scope: Any) -> RequestHead:
    return RequestHead({"method": "OPTIONS", "path": "/v1/chat/completions", "headers": list(headers), **scope})


def asked(names: bytes, origin: bytes = b"https://app.example") -> RequestHead:
    return head(
        (b"origin", origin), (b"access-control-request-method", b"POST"), (b"access-control-request-headers", names)
    )


def allowed(request: RequestHead) -> set[bytes]:
    found = dict(header_pairs(preflight_headers(request, POLICY)))
    return set(found[b"access-control-allow-headers"].split(b", "))


def test_what_the_official_client_sends_is_allowed_in_whichever_release() -> None:
    sent = {b"authorization", b"content-type", b"x-stainless-helper-method", b"x-stainless-new", b"openai-organization"}
    assert sent <= allowed(asked(b",".join(sent)))
    assert {b"x-team-key", b"api-key", b"cache-control", b"idempotency-key"} <= allowed(asked(b"X-Stainless-Lang"))
    assert b"x-stainless-lang" in allowed(asked(b"X-Stainless-Lang"))


def test_what_anthropics_client_sends_from_a_page_is_allowed() -> None:
    sent = {b"anthropic-version", b"anthropic-beta", b"anthropic-dangerous-direct-browser-access", b"x-api-key"}
    assert sent <= allowed(asked(b",".join(sent)))


def test_other_headers_are_not_allowed_for_the_asking() -> None:
    wanted = b"cookie, x-stainless-, x-stainless-a\r\nset-cookie: b, x-stainless-" + b"a" * 50
    assert not {name for name in allowed(asked(wanted)) if name == b"cookie" or name.startswith(b"x-stainless")}
    many = b",".join(b"x-stainless-" + bytes([97 + n % 26, 97 + n // 26]) for n in range(500))
    assert len(allowed(asked(many))) < 60


def test_other_origins_are_told_nothing() -> None:
    with pytest.raises(OriginNotAllowed, match=r"'https://evil\.example' .* 'cors_origins'"):
        preflight_headers(asked(b"", origin=b"https://evil.example"), POLICY)
    assert cors_headers(asked(b"", origin=b"https://evil.example"), ORIGINS) == b""
    assert is_preflight(asked(b""))
    assert not is_preflight(head())


def test_a_page_can_read_what_a_client_decides_by() -> None:
    exposed = dict(header_pairs(cors_headers(asked(b""), ORIGINS)))[b"access-control-expose-headers"].split(b", ")
    # OpenAI's client reads the milliseconds first.
    assert {b"retry-after", b"retry-after-ms", b"x-should-retry", b"x-ratelimit-remaining-requests"} <= set(exposed)
    assert {b"x-request-id", b"request-id", b"x-llm-proxy-revision"} <= set(exposed)


def test_a_page_that_is_traced_may_say_in_which_trace() -> None:
    assert {b"traceparent", b"tracestate"} <= allowed(asked(b"traceparent,tracestate"))
