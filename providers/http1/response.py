"""What a caller reads: an answer whose head has arrived."""

from collections.abc import Callable, Mapping
from typing import Final

from providers.content_encoding import Inflater, inflater, next_inflated
from providers.errors import BadAnswer, StreamTruncated
from providers.http1.connection import Connection

CLOSED: Final = "The answer was closed before it was read."


class Http1Response:
    """See `providers.transport.UpstreamResponse`.

    A cancelled `chunk` loses nothing and may be called again; only `close` ends the call.
    """

    __slots__ = ("_connection", "_inflater", "_now", "_release", "headers", "status")

    def __init__(self, connection: Connection, release: Callable[[Connection], None], now: Callable[[], float]) -> None:
        self._connection: Connection | None = connection
        self._release = release
        self._now = now
        self.status = connection.status
        headers = connection.headers
        self._inflater: Inflater | None = None
        if "content-encoding" in headers:
            self._inflater = inflater(headers.pop("content-encoding"))
            if self._inflater is not None:
                headers.pop("content-length", None)
        self.headers: Mapping[str, str] = headers

    async def chunk(self, timeout_s: float) -> bytes:
        if self._inflater is not None:
            return await self._inflated(self._inflater, timeout_s)
        connection = self._connection
        if connection is None:
            raise StreamTruncated(CLOSED)
        if not connection.pieces and not connection.complete:
            await self._more(connection, self._now() + timeout_s)
        return connection.take()

    async def read(self, *, limit: int, timeout_s: float) -> bytes:
        connection = self._connection
        if connection is not None and connection.complete and self._inflater is None:
            data = connection.take()
            if len(data) <= limit:
                return data
            raise self._too_long(limit)
        deadline = self._now() + timeout_s
        pieces: list[bytes] = []
        size = 0
        while piece := await self.chunk(deadline - self._now()):
            size += len(piece)
            if size > limit:
                raise self._too_long(limit)
            pieces.append(piece)
        return b"".join(pieces)

    def close(self) -> None:
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._release(connection)

    async def _more(self, connection: Connection, deadline: float) -> None:
        try:
            while not connection.pieces and not connection.complete:
                if connection.error is not None:
                    raise connection.error
                await connection.wait(deadline, "idle")
        finally:
            connection.rest()

    async def _raw(self, timeout_s: float) -> bytes:
        connection = self._connection
        if connection is None:
            raise StreamTruncated(CLOSED)
        await self._more(connection, self._now() + timeout_s)
        return connection.take()

    async def _inflated(self, decoder: Inflater, timeout_s: float) -> bytes:
        try:
            return await next_inflated(decoder, self._raw, timeout_s)
        except BadAnswer:
            self.close()
            raise

    def _too_long(self, limit: int) -> BadAnswer:
        self.close()
        return BadAnswer(f"The answer is longer than {limit} bytes.")
