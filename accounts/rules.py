"""What a key's lists may hold, and the fast tests made from them. Pure."""

import fnmatch
import ipaddress
import re
from collections.abc import Callable, Sequence
from typing import Any

from rows.bounds import UNPRINTABLE

SCOPES = ("completions", "read", "admin")


class InvalidRuleError(ValueError):
    """An entry of a list that cannot be used; the message names it. `words` and `values` are what it is made of, for who
    translates it."""

    def __init__(self, words: str, **values: str) -> None:
        super().__init__(words % values)
        self.words, self.values = words, values


def check_scopes(values: Any) -> None:
    for value in _strings(values):
        if value not in SCOPES:
            raise InvalidRuleError("'%(value)s' is not a scope; use %(scopes)s.", value=value, scopes=", ".join(SCOPES))


def check_names(values: Any) -> None:
    for value in _strings(values):
        if not value.strip():
            raise InvalidRuleError("A model name must not be empty.")
        # No name has a space, so that a pattern with one would quietly allow nothing.
        if value.split() != [value]:
            raise InvalidRuleError("'%(value)s' is not a model name or pattern: these have no spaces.", value=value)
        if UNPRINTABLE.search(value):
            raise InvalidRuleError("A model name has no spaces, control or invisible characters.")


def check_networks(values: Any) -> None:
    for value in _strings(values):
        try:
            ipaddress.ip_network(value, strict=False)
        except ValueError:
            raise InvalidRuleError(
                "'%(value)s' is not an address or a CIDR range, such as 10.0.0.0/8.", value=value
            ) from None


def _strings(values: Any) -> list[str]:
    if not isinstance(values, list) or not all(isinstance(value, str) for value in values):
        raise InvalidRuleError("Expected a list of strings.")
    return values


def model_test(patterns: Sequence[str]) -> Callable[[str], object] | None:
    """A test for `patterns` (shell style, case-sensitive), truthy when one matches; None when all names are allowed."""
    if not patterns:
        return None
    return re.compile("|".join(f"(?:{fnmatch.translate(pattern)})" for pattern in patterns)).match


def address_allowed(networks: Sequence[str], address: str | None) -> bool:
    """IPv4 addresses written as IPv6 are compared as IPv4. An unknown address is allowed nowhere."""
    if address is None:
        return False
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped is not None:
        found = found.ipv4_mapped
    return any(found in ipaddress.ip_network(network, strict=False) for network in networks)
