"""A chat completion with another front: what is asked is translated on its way in, and the answer on its way out; between them
it is a chat like any other."""

from collections.abc import Callable
from typing import NamedTuple

import orjson

from accounts.header_lines import HeaderLines
from providers.dialects.served_chat import ServedChat
from providers.errors import ClientFault, UpstreamError
from providers.types import ClientRequest, JsonObject, Operation
from routing.call import ClientSink
from routing.endpoints.decoding import decode
from routing.errors import ClientFacing, InvalidRequest
from routing.recording import PassingSink

Front = Callable[[ClientSink], ClientSink]
"""Puts a sink that translates in front of the client's."""
ToChat = Callable[[JsonObject], JsonObject]
NameOfField = Callable[[str | None], str | None]
"""What the front calls a field of the chat."""


def read_as_chat(
    asked: JsonObject, raw: bytes, *, to_chat: ToChat, name_of_field: NameOfField, received_at_s: int, carried: str = ""
) -> ClientRequest:
    """`asked` was read from `raw`. `carried`: a field of the chat that a front sends along and no client may. Raises
    `InvalidRequest`, naming the field as the client knows it."""
    try:
        chat = to_chat(asked)
    except ClientFault as error:
        raise InvalidRequest(error.message, param=error.param, code=error.code) from None
    own = {carried: chat.pop(carried)} if carried else {}
    try:
        request = decode(Operation.CHAT, chat, raw=raw, received_at_s=received_at_s)
    except InvalidRequest as error:
        raise InvalidRequest(error.message, param=name_of_field(error.param), code=error.code) from None
    # After the check, which takes it from nobody else.
    request.body.update(own)
    return request


class FrontSink(PassingSink):
    """The client's sink for a chat's answer."""

    def __init__(self, inner: ClientSink, answer: ServedChat, *, name_of_field: NameOfField, request_id: str) -> None:
        super().__init__(inner)
        self._answer = answer
        self._name_of_field = name_of_field
        self._request_id = request_id
        self._held = (b"", b"")
        """Frames that a client that is slow did not take, and what they are told as: they come again by `write`."""

    @property
    def push(self) -> Callable[[bytes], bool] | None:
        return None if self._inner.push is None else self._push

    def _push(self, frames: bytes) -> bool:
        told, push = self._answer.feed(frames), self._inner.push
        if not told or (push is not None and push(told)):
            return True
        self._held = (frames, told)
        return False

    async def reply(self, status: int, body: bytes, headers: HeaderLines = b"") -> None:
        if status != 200:
            await self._inner.reply(status, body, headers)
            return
        try:
            answer = self._answer.whole(body)
        except UpstreamError as error:
            await self.fail(error, headers)
        else:
            await self._inner.reply(status, orjson.dumps(answer), headers)

    async def write(self, frames: bytes) -> None:
        # These very frames: a comment that keeps the connection alive may come between.
        told = self._take_held() if frames is self._held[0] else self._answer.feed(frames)
        if told:
            await self._inner.write(told)

    async def finish(self, frames: bytes = b"") -> None:
        await self._inner.finish(self._take_held() + self._answer.feed(frames) + self._answer.close())

    async def fail(self, error: ClientFacing, headers: HeaderLines = b"") -> None:
        field = self._name_of_field(error.param)
        message = error.message.replace(f"'{error.param}'", f"'{field}'")
        named = _Named(error.status, error.code, error.type, message, field)
        if self.started:
            await self._inner.finish(self._take_held() + self._answer.fail(named, self._request_id))
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
