import ipaddress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from providers.addresses import BaseUrl, UrlError, parse_base_url, refusal

ALWAYS_REFUSED = [
    "169.254.169.254",
    "169.254.0.1",
    "100.100.100.200",
    "168.63.129.16",
    "192.0.0.192",
    "0.0.0.0",
    "0.1.2.3",
    "224.0.0.1",
    "255.255.255.255",
    "240.0.0.1",
    "192.0.2.1",
    "::",
    "fe80::1",
    "fe80::1%eth0",
    "fec0::1",
    "ff02::1",
    "fd00:ec2::254",
    "fd20:ce::254",
    "fd00:42::42",
    "2001:db8::1",
    "4000::1",
    "::ffff:169.254.169.254",
    "::ffff:a9fe:a9fe",
    "::169.254.169.254",
    "::ffff:0:169.254.169.254",
    "64:ff9b::169.254.169.254",
    "64:ff9b:1::10.0.0.1",
    "2002:a9fe:a9fe::1",
    "2001:0:a9fe:a9fe::1",
    f"2001::{0xFFFF ^ 0xA9FE:x}:{0xFFFF ^ 0xA9FE:x}",
    "2600::5efe:169.254.169.254",
    "2600::200:5efe:169.254.169.254",
    "",
    "example.com",
    "127.1",
    "0x7f000001",
    "2130706433",
    "0177.0.0.1",
]
PRIVATE = [
    "127.0.0.1",
    "127.255.255.254",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd12:3456::1",
    "::ffff:127.0.0.1",
    "64:ff9b::10.0.0.1",
]
PUBLIC = ["1.1.1.1", "8.8.8.8", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "::ffff:1.1.1.1", "64:ff9b::8.8.8.8"]


@pytest.mark.parametrize("ip", ALWAYS_REFUSED)
@pytest.mark.parametrize("allow_private", [True, False])
def test_refuses_what_no_provider_may_have(ip, allow_private):
    assert refusal(ip, allow_private=allow_private)


@pytest.mark.parametrize("ip", PRIVATE)
def test_admits_private_addresses_only_where_they_are_allowed(ip):
    assert refusal(ip, allow_private=True) is None
    assert refusal(ip, allow_private=False)


@pytest.mark.parametrize("ip", PUBLIC)
@pytest.mark.parametrize("allow_private", [True, False])
def test_admits_public_addresses(ip, allow_private):
    assert refusal(ip, allow_private=allow_private) is None


@given(st.ip_addresses(), st.booleans())
def test_never_admits_what_the_standard_library_calls_special(ip, allow_private):
    if refusal(str(ip), allow_private=allow_private) is None:
        assert not ip.is_link_local
        assert not ip.is_multicast
        assert not ip.is_unspecified
        assert allow_private or ip.is_global or getattr(ip, "ipv4_mapped", None)


@given(st.ip_addresses(v=4), st.booleans())
def test_judges_a_wrapped_address_no_better_than_the_one_inside(inner, allow_private):
    bits = int(inner)
    forms = [
        ipaddress.IPv6Address(0xFFFF << 32 | bits),
        ipaddress.IPv6Address(0x64_FF9B << 96 | bits),
    ]
    inside = refusal(str(inner), allow_private=allow_private)
    for form in forms:
        assert (refusal(str(form), allow_private=allow_private) is None) == (inside is None)


@given(st.ip_addresses(v=4), st.ip_addresses(v=4))
def test_refuses_tunnels_wherever_they_lead(server, client):
    six_to_four = ipaddress.IPv6Address(0x2002 << 112 | int(server) << 80 | 1)
    teredo = ipaddress.IPv6Address(0x2001_0000 << 96 | int(server) << 64 | int(client) ^ 0xFFFF_FFFF)
    assert refusal(str(six_to_four), allow_private=True)
    assert refusal(str(teredo), allow_private=True)


