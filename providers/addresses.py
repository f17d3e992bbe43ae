"""Which addresses an upstream may have, and how a base URL may be written. Pure.

The gateway holds provider secrets and runs inside a private network, so a base_url is a weapon in the wrong hands:
cloud metadata services answer on link-local addresses, and there are many spellings of one address. Names are resolved
elsewhere; every address found is asked about here, and only an admitted one is connected to.

Ranges: the IANA special-purpose registries for IPv4 and IPv6, RFC 6598 (carrier-grade NAT), RFC 6052 (NAT64),
RFC 3056 (6to4), RFC 4380 (Teredo), RFC 5214 (ISATAP).
"""

import ipaddress
import re
from collections.abc import Iterator
from functools import lru_cache
from typing import Final, NamedTuple, TypeAlias

IPAddress: TypeAlias = ipaddress.IPv4Address | ipaddress.IPv6Address
IPNetwork: TypeAlias = ipaddress.IPv4Network | ipaddress.IPv6Network

_NEVER: Final[tuple[tuple[IPNetwork, str], ...]] = tuple(
    (ipaddress.ip_network(network), why)
    for network, why in (
        ("169.254.0.0/16", "link-local, where cloud metadata services answer"),
        ("100.100.100.200/32", "a cloud metadata service"),
        ("168.63.129.16/32", "a cloud metadata service"),
        ("192.0.0.0/24", "reserved, and a cloud metadata service"),
        ("0.0.0.0/8", "unspecified"),
        ("192.0.2.0/24", "reserved for documentation"),
        ("192.88.99.0/24", "reserved"),
        ("198.51.100.0/24", "reserved for documentation"),
        ("203.0.113.0/24", "reserved for documentation"),
        ("224.0.0.0/4", "multicast"),
        ("240.0.0.0/4", "reserved"),
        ("::/128", "unspecified"),
        ("fe80::/10", "link-local"),
        ("fec0::/10", "reserved"),
        ("ff00::/8", "multicast"),
        ("fd00:ec2::/32", "a cloud metadata service"),
        ("fd20:ce::/32", "a cloud metadata service"),
        ("fd00:42::42/128", "a cloud metadata service"),
        ("64:ff9b:1::/48", "a local translation prefix"),
        ("2001::/23", "reserved, Teredo's tunnels among it"),
        ("2001:db8::/32", "reserved for documentation"),
        ("2002::/16", "a 6to4 tunnel to another address"),
        ("3fff::/20", "reserved for documentation"),
    )
)
_PRIVATE: Final[tuple[tuple[IPNetwork, str], ...]] = tuple(
    (ipaddress.ip_network(network), why)
    for network, why in (
        ("127.0.0.0/8", "loopback"),
        ("10.0.0.0/8", "private"),
        ("172.16.0.0/12", "private"),
        ("192.168.0.0/16", "private"),
        ("100.64.0.0/10", "carrier-grade NAT"),
        ("198.18.0.0/15", "a benchmark network"),
        ("::1/128", "loopback"),
        ("fc00::/7", "private"),
    )
)
_GLOBAL_UNICAST: Final = ipaddress.IPv6Network("2000::/3")
_LAST_32_BITS: Final = tuple(
    ipaddress.IPv6Network(network) for network in ("::/96", "::ffff:0:0/96", "::ffff:0:0:0/96", "64:ff9b::/96")
)
_ISATAP_IDENTIFIERS: Final = (0x0000_5EFE, 0x0200_5EFE)


class BaseUrl(NamedTuple):
    """`host` is lower case and without brackets; `path` is empty or starts with `/` and does not end with it."""

    scheme: str
    host: str
    port: int
    path: str


class UrlError(ValueError):
    """A base URL that is written in a way we do not accept; the text is for the operator."""


def refusal(ip: str, *, allow_private: bool, networks: tuple[str, ...] = ()) -> str | None:
    """Why this address must not be connected to, or None. Text that is not an IP address is refused.

    `networks` are private ranges admitted although `allow_private` is off; what is refused always stays refused.

    Addresses that carry an IPv4 address inside (mapped, translated) are refused when that one is; tunnels always.
    """
    try:
        address = ipaddress.ip_address(ip.partition("%")[0])
    except ValueError:
        return "not an IP address"
    inner = list(_embedded(address))
    for candidate in inner:
        if (why := _refusal_of(candidate, allow_private, networks)) is not None:
            return f"{why} ({candidate} inside {address})"
    if inner and address not in _GLOBAL_UNICAST:
        return None
    return _refusal_of(address, allow_private, networks)


