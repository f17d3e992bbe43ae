"""What a caller reads: an answer whose head has arrived."""

from collections.abc import Callable, Mapping

from providers.content_encoding import Inflater, inflater, next_inflated
from providers.errors import BadAnswer, StreamTruncated
from providers.http1.connection import NEVER, Connection
from providers.transport import Consumer, forward_chunks


class Http1Response:
    """See `providers.transport.UpstreamResponse`.

    A cancelled `chunk` loses nothing and may be called again; only `close` ends the call.
    """

    __slots__ = ("_connection", "_now", "_release", "headers", "status")

    _plain = True
    """Whether what arrives is the body itself."""

    def __init__(self, connection: Connection, release: Callable[[Connection], None], now: Callable[[], float]) -> None:
        self._connection: Connection | None = connection
        self._release = release
        self._now = now
        self.status = connection.status
        self.headers: Mapping[str, str] = connection.headers

    async def chunk(self, timeout_s: float) -> bytes:
        connection = self._open_connection()
        if not connection.pieces and not connection.complete:
            deadline = self._now() + timeout_s
            try:
                while not connection.pieces and not connection.complete:
                    if connection.error is not None:
                        raise connection.error
                    await connection.wait(deadline, "idle")
            finally:
                connection.deadline = NEVER
        return connection.take()

    async def forward(self, consumer: Consumer, timeout_s: float) -> bool:
        connection = self._open_connection()
        try:
            while True:
                if connection.pieces:
                    if not consumer(connection.take()):
                        return True
                elif connection.complete:
                    return False
                elif connection.error is not None:
                    raise connection.error
                elif await connection.pour(consumer, timeout_s):
                    return True
        finally:
            connection.deadline = NEVER

    async def read(self, *, limit: int, timeout_s: float) -> bytes:
        connection = self._connection
        if self._plain and connection is not None and connection.complete:
            # The usual case of a short answer: it arrived together with its head.
            data = connection.take()
            if len(data) <= limit:
                return data
            self.close()
            raise BadAnswer(f"The answer is longer than {limit} bytes.")
        deadline = self._now() + timeout_s
        pieces: list[bytes] = []
        size = 0
        while piece := await self.chunk(deadline - self._now()):
            size += len(piece)
            if size > limit:
                self.close()
                raise BadAnswer(f"The answer is longer than {limit} bytes.")
            pieces.append(piece)
        return b"".join(pieces)

    def _open_connection(self) -> Connection:
        if self._connection is None:
            raise StreamTruncated("The answer was closed before it was read.")
        return self._connection

    def close(self) -> None:
        connection = self._connection
        if connection is not None:
            self._connection = None
            self._release(connection)


class InflatingResponse(Http1Response):
    """For an upstream that compresses although it was asked not to."""

    __slots__ = ("_decoder",)

    _plain = False

    def __init__(
        self,
        connection: Connection,
        release: Callable[[Connection], None],
        now: Callable[[], float],
        decoder: Inflater,
    ) -> None:
        super().__init__(connection, release, now)
        self._decoder = decoder
        self.headers = {
            name: value
            for name, value in connection.headers.items()
            if name not in {"content-encoding", "content-length"}
        }

    async def chunk(self, timeout_s: float) -> bytes:
        try:
            return await next_inflated(self._decoder, super().chunk, timeout_s)
        except BadAnswer:
            self.close()
            raise

    async def forward(self, consumer: Consumer, timeout_s: float) -> bool:
        return await forward_chunks(self.chunk, consumer, timeout_s)


def response_on(
    connection: Connection, release: Callable[[Connection], None], now: Callable[[], float]
) -> Http1Response:
    """The response for the head that has arrived; `BadAnswer` when it is encoded in a way we do not know."""
    encoding = connection.headers.get("content-encoding")
    if encoding is not None and (decoder := inflater(encoding)) is not None:
        return InflatingResponse(connection, release, now, decoder)
    return Http1Response(connection, release, now)
