"""`/ws/v1/chat/completions`: several generations at once on one connection, each a task that this connection owns.

They go through the same pipeline as HTTP (`routing.gateway`). Closing the connection ends them all as calls whose client
left; a slow reader slows its own upstreams down and nothing else.
"""

import asyncio
import logging
import time
from typing import Any

import orjson
from channels.exceptions import StopConsumer
from channels.generic.websocket import AsyncWebsocketConsumer

from accounts.errors import AccessDenied
from accounts.records import Principal
from providers.dialects.json_limits import JsonRefusedError, loads_strict
from providers.types import JsonObject, Operation
from routing.call import CallOptions
from routing.endpoints.decoding import decode
from routing.endpoints.exchange import new_request_id
from routing.endpoints.request_head import client_ip
from routing.errors import ClientFacing, InternalError, InvalidRequest, RequestError, ShuttingDown, error_body
from routing.gateway import Gateway
from routing.socket_access import OriginTest, authenticate, chosen_subprotocol
from routing.socket_refusal import handshake_id, refuse
from routing.socket_sink import SocketSink

logger = logging.getLogger("llm_proxy.routing.consumers")

AT_ONCE = 32
LONGEST_ID = 128
STALLED_READER_S = 30.0
DRAIN_LOOK_S = 0.5
SERVICE_RESTART = 1012


class Generation:
    """One answer that is being made; `task` is set as soon as it runs."""

    def __init__(self, request_id: str, sink: SocketSink) -> None:
        self.request_id = request_id
        self.sink = sink
        self.task: asyncio.Task[None] | None = None
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True
        if not self.sink.client_gone() and self.task is not None:
            self.task.cancel()


