"""From an endpoint to the addresses that may be connected to: resolve, check every one, pin.

Both HTTP clients connect to the addresses returned here and to nothing else, so a name that changes its answer between
check and connect gains nothing.
"""

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeAlias

from providers import addresses
from providers.errors import ConnectFailed

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]
"""Name and port to IP addresses, in the order of preference; raises OSError."""


async def system_resolve(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(sockaddr[0]) for _, _, _, _, sockaddr in found]


def in_words(error: Exception) -> str:
    """`Connection refused`: what Python says instead has the error's number, and what it was called with."""
    if isinstance(error, OSError) and not isinstance(error, socket.gaierror) and error.errno:
        return os.strerror(error.errno)
    return getattr(error, "strerror", None) or str(error)


async def admitted_addresses(
    resolve: Resolve, host: str, port: int, *, allow_private: bool, networks: tuple[str, ...] = ()
) -> tuple[str, ...]:
    """The addresses of `host` that policy admits, without duplicates; `ConnectFailed` when there is none."""
    if addresses.literal(host) is not None:
        candidates: Sequence[str] = (host,)
    else:
        try:
            candidates = await resolve(host, port)
        except (OSError, UnicodeError) as error:
            raise ConnectFailed(f"{host} cannot be resolved: {in_words(error)}.") from error
    refused: list[str] = []
    admitted: dict[str, None] = {}
    for candidate in candidates:
        why = addresses.refusal(candidate, allow_private=allow_private, networks=networks)
        if why is None:
            admitted[candidate] = None
        else:
            refused.append(f"{candidate} is {why}")
    if not admitted:
        raise ConnectFailed(f"no address of {host} may be connected to: {'; '.join(refused) or 'none was found'}")
    return tuple(admitted)


def check_literal(host: str, *, allow_private: bool, networks: tuple[str, ...] = ()) -> None:
    """For a target behind a proxy, which resolves names itself: at least a written address is held to the policy."""
    if addresses.literal(host) is None:
        return
    if why := addresses.refusal(host, allow_private=allow_private, networks=networks):
        raise ConnectFailed(f"{host} may not be connected to: {why}")
