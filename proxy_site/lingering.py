"""The end of a connection whose request is answered before it has come whole, as a stranger's is.

A socket that is closed with something unread resets its connection, and who is still sending may lose the answer by that:
nginx makes a 502 of it, HAProxy a broken connection. So what still comes is read and thrown away (RFC 9112, 9.6).
"""

import asyncio

from routing.endpoints.exchange import BODY_LIMIT_BYTES

LINGER_S = 10.0


class Lingering(asyncio.Protocol):
    """Takes a connection's place behind its last answer, until the peer has closed, has sent more than any request may
    have, or has taken `LINGER_S`."""

    def __init__(self, transport: asyncio.Transport, before: asyncio.Protocol) -> None:
        self._transport = transport
        self._before = before
        self._left = BODY_LIMIT_BYTES
        transport.set_protocol(self)
        transport.write_eof()
        self._timer = asyncio.get_running_loop().call_later(LINGER_S, transport.close)

    def data_received(self, data: bytes) -> None:
        self._left -= len(data)
        if self._left < 0:
            self._transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        self._timer.cancel()
        self._before.connection_lost(exc)