class ChatConsumer(AsyncWebsocketConsumer):  # type: ignore[misc]
    """Composition passes `gateway` and `trusted_origin`, which says whether a handshake comes from a page of ours."""

    gateway: Gateway
    trusted_origin: OriginTest

    def __init__(self, *args: Any, gateway: Gateway, trusted_origin: OriginTest, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.gateway = gateway
        self.trusted_origin = trusted_origin
        self._principal: Principal | None = None
        self._running: dict[str, Generation] = {}
        self._drain_watch: asyncio.Task[None] | None = None

    # --------------------------------------------------------------------------------------------- the connection

    async def connect(self) -> None:
        began = time.monotonic()
        try:
            if self.gateway.draining:
                raise ShuttingDown("The gateway is shutting down.")
            self._principal = await authenticate(self.scope, self.gateway, self.trusted_origin)
        except (AccessDenied, RequestError) as error:
            request_id = handshake_id(self.scope)
            self._report(error, request_id, began)
            await refuse(self.scope, self.base_send, error, request_id)
            raise StopConsumer from None
        await self.accept(chosen_subprotocol(self.scope))
        self._drain_watch = asyncio.create_task(self._leave_when_draining(), name="socket-drain-watch")

    async def disconnect(self, code: int) -> None:
        tasks = [each.task for each in self._running.values() if each.task is not None]
        for generation in tuple(self._running.values()):
            generation.cancel()
        if self._drain_watch is not None:
            self._drain_watch.cancel()
            tasks.append(self._drain_watch)
        await asyncio.gather(*tasks, return_exceptions=True)
        raise StopConsumer

    async def _leave_when_draining(self) -> None:
        while not self.gateway.draining or self._running:
            await asyncio.sleep(DRAIN_LOOK_S)
        await self.close(SERVICE_RESTART)

    # ------------------------------------------------------------------------------------------------- messages

    async def receive(self, text_data: str | None = None, bytes_data: bytes | None = None) -> None:
        generation_id = ""
        try:
            message = _message(text_data, bytes_data)
            generation_id = _id_of(message)
            await self._obey(message, generation_id)
        except RequestError as error:
            await self._send_or_leave(_error_message(error, generation_id))
        except OSError:
            return

    async def _obey(self, message: JsonObject, generation_id: str) -> None:
        match message.get("type"):
            case "create":
                self._create(message, generation_id)
            case "cancel":
                found = self._running.get(generation_id)
                # What ends it may be on its way to a slow reader.
                if found is not None and not found.sink.ended:
                    found.cancel()
            case "ping":
                await self._send_or_leave('{"type":"pong"}')
            case _:
                raise InvalidRequest("'type' must be 'create', 'cancel' or 'ping'.", param="type")

    def _create(self, message: JsonObject, generation_id: str) -> None:
        body = message.get("request")
        if not generation_id:
            raise InvalidRequest("'id' is required: any string that no running generation has.", param="id")
        if not isinstance(body, dict):
            raise InvalidRequest("'request' is required: the body of a chat completion.", param="request")
        if generation_id in self._running:
            raise InvalidRequest("A generation with this id is still running.", param="id")
        if len(self._running) >= AT_ONCE:
            raise InvalidRequest(f"At most {AT_ONCE} generations run at once on a connection.", code="too_many")
        if self.gateway.draining:
            raise ShuttingDown("The gateway is shutting down.")
        request_id = new_request_id()
        generation = Generation(request_id, SocketSink(generation_id, request_id, self._send_or_leave))
        self._running[generation_id] = generation
        generation.task = asyncio.create_task(self._run(generation, generation_id, body), name="socket-generation")

    # ---------------------------------------------------------------------------------------------- a generation

    async def _run(self, generation: Generation, generation_id: str, body: JsonObject) -> None:
        sink, reports, began = generation.sink, self.gateway.settlement.reports, time.monotonic()
        reports.expecting[generation.request_id] = lambda call: setattr(sink, "summary", call)
        try:
            await self._answer(generation, body, began)
            if not sink.ended:
                await sink.done(cancelled=generation.cancelled)
        except asyncio.CancelledError:
            if not generation.cancelled:
                raise
            # It was cancelled before the pipeline had taken it over; the connection may still be there.
            if not sink.ended:
                await sink.done(cancelled=True)
        finally:
            reports.expecting.pop(generation.request_id, None)
            self._running.pop(generation_id, None)

    async def _answer(self, generation: Generation, body: JsonObject, began: float) -> None:
        address = client_ip(self.scope)
        body = {**body, "stream": True}
        try:
            principal = await authenticate(self.scope, self.gateway, self.trusted_origin)
            await self.gateway.answer(
                decode(Operation.CHAT, body, raw=orjson.dumps(body), received_at_s=int(time.time())),
                request_id=generation.request_id,
                principal=principal,
                options=CallOptions(endpoint=Operation.CHAT.value, client_ip=address),
                sink=generation.sink,
            )
        except (AccessDenied, RequestError) as error:
            self._report(error, generation.request_id, began)
            await generation.sink.fail(error)
        except Exception:
            logger.exception("generation failed inside the gateway", extra={"request_id": generation.request_id})
            await generation.sink.fail(InternalError("The gateway failed to process this request."))

    async def _send_or_leave(self, text: str) -> None:
        """Raises OSError when the client is gone, or reads nothing for so long that it may as well be."""
        try:
            async with asyncio.timeout(STALLED_READER_S):
                await self.send(text_data=text)
        except TimeoutError:
            raise ConnectionAbortedError("the reader stalled") from None

    def _report(self, error: ClientFacing, request_id: str, began: float) -> None:
        self.gateway.settlement.reports.refused(
            error,
            request_id=request_id,
            endpoint=Operation.CHAT.value,
            duration_s=time.monotonic() - began,
            principal=self._principal,
        )


def _message(text: str | None, data: bytes | None) -> JsonObject:
    try:
        return loads_strict(text.encode() if text is not None else data or b"")
    except JsonRefusedError as error:
        raise InvalidRequest(f"The message {error}", code="invalid_json") from None


def _id_of(message: JsonObject) -> str:
    found = message.get("id", "")
    if not isinstance(found, str) or len(found) > LONGEST_ID:
        raise InvalidRequest(f"'id' must be a string of at most {LONGEST_ID} characters.", param="id")
    return found


def _error_message(error: RequestError, generation_id: str) -> str:
    return orjson.dumps({"type": "error", "id": generation_id or None, **error_body(error)}).decode()
