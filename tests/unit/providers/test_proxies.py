"""How a proxy is written, what NO_PROXY says, and which calls go through which proxy."""

import base64

import pytest

from providers.addresses import parse_base_url
from providers.proxies import FORM, Proxies, Proxy, ProxyError, is_near, parse_proxy, read_direct_hosts


def basic(pair: str) -> str:
    return "Basic " + base64.b64encode(pair.encode()).decode()


@pytest.mark.parametrize(
    ("url", "proxy"),
    [
        ("http://proxy.corp.example:3128", Proxy(host="proxy.corp.example", port=3128)),
        ("HTTP://Proxy.Corp.Example:3128/", Proxy(host="proxy.corp.example", port=3128)),
        ("http://proxy", Proxy(host="proxy", port=80)),
        ("http://10.0.0.9:8080", Proxy(host="10.0.0.9", port=8080)),
        ("http://[fd00::9]:8080", Proxy(host="fd00::9", port=8080)),
        ("http://u:p@h.example:1", Proxy(host="h.example", port=1, authorization=basic("u:p"))),
        ("http://u:p%40s%2Fs@h.example:1", Proxy(host="h.example", port=1, authorization=basic("u:p@s/s"))),
        ("http://u:p@s:s@h.example:1", Proxy(host="h.example", port=1, authorization=basic("u:p@s:s"))),
        ("http://token@h.example:1", Proxy(host="h.example", port=1, authorization=basic("token:"))),
    ],
)
def test_a_proxy_is_read(url, proxy):
    assert parse_proxy(url) == proxy


@pytest.mark.parametrize(
    ("url", "why"),
    [
        ("proxy.corp.example:3128", f"it does not begin with http://; a proxy is written as {FORM}"),
        ("hunter2:hunter2@proxy.corp.example:3128", "it does not begin with http://"),
        ("hunter2://proxy.corp.example:3128", "it does not begin with http://"),
        ("socks5://hunter2:hunter2@proxy:1080", "it begins with socks5://, and only proxies that speak HTTP"),
        ("https://hunter2:hunter2@proxy:3128", "it begins with https://, and only proxies that speak HTTP"),
        ("http://", "it has no host and port"),
        ("http://:3128", "it has no host and port"),
        ("http://proxy:hunter2", "it has no host and port"),
        ("http://proxy:0", "it has no host and port"),
        ("http://u:hunter2/hunter2@proxy:3128", "in its user and password write / as %2F"),
        ("http://u:hunter2#hunter2@proxy:3128", "in its user and password write / as %2F"),
        ("http://proxy:3128/hunter2", "it has a path"),
        ("http://proxy:3128/?hunter2", "it has no host and port"),
        ("http://u:hunter2@169.254.169.254:80", "its address is link-local"),
    ],
)
def test_what_no_client_can_use_is_refused_without_its_password(url, why):
    with pytest.raises(ProxyError) as refused:
        parse_proxy(url)
    assert str(refused.value).startswith(why)
    assert "hunter2" not in str(refused.value)


@pytest.mark.parametrize(
    ("entry", "direct", "through"),
    [
        ("*", ["https://a.example", "http://8.8.8.8"], []),
        ("example.com", ["https://example.com", "https://api.example.com"], ["https://badexample.com"]),
        (".example.com", ["https://example.com", "https://a.b.example.com:8443"], ["https://badexample.com"]),
        ("*.Example.COM.", ["https://api.example.com"], ["https://example.org"]),
        ("example.com:8443", ["https://api.example.com:8443"], ["https://api.example.com"]),
        ("8.8.8.8", ["https://8.8.8.8", "http://[::ffff:8.8.8.8]:81"], ["https://8.8.4.4", "https://8.8.8.8.example"]),
        ("8.8.0.0/16", ["https://8.8.200.1"], ["https://8.9.0.1", "https://eight.example"]),
        ("8.8.0.0/16:8443", ["https://8.8.200.1:8443"], ["https://8.8.200.1"]),
        ("2600::1", ["https://[2600::1]"], ["https://[2600::2]"]),
        ("[2600::1]", ["https://[2600:0::1]:8443"], ["https://[2600::2]"]),
        ("[2600::1]:8443", ["https://[2600::1]:8443"], ["https://[2600::1]"]),
        ("2600:1::/32", ["https://[2600:1:2::3]"], ["https://[2600:2::3]", "https://38.0.0.1"]),
        ("a.example, b.example c.example,", ["https://a.example", "https://c.example"], ["https://d.example"]),
        ("", [], ["https://a.example"]),
        (",,", [], ["https://a.example"]),
        # A part of an address is a name like any other, and no address ends with a name.
        ("8.8", [], ["https://1.2.8.8"]),
    ],
)
def test_no_proxy_names_hosts_networks_and_ports(entry, direct, through):
    proxy = "http://proxy.corp.example:3128"
    proxies = Proxies(https=proxy, http=proxy, direct=read_direct_hosts(entry))
    assert {url: proxies.towards(*parse_base_url(url)[:3]) for url in direct} == dict.fromkeys(direct)
    assert {url: proxies.towards(*parse_base_url(url)[:3]) for url in through} == dict.fromkeys(through, proxy)


def test_an_entry_that_means_nothing_is_kept_to_be_told_and_the_others_hold():
    read = read_direct_hosts("10.*, a.example, 10.0.0.0/99, <local>, http://b.example, a.example:http")
    assert read.unread == ("10.*", "10.0.0.0/99", "<local>", "http://b.example", "a.example:http")
    assert read.names == (("a.example", None),)


@pytest.mark.parametrize(
    "host",
    ["localhost", "ollama", "x.localhost", "vllm.default.svc", "host.docker.internal", "box.local", "127.0.0.1",
     "127.8.8.8", "::1", "10.1.2.3", "192.168.1.1", "172.20.0.5", "100.64.0.1", "fd00::1", "::ffff:10.0.0.1",
     "169.254.169.254"],
)  # fmt: skip
def test_what_lies_near_is_never_asked_of_a_proxy(host):
    assert is_near(host)
    assert Proxies(http="http://proxy.example").towards("http", host, 80) is None


@pytest.mark.parametrize("host", ["api.openai.com", "8.8.8.8", "2600::1", "localhost.example", "internal.example"])
def test_what_lies_far_is(host):
    assert not is_near(host)
    assert Proxies(http="http://proxy.example").towards("http", host, 80) == "http://proxy.example"


def test_each_scheme_has_its_proxy_and_without_one_goes_directly():
    proxies = Proxies(https="http://one.example")
    assert proxies.towards("https", "a.example", 443) == "http://one.example"
    assert proxies.towards("http", "a.example", 80) is None
    assert Proxies().towards("https", "a.example", 443) is None


def test_neither_user_nor_password_is_shown_and_logs_know_what_to_hide():
    proxies = Proxies(https="http://robot:hunt%20er2@proxy.example:3128", http="http://token-1@proxy.example:3128")
    assert "robot" not in repr(proxies)
    assert "hunt" not in repr((proxies, parse_proxy(proxies.https)))
    hidden = {"hunt%20er2", "hunt er2", basic("robot:hunt er2")[6:], "token-1", basic("token-1:")[6:]}
    assert set(proxies.secrets()) == hidden
