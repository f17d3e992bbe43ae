"""The middle of a stream: from its first semantic event to its last, frame by frame to the client."""

import time

from providers.adapters.base import ClientStream
from providers.errors import StreamTruncated
from providers.transport import UpstreamResponse
from routing.call import Call


async def pass_on(
    call: Call, stream: ClientStream, response: UpstreamResponse, frames: bytes, idle_timeout_s: float
) -> bytes:
    """Writes `frames` and all that follow them but for the last, which are returned. Raises `UpstreamError`.

    While the client keeps up its frames are written where the upstream's bytes arrive, and this task sleeps. When it does
    not, the task waits for it, and the upstream for the task.
    """
    sink = call.sink
    passage = _Passage(call, stream)
    while not stream.ended:
        if frames:
            await sink.write(frames)
            call.written_at = time.monotonic()
        if stream.failure is not None:
            raise stream.failure
        if await response.forward(passage.take, idle_timeout_s):
            frames = passage.frames
            continue
        frames = stream.close()
        if not stream.ended and stream.failure is None:
            raise StreamTruncated("The provider's stream ended too early.")
    return frames


class _Passage:
    """Takes what an upstream sends. After it refused more, `frames` are those that it did not write."""

    __slots__ = ("_call", "_feed", "_push", "_stream", "frames")

    def __init__(self, call: Call, stream: ClientStream) -> None:
        self._call = call
        self._stream = stream
        self._feed = stream.feed
        self._push = call.sink.push
        self.frames = b""

    def take(self, data: bytes) -> bool:
        self.frames = frames = self._feed(data)
        stream, push = self._stream, self._push
        if push is None or stream.ended or stream.failure is not None:
            return False
        if frames:
            if not push(frames):
                return False
            self._call.written_at = time.monotonic()
        return True
