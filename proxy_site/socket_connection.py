"""One WebSocket: uvicorn's protocol, completed where a peer could fill the memory, take all of the time, or stay for nothing.

uvicorn 0.54 answers pings although nobody reads the answers, keeps every fragment of a message as an object of its own,
be it empty, and waits for the rest of a message for ever. It works on all that has arrived in one turn of the event loop:
a million tiny frames would take that ten seconds, in which nobody else is answered. And a head that its parser refuses,
which takes no key, it neither answers nor hangs up on.
"""

import asyncio
import time
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.frames import Frame

from proxy_site.request_cycle import refusal
from routing.endpoints.exchange import BODY_DEADLINE_S
from routing.errors import InvalidRequest

TURN_BYTES = 4096
"""What is read of one connection until it is the others' turn."""


class SocketConnection(WebSocketsSansIOProtocol):
    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._held = bytearray()
        """What has arrived and is to be read in later turns."""
        self._turn: asyncio.Handle | None = None
        self._message_since: float | None = None
        self._pong = b""

    def data_received(self, data: bytes) -> None:
        if self._held or len(data) > TURN_BYTES:
            self._held += data
            self._go_on()
        else:
            self._read(data)

    def connection_lost(self, exc: Exception | None) -> None:
        if self._turn is not None:
            self._turn.cancel()
        super().connection_lost(exc)

    async def receive(self) -> Any:
        message = await self.queue.get()
        if self.read_paused and self.queue.empty():
            self.read_paused = False
            self._go_on()
        return message

    def _go_on(self) -> None:
        if self._held:
            self.transport.pause_reading()
            if self._turn is None and not self.read_paused:
                self._turn = self.loop.call_soon(self._take_turn)
        elif not self.read_paused:
            self.transport.resume_reading()

    def _take_turn(self) -> None:
        self._turn = None
        data = bytes(self._held[:TURN_BYTES])
        del self._held[:TURN_BYTES]
        self._read(data)
        self._go_on()

    def _read(self, data: bytes) -> None:
        super().data_received(data)
        if self.conn.handshake_exc is not None and not self.handshake_initiated:
            self._refuse()
        if not self.frames and not self.conn.reader.buffer:
            self._message_since = None
        elif self._message_since is None:
            self._message_since = time.monotonic()

    def _refuse(self) -> None:
        if not self.transport.is_closing():
            error = InvalidRequest("This is no handshake of a WebSocket: it has a body, or too long a head.")
            self.transport.write(refusal(error, self.default_headers))
            self.transport.close()

    def handle_cont(self, event: Frame) -> None:
        message: Any = self.frames[0]
        if not isinstance(message, bytearray):
            message = bytearray(message)
        message += event.data
        self.frames = [message]
        if event.fin:
            self.send_receive_event_to_app()

    def send_receive_event_to_app(self) -> None:
        self._message_since = None
        self.frames = [bytes(self.frames[0])]
        super().send_receive_event_to_app()

    def handle_ping(self) -> None:
        """Of pings that came meanwhile, a slow reader gets the last one's answer (RFC 6455, 5.5.3)."""
        pongs = self.conn.data_to_send()
        if self.writable.is_set():
            self.transport.write(b"".join(pongs))
        elif pongs:
            self._pong = pongs[-1]

    def resume_writing(self) -> None:
        super().resume_writing()
        pong, self._pong = self._pong, b""
        if pong:
            self.transport.write(pong)

    def overdue(self, now: float) -> bool:
        """Whether the peer has sent a part of a message, and not its rest, for as long as the body of a request may take."""
        if self._message_since is None:
            return False
        if self.read_paused:
            # The rest could not come.
            self._message_since = now
        return now - self._message_since > BODY_DEADLINE_S
