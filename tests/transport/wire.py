"""A server that speaks bytes: each test writes what goes over the wire, and sees what came and when it ended."""

import asyncio
import socket
import ssl
import struct
import time
from collections.abc import Awaitable, Callable
from typing import TypeAlias


class Wire:
    """One accepted connection. `ended_at` is when its reading end saw the client close, on the monotonic clock."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, number: int) -> None:
        self.reader, self.writer, self.number = reader, writer, number
        self.ended_at: float | None = None

    async def request(self) -> bytes:
        """The head and body of the next request, raw; `EOFError` when the client closed instead."""
        try:
            head = await self.reader.readuntil(b"\r\n\r\n")
            lower = head.lower()
            at = lower.find(b"content-length:")
            length = int(lower[at + 15 :].split(b"\r\n", 1)[0]) if at >= 0 else 0
            return head + await self.reader.readexactly(length)
        except (asyncio.IncompleteReadError, OSError) as error:
            raise EOFError from error

    async def send(self, data: bytes) -> None:
        if self.writer.is_closing():
            raise EOFError
        self.writer.write(data)
        await self.writer.drain()

    async def pieces(self, *pieces: bytes) -> None:
        """Each piece in a segment of its own, as far as the event loop can make it so."""
        for piece in pieces:
            if self.writer.is_closing():
                raise EOFError
            self.writer.write(piece)
            for _ in range(3):
                await asyncio.sleep(0)

    def reset(self) -> None:
        """RST instead of FIN."""
        raw = self.writer.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()

    def half_close(self) -> None:
        self.writer.write_eof()

    def close(self) -> None:
        self.writer.close()

    async def hang(self) -> None:
        """Waits until the client leaves."""
        try:
            while await self.reader.read(65536):
                pass
        except OSError:
            pass
        raise EOFError


Script: TypeAlias = Callable[[Wire], Awaitable[None]]


class WireServer:
    """`script` runs once for each connection; when it returns the connection is closed."""

    def __init__(self, tls: ssl.SSLContext | None = None) -> None:
        self._tls = tls
        self.script: Script = answer_each(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")
        self.wires: list[Wire] = []
        self.failures: list[BaseException] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self.port = 0

    async def __aenter__(self) -> "WireServer":
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0, ssl=self._tls, limit=1 << 20)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *exc: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for wire in self.wires:
            wire.writer.transport.abort()
        await asyncio.sleep(0)

    @property
    def open(self) -> int:
        return sum(wire.ended_at is None for wire in self.wires)

    async def all_ended(self, within_s: float = 2.0) -> bool:
        """Whether every connection that was ever accepted has been closed."""
        return await eventually(lambda: self.open == 0, within_s)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        wire = Wire(reader, writer, len(self.wires))
        self.wires.append(wire)
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            await self.script(wire)
        except (EOFError, OSError):
            pass
        except asyncio.CancelledError:
            return
        except BaseException as error:
            self.failures.append(error)
            raise
        finally:
            wire.ended_at = time.monotonic()
            writer.close()


def answer_each(*answers: bytes, then: bytes | None = None) -> Script:
    """Answers the requests of a connection in turn; `then` is sent with the last answer. Then hangs."""

    async def script(wire: Wire) -> None:
        for answer in answers[:-1]:
            await wire.request()
            await wire.send(answer)
        while True:
            await wire.request()
            await wire.send(answers[-1] + (then or b""))

    return script


def answer_then_close(data: bytes, *, reset: bool = False) -> Script:
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(data)
        if reset:
            # The bytes must have left before the reset throws away what has not.
            await asyncio.sleep(0.02)
            wire.reset()

    return script


async def eventually(condition: Callable[[], bool], within_s: float = 2.0) -> bool:
    deadline = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > deadline:
            return False
        await asyncio.sleep(0.002)
    return True
