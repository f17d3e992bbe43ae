"""The proxies on the way out: how one is written, and which calls go through one. Pure.

HTTPS_PROXY, HTTP_PROXY and NO_PROXY are read as curl and Python's clients read them, but for three things: what lies near
is never asked of a proxy, so that a local server needs no entry in NO_PROXY; an entry may name a port; and what no client
here can use is refused instead of being tried.
"""

import base64
import ipaddress
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import unquote

from providers.addresses import IPAddress, IPNetwork, UrlError, literal, parse_base_url, refusal

FORM: Final = "http://[user:password@]host:port"
OTHER_SCHEMES: Final = frozenset({"https", "socks", "socks4", "socks4a", "socks5", "socks5h"})
NEAR: Final = (".localhost", ".local", ".internal", ".svc")
"""Endings that no public name has: RFC 6761, RFC 6762, ICANN's private-use domain, a Kubernetes Service."""

_NAME: Final = re.compile(r"[a-z0-9_-]+(?:\.[a-z0-9_-]+)*")
_PORT: Final = re.compile(r"(?P<host>.+):(?P<port>[1-9][0-9]{0,4})")


class ProxyError(ValueError):
    """A proxy that cannot be used. The text repeats nothing that could be a part of a password."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxy:
    """`authorization` is the value of the header of this name, without which there is none."""

    host: str
    port: int
    authorization: str | None = field(default=None, repr=False)


def parse_proxy(url: str) -> Proxy:
    """`http://[user:password@]host[:port]`, port 80 where none is given. Raises `ProxyError`."""
    scheme, separator, rest = url.partition("://")
    scheme = scheme.lower()
    if separator and scheme in OTHER_SCHEMES:
        raise ProxyError(f"it begins with {scheme}://, and only proxies that speak HTTP can be used: {FORM}")
    if not separator or scheme != "http":
        raise ProxyError(f"it does not begin with http://; a proxy is written as {FORM}")
    user, at, place = rest.rpartition("@")
    if any(character in user for character in "/?#"):
        raise ProxyError("in its user and password write / as %2F, ? as %3F and # as %23")
    host, port = _place(place.removesuffix("/"))
    return Proxy(host=host, port=port, authorization=_basic(user) if at else None)


def _place(place: str) -> tuple[str, int]:
    try:
        parts = parse_base_url(f"http://{place}")
    except UrlError:
        raise ProxyError(f"it has no host and port that could be ones; a proxy is written as {FORM}") from None
    if parts.path:
        raise ProxyError(f"it has a path; a proxy is written as {FORM}, and / in a password as %2F")
    if literal(parts.host) is not None and (why := refusal(parts.host, allow_private=True)):
        raise ProxyError(f"its address is {why}")
    return parts.host, parts.port


def _basic(user: str) -> str:
    name, _, password = user.partition(":")
    return "Basic " + base64.b64encode(f"{unquote(name)}:{unquote(password)}".encode()).decode()


def is_near(host: str) -> bool:
    """Whether the host is this machine, or belongs to the network that it stands in: a private address, a name without a
    dot, a name that only a private network can have. Addresses that are always refused count, too: they are refused
    here, and no proxy is asked for them."""
    if literal(host) is not None:
        return refusal(host, allow_private=False) is not None
    return "." not in host or host.endswith(NEAR)


@dataclass(frozen=True, slots=True, kw_only=True)
class DirectHosts:
    """What NO_PROXY says. Each name stands for itself and what is below it; each with a port, for that port alone.
    `unread` are the entries that mean nothing here and match nothing."""

    every: bool = False
    networks: tuple[tuple[IPNetwork, int | None], ...] = ()
    names: tuple[tuple[str, int | None], ...] = ()
    unread: tuple[str, ...] = ()

    def have(self, host: str, port: int) -> bool:
        """`host` as `parse_base_url` has it. Names are not resolved: a network has written addresses only."""
        if self.every:
            return True
        address = literal(host)
        if address is None:
            return any(own in (None, port) and (host == name or host.endswith(f".{name}")) for name, own in self.names)
        address = _plain(address)
        return any(
            own in (None, port) and address.version == network.version and address in network
            for network, own in self.networks
        )


def read_direct_hosts(text: str) -> DirectHosts:
    """Entries are separated by commas or spaces: `*`, a name (with or without a leading dot or `*.`), an address, a network
    such as 10.0.0.0/8; each but `*` may end with `:port`, an IPv6 address then in brackets."""
    words = re.split(r"[\s,]+", text.strip().lower())
    networks: list[tuple[IPNetwork, int | None]] = []
    names: list[tuple[str, int | None]] = []
    unread: list[str] = []
    for word in words:
        network, name, port = _entry(word)
        if network is not None:
            networks.append((network, port))
        elif name:
            names.append((name, port))
        elif word not in ("", "*"):
            unread.append(word)
    return DirectHosts(every="*" in words, networks=tuple(networks), names=tuple(names), unread=tuple(unread))


def _entry(word: str) -> tuple[IPNetwork | None, str, int | None]:
    if (network := _network(word)) is not None:
        return network, "", None
    port = None
    if (match := _PORT.fullmatch(word)) is not None:
        word, port = match["host"], int(match["port"])
        if (network := _network(word)) is not None:
            return network, "", port
    name = word.removeprefix("*").removeprefix(".").removesuffix(".")
    return None, name if _NAME.fullmatch(name) else "", port


def _network(word: str) -> IPNetwork | None:
    if word.startswith("[") and word.endswith("]"):
        word = word[1:-1]
    try:
        return ipaddress.ip_network(word, strict=False)
    except ValueError:
        return None


def _plain(address: IPAddress) -> IPAddress:
    """An IPv4 address that is written as an IPv6 one is in the networks of the IPv4 one."""
    return getattr(address, "ipv4_mapped", None) or address


@dataclass(frozen=True, slots=True, kw_only=True)
class Proxies:
    """The proxy of https:// and of http:// addresses, and who is called without one. Their representation shows neither
    user nor password."""

    https: str | None = field(default=None, repr=False)
    http: str | None = field(default=None, repr=False)
    direct: DirectHosts = DirectHosts()

    def towards(self, scheme: str, host: str, port: int) -> str | None:
        """The proxy that a call goes through, or None for none. The parts are those of `parse_base_url`."""
        proxy = self.https if scheme == "https" else self.http
        if proxy is None or is_near(host) or self.direct.have(host, port):
            return None
        return proxy

    def known(self) -> Iterator[tuple[str, Proxy]]:
        """(scheme, proxy)"""
        for scheme, url in (("https", self.https), ("http", self.http)):
            if url is not None:
                yield scheme, parse_proxy(url)

    def secrets(self) -> Iterator[str]:
        """What no log may show: user, password, and both as they are sent."""
        for url in (self.https, self.http):
            user, at, _ = (url or "").partition("://")[2].rpartition("@")
            if at:
                name, _, password = user.partition(":")
                hidden = password or name
                yield from (hidden, unquote(hidden), _basic(user).removeprefix("Basic "))
