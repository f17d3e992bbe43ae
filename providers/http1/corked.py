"""Connections that send once a round of the event loop, all of them one after another.

A write wakes whoever reads at the other end of the socket. Written where each call is worked on, a tenth of a millisecond
apart, the writes of a busy round wake the same peer again and again, and each goes through the kernel's part of TCP after
Python has taken the processor's caches. Held until the round's calls are through, they take a fifth less of all CPU
(docs/adr/0017-writes-of-a-round.md), and what one connection has written in pieces goes out as one.
"""

import asyncio
import weakref
from collections.abc import Iterable
from typing import Any

from providers.http1.per_loop import PerLoop

HELD_BYTES = 64 * 1024
"""More than this is sent at once, or its writer would not hear that its reader is slow."""

Data = bytes | bytearray | memoryview


class Cork:
    """Which connections of one event loop hold something back."""

    __slots__ = ("__weakref__", "_loop", "holding")

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = weakref.ref(loop)
        self.holding: list[CorkedTransport] = []

    def send_soon(self) -> None:
        """For the first that holds something back."""
        if (loop := self._loop()) is not None:
            loop.call_soon(self._send)

    def _send(self) -> None:
        holding, self.holding = self.holding, []
        for transport in holding:
            try:
                transport.flush()
            except Exception as error:
                # The others' calls are none of its business.
                transport.abort()
                asyncio.get_running_loop().call_exception_handler({"message": "a write failed", "exception": error})


cork_of = PerLoop(Cork)


class CorkedTransport(asyncio.Transport):
    """A transport whose writes wait for the end of the round, in their order; `close` sends them first, `abort` does not."""

    __slots__ = ("_cork", "_held", "_pieces", "_transport")

    def __init__(self, transport: asyncio.Transport, cork: Cork) -> None:
        self._transport = transport
        self._cork = cork
        self._pieces: list[Data] = []
        self._held = 0

    def write(self, data: Data) -> None:
        pieces = self._pieces
        pieces.append(data)
        self._held += len(data)
        if len(pieces) == 1:
            # Written out, as every write does it.
            holding = self._cork.holding
            holding.append(self)
            if len(holding) == 1:
                self._cork.send_soon()
        if self._held > HELD_BYTES:
            self.flush()

    def writelines(self, list_of_data: Iterable[Data]) -> None:
        self.write(b"".join(list_of_data))

    def flush(self) -> None:
        """Sends what is held; nothing once the connection is lost or closed."""
        pieces = self._pieces
        if pieces:
            if not self._transport.is_closing():
                self._transport.write(pieces[0] if len(pieces) == 1 else b"".join(pieces))
            pieces.clear()
            self._held = 0

    def get_write_buffer_size(self) -> int:
        return self._held + self._transport.get_write_buffer_size()

    def write_eof(self) -> None:
        self.flush()
        self._transport.write_eof()

    def close(self) -> None:
        self.flush()
        self._transport.close()

    def abort(self) -> None:
        self._pieces.clear()
        self._held = 0
        self._transport.abort()

    # ------------------------------------------------------------------------------------------------ handed on

    def is_closing(self) -> bool:
        return self._transport.is_closing()

    def get_extra_info(self, name: str, default: Any = None) -> Any:
        return self._transport.get_extra_info(name, default)

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        self._transport.set_protocol(protocol)

    def get_protocol(self) -> asyncio.BaseProtocol:
        return self._transport.get_protocol()

    def is_reading(self) -> bool:
        return self._transport.is_reading()

    def pause_reading(self) -> None:
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        self._transport.resume_reading()

    def set_write_buffer_limits(self, high: int | None = None, low: int | None = None) -> None:
        self._transport.set_write_buffer_limits(high, low)

    def get_write_buffer_limits(self) -> tuple[int, int]:
        return self._transport.get_write_buffer_limits()

    def can_write_eof(self) -> bool:
        return self._transport.can_write_eof()
