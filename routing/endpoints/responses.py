"""`POST /v1/responses`: a chat completion with another front. What is asked is translated on its way in, and the answer on
its way out; between them it is a chat like any other."""

import time
from collections.abc import Callable
from typing import NamedTuple

import orjson

from accounts.header_lines import HeaderLines
from providers.dialects.json_limits import loads_strict
from providers.dialects.served_responses import ServedStream, name_of_field, opening, to_chat, whole_answer
from providers.errors import ClientFault, UpstreamError
from providers.types import ClientRequest, JsonObject, Operation
from routing.call import ClientSink
from routing.endpoints.decoding import decode
from routing.endpoints.exchange import new_request_id
from routing.errors import ClientFacing, InvalidRequest
from routing.recording import PassingSink

Front = Callable[[ClientSink], ClientSink]
"""Puts a sink that translates in front of the client's."""


def read_response_request(body: bytes, request_id: str) -> tuple[ClientRequest, Front]:
    """Raises `InvalidRequest` naming the field, and `JsonRefusedError`."""
    asked, now_s = loads_strict(body), int(time.time())
    try:
        chat = to_chat(asked)
    except ClientFault as error:
        raise InvalidRequest(error.message, param=error.param, code=error.code) from None
    try:
        request = decode(Operation.CHAT, chat, raw=body, received_at_s=now_s)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=name_of_field(error.param), code=error.code) from None
    # An id of its own: a client's request id may come more than once.
    begun = opening(asked, response_id=f"resp_{new_request_id().removeprefix('req_')}", created_at=now_s)
    logprobs = bool(chat.get("logprobs"))
    return request, lambda inner: ResponsesSink(inner, begun, logprobs=logprobs, request_id=request_id)


class ResponsesSink(PassingSink):
    """The client's sink for a chat's answer, which it writes as a response."""

    def __init__(self, inner: ClientSink, begun: JsonObject, *, logprobs: bool, request_id: str) -> None:
        super().__init__(inner)
        self._request_id = request_id
        self._begun = begun
        self._logprobs = logprobs
        self._stream = ServedStream(begun, logprobs=logprobs)
        self._held = (b"", b"")
        """Frames that a client that is slow did not take, and what they are told as: they come again by `write`."""

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        return None if self._inner.push is None else self._push

    def _push(self, frames: bytes) -> bool:
        told, push = self._stream.feed(frames), self._inner.push
        if not told or (push is not None and push(told)):
            return True
        self._held = (frames, told)
        return False

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        if status != 200:
            await self._inner.reply(status, body, headers)
            return
        try:
            response = whole_answer(body, self._begun, logprobs=self._logprobs)
        except UpstreamError as error:
            await self.fail(error, headers)
        else:
            await self._inner.reply(status, orjson.dumps(response), headers)

    async def write(self, frames: bytes) -> None:
        # These very frames: a comment that keeps the connection alive may come between.
        told = self._take_held() if frames is self._held[0] else self._stream.feed(frames)
        if told:
            await self._inner.write(told)

    async def finish(self, frames: bytes = b"") -> None:
        await self._inner.finish(self._take_held() + self._stream.feed(frames) + self._stream.close())

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        field = name_of_field(error.param)
        message = error.message.replace(f"'{error.param}'", f"'{field}'")
        named = _Named(error.status, error.code, error.type, message, field)
        if self.started:
            await self._inner.finish(self._take_held() + self._stream.fail(named, self._request_id))
        else:
            await self._inner.fail(named, headers)

    def _take_held(self) -> bytes:
        (_, held), self._held = self._held, (b"", b"")
        return held


class _Named(NamedTuple):
    """An error whose field has the name that the client knows."""

    status: int
    code: str | None
    type: str
    message: str
    param: str | None
