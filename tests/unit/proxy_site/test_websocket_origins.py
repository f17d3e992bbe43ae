"""Which pages may open a WebSocket: ours, and those of the origins that an operator trusts, read as Django reads them."""

import pytest

from proxy_site.websockets import same_origin_or_trusted

TRUSTED = ["https://*.Example.com", "http://tools.example.org:8080"]


@pytest.mark.parametrize(
    ("origin", "trusted"),
    [
        ("", True),
        ("https://gateway.example.net", True),
        ("https://GATEWAY.example.net", True),
        ("https://one.example.com", True),
        ("https://two.one.example.com", True),
        ("http://tools.example.org:8080", True),
        ("https://tools.example.org:8080", False),
        ("http://tools.example.org", False),
        ("http://one.example.com", False),
        ("https://one.example.com:8443", False),
        ("https://badexample.com", False),
        ("https://one.example.com.evil.test", False),
        ("null", False),
        ("http://[", False),
    ],
)
def test_a_page_of_ours_or_of_a_trusted_origin_may_and_no_other(settings, origin, trusted):
    settings.CSRF_TRUSTED_ORIGINS = TRUSTED
    headers = [(b"host", b"gateway.example.net"), (b"origin", origin.encode())]
    assert same_origin_or_trusted({"headers": headers}) is trusted
