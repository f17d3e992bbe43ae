"""A Redis whose host vanished is away; redis-py takes it for a subscription on which nothing is said.

The error of a connection that the kernel gives up (ETIMEDOUT) is a TimeoutError in Python, which redis-py's own limits of
time raise as well: whoever listens is told that nothing came, at once and for ever, and the event loop turns on the spot
(8.1; channels_redis listens in the same way). Those limits are set around its parsers, so what comes out of one is the
socket's word.
"""

import functools
from collections.abc import Awaitable, Callable
from typing import Any

MARK = "_tells_lost_connections"


def tell_lost_connections() -> None:
    """For all of this process."""
    from redis import _parsers

    parsers: tuple[Any, ...] = (
        _parsers._AsyncRESP2Parser,
        _parsers._AsyncRESP3Parser,
        _parsers._AsyncHiredisParser,
    )
    for parser in parsers:
        if not hasattr(parser.read_response, MARK):
            parser.read_response = _telling(parser.read_response)


def _telling(read: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
    @functools.wraps(read)
    async def read_response(*given: Any, **options: Any) -> Any:
        try:
            return await read(*given, **options)
        except TimeoutError as error:
            raise ConnectionResetError(*error.args) from error

    setattr(read_response, MARK, True)
    return read_response