@given(st.ip_addresses())
def test_allowing_private_addresses_only_ever_admits_more(ip):
    if refusal(str(ip), allow_private=True):
        assert refusal(str(ip), allow_private=False)


@given(st.text())
def test_answers_for_any_text(text):
    refusal(text, allow_private=True)


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://api.openai.com/v1", BaseUrl("https", "api.openai.com", 443, "/v1")),
        ("HTTPS://API.OpenAI.com", BaseUrl("https", "api.openai.com", 443, "")),
        ("http://localhost:11434/", BaseUrl("http", "localhost", 11434, "")),
        ("http://10.0.0.8:8000/openai//", BaseUrl("http", "10.0.0.8", 8000, "/openai")),
        ("http://[::1]:8000/v1", BaseUrl("http", "::1", 8000, "/v1")),
        ("https://[2606:4700:0:0::1111]", BaseUrl("https", "2606:4700::1111", 443, "")),
        ("https://host.example./v1", BaseUrl("https", "host.example", 443, "/v1")),
        ("http://my_service-1:80/a%20b", BaseUrl("http", "my_service-1", 80, "/a%20b")),
        ("https://1e100.net", BaseUrl("https", "1e100.net", 443, "")),
        ("https://xn--bcher-kva.example", BaseUrl("https", "xn--bcher-kva.example", 443, "")),
    ],
)
def test_reads_a_base_url(url, expected):
    assert parse_base_url(url) == expected


@pytest.mark.parametrize(
    "url",
    [
        "",
        "api.openai.com",
        "ftp://host",
        "file:///etc/passwd",
        "https:/host",
        "https://",
        "https:///v1",
        "https://:443",
        "https://user:pw@host",
        "https://user@host",
        "https://@host",
        "https://host/v1?x=1",
        "https://host?",
        "https://host#f",
        "https://host/#",
        "https://ho st",
        " https://host",
        "https://host\n",
        "https://host\r\nx: y",
        "https://host\x00",
        "https://host\\evil",
        "https://bücher.example",
        "https://host:0",
        "https://host:65536",
        "https://host:",
        "https://host:8a",
        "https://host:-1",
        "https://-host",
        "https://host-",
        "https://a..b",
        "https://.",
        "https://" + "a" * 64,
        "https://" + "a." * 127 + "a",
        "https://ho%73t",
        "https://host/a/../b",
        "https://host/%2e%2E/b",
        "https://host/./b",
        "https://host/a b",
        "https://host/%zz",
        "http://2130706433",
        "http://127.1",
        "http://0x7f.0.0.1",
        "http://0x7f000001",
        "http://0177.0.0.1",
        "http://017700000001",
        "http://1.2.3.4.5",
        "http://256.1.1.1",
        "http://127.0.0.0x1",
        "http://a.0x",
        "http://[::1",
        "http://::1",
        "http://[::1]x",
        "http://[fe80::1%25eth0]",
        "http://[127.0.0.1]",
        "http://[]",
    ],
)
def test_refuses_a_base_url(url):
    with pytest.raises(UrlError):
        parse_base_url(url)


@given(st.text(max_size=40), st.sampled_from(["", "http://", "https://", "http://[", "https://a/"]))
@example("@", "https://a/")
def test_any_text_is_read_or_refused(text, prefix):
    try:
        found = parse_base_url(prefix + text)
    except UrlError:
        return
    host = f"[{found.host}]" if ":" in found.host else found.host
    assert parse_base_url(f"{found.scheme}://{host}:{found.port}{found.path}") == found
    assert found.host == found.host.lower()
    assert not set(found.host + found.path) & set(" \r\n\0\\?#")
    # In a path it is a character like others: it parts user information from a host only before the first slash.
    assert "@" not in found.host


@given(st.integers(0, 2**32 - 1), st.sampled_from(["{:d}", "0x{:x}", "0{:o}"]))
def test_a_number_is_never_a_host(number, form):
    with pytest.raises(UrlError):
        parse_base_url("http://" + form.format(number))
