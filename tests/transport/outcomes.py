"""What a caller can observe of one call, in a form that can be compared between clients."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from providers.errors import UpstreamError
from providers.transport import Endpoint, Transport, UpstreamRequest, UpstreamResponse

BODY = b'{"model":"m"}'
REQUEST = UpstreamRequest(path="/v1/chat", headers=(("content-type", "application/json"),), body=BODY)


@dataclass(frozen=True)
class Outcome:
    """`error` is the class of what was raised, with the phase of a timeout."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    error: str | None = None


Way: TypeAlias = Callable[[UpstreamResponse, float], Awaitable[bytes]]
"""How a whole body is read, with the silence that may last between two pieces of it."""


async def by_chunk(response: UpstreamResponse, idle_s: float) -> bytes:
    pieces = []
    while piece := await response.chunk(idle_s):
        pieces.append(piece)
    return b"".join(pieces)


def by_forward(every: int | None = None) -> Way:
    """By a consumer that wants no more after `every` so many pieces, and then asks for the rest."""

    async def read(response: UpstreamResponse, idle_s: float) -> bytes:
        pieces: list[bytes] = []

        def take(piece: bytes) -> bool:
            assert piece
            pieces.append(piece)
            return every is None or len(pieces) % every > 0

        while await response.forward(take, idle_s):
            assert every
            assert len(pieces) % every == 0
        return b"".join(pieces)

    return read


WAYS: dict[str, Way] = {
    "by chunk": by_chunk,
    "by forward": by_forward(),
    "refused now and then": by_forward(3),
    "refused each time": by_forward(1),
}


async def outcome(
    transport: Transport,
    endpoint: Endpoint,
    request: UpstreamRequest = REQUEST,
    *,
    timeout_s: float = 2.0,
    idle_s: float = 2.0,
    way: Way = by_chunk,
) -> Outcome:
    try:
        response = await transport.send(endpoint, request, timeout_s=timeout_s)
    except UpstreamError as error:
        return Outcome(error=_described(error))
    try:
        body = await way(response, idle_s)
        return Outcome(response.status, dict(response.headers), body)
    except UpstreamError as error:
        return Outcome(response.status, dict(response.headers), error=_described(error))
    finally:
        response.close()


def _described(error: UpstreamError) -> str:
    detail = getattr(error, "phase", None) or ("stale" if getattr(error, "stale", False) else None)
    return type(error).__name__ + (f":{detail}" if detail else "")