def literal(host: str) -> IPAddress | None:
    """The address, when `host` is one and not a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None


def _refusal_of(address: IPAddress, allow_private: bool, networks: tuple[str, ...]) -> str | None:
    for network, why in _NEVER:
        if address.version == network.version and address in network:
            return why
    for network, why in _PRIVATE:
        if address.version == network.version and address in network:
            return None if allow_private or _is_in(address, networks) else why
    if address.version == 6 and address not in _GLOBAL_UNICAST:
        return "reserved"
    return None


def _is_in(address: IPAddress, networks: tuple[str, ...]) -> bool:
    return any(address.version == network.version and address in network for network in _parsed(networks))


@lru_cache(maxsize=64)
def _parsed(networks: tuple[str, ...]) -> tuple[IPNetwork, ...]:
    return tuple(ipaddress.ip_network(network, strict=False) for network in networks)


def _embedded(address: IPAddress) -> Iterator[ipaddress.IPv4Address]:
    if isinstance(address, ipaddress.IPv4Address):
        return
    bits = int(address)
    last = ipaddress.IPv4Address(bits & 0xFFFF_FFFF)
    if bits > 1 and any(address in network for network in _LAST_32_BITS):
        yield last
    if bits >> 32 & 0xFFFF_FFFF in _ISATAP_IDENTIFIERS:
        yield last


# --------------------------------------------------------------------------------------------------------- base URLs

_PORTS: Final = {"http": 80, "https": 443}
_URL = re.compile(r"(?P<scheme>https?)://(?P<rest>.+)", re.IGNORECASE | re.DOTALL)
_PRINTABLE = re.compile(r"[\x21-\x7e]+")
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?")
_PORT = re.compile(r"[1-9][0-9]{0,4}")
_PATH = re.compile(r"(?:[A-Za-z0-9\-._~!$&'()*+,;=:@/]|%[0-9A-Fa-f]{2})*")
_DOT_SEGMENTS = re.compile(r"(?:\.|%2e){1,2}", re.IGNORECASE)
_NUMBER = re.compile(r"[0-9]+|0x[0-9a-f]*")


def parse_base_url(url: str) -> BaseUrl:
    """The parts of a provider's base_url; `UrlError` says what is wrong with it.

    Refused: other schemes, user information, queries, fragments, control characters, spaces, backslashes, non-ASCII
    (write the punycode), dot segments, zone ids, and every IPv4 spelling but four decimal numbers, because resolvers
    read `0x7f.1`, `017700000001` and `2130706433` as addresses too.
    """
    if not _PRINTABLE.fullmatch(url):
        raise UrlError("a base URL is printable ASCII without spaces")
    if (match := _URL.fullmatch(url)) is None:
        raise UrlError("a base URL starts with http:// or https:// and a host")
    for character, what in (("\\", "backslash"), ("?", "query"), ("#", "fragment")):
        if character in url:
            raise UrlError(f"a base URL has no {what}")
    authority = match["rest"].partition("/")[0]
    if "@" in authority:
        raise UrlError("a base URL has no user information: secrets belong into credentials")
    scheme = match["scheme"].lower()
    host, port = _split_authority(authority)
    path = match["rest"][len(authority) :]
    return BaseUrl(scheme, host, _PORTS[scheme] if port is None else port, _checked_path(path))


def base_url_fault(url: str) -> str | None:
    """Why no provider may have this base URL, or None: how it is written, or an address that is always refused. What a
    name resolves to is checked when connecting."""
    try:
        host = parse_base_url(url).host
    except UrlError as error:
        return str(error)
    if literal(host) is not None and (why := refusal(host, allow_private=True)) is not None:
        return f"{host} is {why}"
    return None


def _split_authority(authority: str) -> tuple[str, int | None]:
    if authority.startswith("["):
        inside, bracket, rest = authority[1:].partition("]")
        if not bracket or (rest and not rest.startswith(":")):
            raise UrlError("an IPv6 address in a base URL stands in brackets")
        host, port_text = _checked_ipv6(inside), rest[1:] if rest else None
    else:
        name, colon, tail = authority.partition(":")
        host, port_text = _checked_name(name), tail if colon else None
    if port_text is None:
        return host, None
    if not _PORT.fullmatch(port_text) or int(port_text) > 65535:
        raise UrlError("a port is a number from 1 to 65535")
    return host, int(port_text)


def _checked_ipv6(text: str) -> str:
    if "%" in text:
        raise UrlError("a base URL has no zone id")
    try:
        return str(ipaddress.IPv6Address(text))
    except ValueError:
        raise UrlError("the host in brackets is not an IPv6 address") from None


def _checked_name(text: str) -> str:
    name = text.lower().removesuffix(".")
    labels = name.split(".")
    if _NUMBER.fullmatch(labels[-1]):
        try:
            return str(ipaddress.IPv4Address(name))
        except ValueError:
            raise UrlError("an IPv4 address is written as four decimal numbers") from None
    if not name or len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise UrlError("the host is not a valid name")
    return name


def _checked_path(path: str) -> str:
    if not _PATH.fullmatch(path):
        raise UrlError("the path holds characters that must be percent-encoded")
    if any(_DOT_SEGMENTS.fullmatch(segment) for segment in path.split("/")):
        raise UrlError("a base URL has no dot segments")
    return path.rstrip("/")
