"""Writes down what a client is answered, on its way to the client."""

from collections.abc import Callable

from accounts.header_lines import HeaderLines
from providers.types import Operation, Usage
from routing.cached_answers import LARGEST_BYTES, CachedAnswer, of_body, of_stream
from routing.call import Call, ClientSink
from routing.errors import ClientFacing
from routing.estimation import count_tokens


class PassingSink:
    """A sink in front of another, which sees all that is written."""

    def __init__(self, inner: ClientSink) -> None:
        self._inner = inner

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        return None

    @property
    def started(self) -> bool:
        return self._inner.started

    @started.setter
    def started(self, value: bool) -> None:
        self._inner.started = value

    def watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        return self._inner.watch(gone)

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        await self._inner.reply(status, body, headers)

    async def start(self, headers: HeaderLines) -> None:
        await self._inner.start(headers)

    async def write(self, frames: bytes) -> None:
        await self._inner.write(frames)

    async def finish(self, frames: bytes = b"") -> None:
        await self._inner.finish(frames)

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        await self._inner.fail(error, headers)


class FrameKeeper(PassingSink):
    """Keeps a stream's frames as they pass; None of them once they are too large together, so why hold them."""

    def __init__(self, inner: ClientSink) -> None:
        super().__init__(inner)
        self._frames: list[bytes] | None = []
        self._bytes = 0

    async def write(self, frames: bytes) -> None:
        self._keep(frames)
        await self._inner.write(frames)

    def _keep(self, frames: bytes) -> None:
        if self._frames is not None:
            self._bytes += len(frames)
            self._frames.append(frames)
            if self._bytes > LARGEST_BYTES:
                self._frames = None


class AnswerRecorder(FrameKeeper):
    """Gives a complete answer to `land` before the client has it, so that nobody waits for a slow reader; None when
    the answer is not to be shared. After a failure `land` is not called."""

    def __init__(self, call: Call, land: Callable[[CachedAnswer | None], None]) -> None:
        super().__init__(call.sink)
        self._call = call
        self._land = land

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        if status == 200:
            call = self._call
            kept = of_body(body, tenant=call.principal.tenant, chat=_is_chat(call)) if is_regular(call) else None
            self._land(kept)
        await self._inner.reply(status, body, headers)

    async def finish(self, frames: bytes = b"") -> None:
        self._keep(frames)
        if self._frames is not None:
            self._land(self._stream_answer(b"".join(self._frames)))
        await self._inner.finish(frames)

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        self._frames = None
        await self._inner.fail(error, headers)

    def _stream_answer(self, frames: bytes) -> CachedAnswer | None:
        call, won = self._call, self._call.won
        if won is None or won.stream is None or not is_regular(call):
            return None
        usage = won.stream.usage or Usage(
            input_tokens=call.estimate.likely_input, output_tokens=count_tokens(won.stream.delivered_text())
        )
        finish = won.stream.finish_reason
        return of_stream(frames, tenant=call.principal.tenant, chat=_is_chat(call), finish=finish, usage=usage)


def is_regular(call: Call) -> bool:
    """Whether the answer is what this request gets on a good day: of the route it asked for, to all it said."""
    return call.won is not None and call.condensed is None and call.won.attempt.deployment in call.route.deployments


def _is_chat(call: Call) -> bool:
    return call.request.operation is Operation.CHAT
