"""Where one generation's answer goes on a WebSocket: the SSE frames of the pipeline, repacked as messages (CONTRACT 5).

{"type": "chunk", "id": …, "chunk": {…}} …   then   {"type": "done", "id": …, "usage": {…}, "provider": …, …}
                                             or     {"type": "error", "id": …, "error": {…}, "request_id": …}
"""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson

from accounts.header_lines import HeaderLines
from monitoring.finished_call import FinishedCall
from providers.dialects.json_limits import loads_strict
from providers.dialects.sse import BlockSplitter
from routing.errors import ClientFacing, error_body

DATA = b"data: "
DONE = b"data: [DONE]"

SendText = Callable[[str], Awaitable[None]]


class SocketSink:
    """`send` waits while the reader is slow, and with it the upstream: nothing piles up here. Raises OSError when the
    client is gone, which ends the call as if it had been told so."""

    push = None

    def __init__(self, generation_id: str, request_id: str, send: SendText) -> None:
        self.started = False
        self.ended = False
        self.summary: FinishedCall | None = None
        self._id = orjson.dumps(generation_id)
        self._request_id = request_id
        self._send = send
        self._blocks = BlockSplitter()
        self._gone: Callable[[], None] | None = None

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        self._gone = gone
        return self._unwatch

    def _unwatch(self) -> None:
        self._gone = None

    def client_gone(self) -> bool:
        """Ends the call as one whose client left; False when it has not begun or is over."""
        if self._gone is None:
            return False
        self._gone()
        return True

    # ------------------------------------------------------------------------------------------------- the sink

    async def start(self, headers: HeaderLines) -> None:
        self.started = True

    async def write(self, frames: bytes) -> None:
        for block in self._blocks.feed(frames):
            if block.startswith(DATA) and block != DONE:
                await self._say(b'{"type":"chunk","id":%b,"chunk":%b}' % (self._id, block[len(DATA) :]))

    async def finish(self, frames: bytes = b"") -> None:
        await self.write(frames)
        await self.done()

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        """An answer that came whole, as one from a cache does."""
        self.started = True
        if status < 400:
            await self._say(b'{"type":"chunk","id":%b,"chunk":%b}' % (self._id, body))
            await self.done()
        else:
            await self._error(loads_strict(body))

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        await self._error(error_body(error))

    async def done(self, *, cancelled: bool = False) -> None:
        self.ended = True
        message: dict[str, Any] = {"type": "done", "id": orjson.loads(self._id), **told(self.summary)}
        message["request_id"] = self._request_id
        if cancelled:
            message["cancelled"] = True
        await self._say(orjson.dumps(message))

    async def _error(self, body: dict[str, Any]) -> None:
        self.ended = True
        message = {"type": "error", "id": orjson.loads(self._id), **body, "request_id": self._request_id}
        await self._say(orjson.dumps(message))

    async def _say(self, message: bytes) -> None:
        try:
            await self._send(message.decode("utf-8", "replace"))
        except OSError:
            self.client_gone()


def told(call: FinishedCall | None) -> dict[str, Any]:
    """What `done` says beside its id: usage in OpenAI's shape, who answered, what it cost and how long it took."""
    if call is None:
        return {"usage": None, "provider": None}
    return {
        "usage": {
            "prompt_tokens": call.input_tokens,
            "completion_tokens": call.output_tokens,
            "total_tokens": call.input_tokens + call.output_tokens,
            "prompt_tokens_details": {"cached_tokens": call.cached_tokens},
            "completion_tokens_details": {"reasoning_tokens": call.reasoning_tokens},
        },
        "usage_source": call.usage_source,
        "provider": call.provider,
        "deployment": call.deployment,
        "attempts": len(call.attempts),
        "cost_usd": None if call.cost_nano_usd is None else call.cost_nano_usd / 1e9,
        "duration": round(call.duration_s, 4),
        "time_to_first_token": None if call.first_token_s is None else round(call.first_token_s, 4),
        "finish_reason": call.finish_reason,
    }
