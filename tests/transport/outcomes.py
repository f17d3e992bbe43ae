"""What a caller can observe of one call, in a form that can be compared between clients."""

from dataclasses import dataclass, field

from providers.errors import UpstreamError
from providers.transport import Endpoint, Transport, UpstreamRequest

BODY = b'{"model":"m"}'
REQUEST = UpstreamRequest(path="/v1/chat", headers=(("content-type", "application/json"),), body=BODY)


@dataclass(frozen=True)
class Outcome:
    """`error` is the class of what was raised, with the phase of a timeout."""

    status: int | None = None
    headers: dict[str, str] = field(default_factory=dict)
    body: bytes | None = None
    error: str | None = None


async def outcome(
    transport: Transport,
    endpoint: Endpoint,
    request: UpstreamRequest = REQUEST,
    *,
    timeout_s: float = 2.0,
    idle_s: float = 2.0,
) -> Outcome:
    try:
        response = await transport.send(endpoint, request, timeout_s=timeout_s)
    except UpstreamError as error:
        return Outcome(error=_described(error))
    try:
        pieces = []
        while piece := await response.chunk(idle_s):
            pieces.append(piece)
        return Outcome(response.status, dict(response.headers), b"".join(pieces))
    except UpstreamError as error:
        return Outcome(response.status, dict(response.headers), error=_described(error))
    finally:
        response.close()


def _described(error: UpstreamError) -> str:
    detail = getattr(error, "phase", None) or ("stale" if getattr(error, "stale", False) else None)
    return type(error).__name__ + (f":{detail}" if detail else "")
