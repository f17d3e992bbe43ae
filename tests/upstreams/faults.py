"""A scripted upstream on raw sockets that fails in every way a provider can, and remembers what it saw.

It answers OpenAI's chat dialect on any POST and a model list on any GET. What a request meets is decided by its model
name (`fault:rst_before_headers`, `fault:status?status=429&retry_after=2&retry_after_form=date`), else by the script.

In a test::

    async with FaultUpstream() as upstream:
        upstream.script = Script(Behaviour(fault=Fault.CUT, cut_at=80), default=Behaviour(tokens=20))
        ...  # call upstream.url
        assert upstream.hits[0].aborted

As a program: `python -m tests.upstreams.faults --port P`; `POST /_control` takes
`{"default": {…}, "queue": [{…}], "by_model": {"m": {…}}, "reset": true}` with the fields of `Behaviour`, `GET /_stats`
gives the counts and hits. Times of hits are of the monotonic clock, which all processes of a machine share.
"""

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, cast

from tests.upstreams import behaviours
from tests.upstreams.behaviours import Behaviour, Fault, failing
from tests.upstreams.exchange import Exchange
from tests.upstreams.in_thread import in_thread

__all__ = ["Behaviour", "Fault", "FaultUpstream", "Hit", "Script", "failing", "fault_upstream_in_thread"]

MAX_HEAD_BYTES = 256 * 1024


@dataclass(slots=True)
class Hit:
    """One request. `aborted` means that the client closed the socket before the answer was complete, at
    `client_closed_at`; it is None while the connection is open, and when it was we who closed it."""

    number: int
    connection: int
    method: str
    path: str
    model: str
    stream: bool
    behaviour: Behaviour
    headers: Mapping[str, str] = field(repr=False)
    body: bytes = field(repr=False)
    received_at: float
    headers_at: float | None = None
    first_token_at: float | None = None
    completed_at: float | None = None
    client_closed_at: float | None = None
    tokens_sent: int = 0
    aborted: bool = False


class Script:
    """Behaviours for requests in turn, then `default`; `by_model` and `choose` come before both when they say one."""

    def __init__(
        self,
        *queue: Behaviour,
        default: Behaviour | None = None,
        by_model: Mapping[str, Behaviour] | None = None,
        choose: Callable[[str, int], Behaviour | None] | None = None,
    ) -> None:
        self.queue = deque(queue)
        self.default = default or Behaviour()
        self.by_model = dict(by_model or {})
        self.choose = choose

    def behaviour(self, model: str, number: int) -> Behaviour:
        """`number` counts requests from 0."""
        found = Behaviour.named(model) or self.by_model.get(model)
        if found is None and self.choose is not None:
            found = self.choose(model, number)
        if found is not None:
            return found
        return self.queue.popleft() if self.queue else self.default


class FaultUpstream:
    """An async context manager: a listening server with a script and a memory. `port=0` takes any free port."""

    def __init__(self, script: Script | None = None, *, host: str = "127.0.0.1", port: int = 0) -> None:
        self.script = script or Script()
        self.host = host
        self.port = port
        self.hits: list[Hit] = []
        self.connections: set[Connection] = set()
        self.total_connections = 0
        self.peak_connections = 0
        self.reset_on_accept = False
        self._server: asyncio.Server | None = None

    @property
    def url(self) -> str:
        """The base URL, without `/v1`."""
        return f"http://{self.host}:{self.port}"

    @property
    def open_connections(self) -> int:
        return len(self.connections)

    @property
    def in_flight(self) -> int:
        """Requests of the script that are not yet answered and whose clients are still there."""
        return sum(connection.answering for connection in self.connections)

    async def __aenter__(self) -> "FaultUpstream":
        await self.listen()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.refuse()

    async def listen(self) -> None:
        """Also after `refuse()`, on the same port."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Connection(self), self.host, self.port, backlog=2048, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def refuse(self) -> None:
        """Stops listening, so that connecting is refused, and resets every connection."""
        if self._server is not None:
            self._server.close()
        tasks = [connection.task for connection in self.connections if connection.task is not None]
        for connection in list(self.connections):
            connection.reset()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)

    def forget(self) -> None:
        """Forgets hits and peaks; connections stay."""
        self.hits.clear()
        self.total_connections = self.peak_connections = len(self.connections)

    async def until(self, condition: Callable[["FaultUpstream"], bool], *, timeout_s: float = 5.0) -> None:
        """Waits for the upstream to have seen something; `TimeoutError` if it never does."""
        async with asyncio.timeout(timeout_s):
            while not condition(self):
                await asyncio.sleep(0.002)

    def stats(self) -> dict[str, Any]:
        shown = [
            {name: value for name, value in asdict(hit).items() if name not in ("headers", "body", "behaviour")}
            | {"fault": hit.behaviour.fault.value}
            for hit in self.hits
        ]
        return {
            "hits": len(self.hits),
            "aborted": sum(hit.aborted for hit in self.hits),
            "completed": sum(hit.completed_at is not None for hit in self.hits),
            "open_connections": self.open_connections,
            "peak_connections": self.peak_connections,
            "total_connections": self.total_connections,
            "in_flight": self.in_flight,
            "requests": shown,
        }

    def control(self, order: dict[str, Any]) -> None:
        """What `POST /_control` does: parts that are absent stay as they are."""
        if order.get("reset"):
            self.script = Script()
            self.forget()
        if "default" in order:
            self.script.default = Behaviour.of(order["default"])
        if "queue" in order:
            self.script.queue = deque(map(Behaviour.of, order["queue"]))
        if "by_model" in order:
            self.script.by_model = {name: Behaviour.of(values) for name, values in order["by_model"].items()}
        self.reset_on_accept = bool(order.get("reset_on_accept", self.reset_on_accept))


class Connection(asyncio.Protocol):
    """One client socket: reads requests one after the other and lets an `Exchange` answer each."""

    def __init__(self, upstream: FaultUpstream) -> None:
        self.upstream = upstream
        self.transport: asyncio.Transport | None = None
        self.buffer = bytearray()
        self.task: asyncio.Task[None] | None = None
        self.hit: Hit | None = None
        self.closed_by_us = False
        self.requests = 0
        self.number = 0
        self.writable = asyncio.Event()
        self.writable.set()

    @property
    def busy(self) -> bool:
        return self.task is not None and not self.task.done()

    @property
    def answering(self) -> bool:
        hit = self.hit
        return hit is not None and hit.completed_at is None and hit.client_closed_at is None

    # ------------------------------------------------------------------------------------------ asyncio.Protocol

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        # Not checked with isinstance: uvloop's transports do not derive from asyncio's.
        self.transport = cast(asyncio.Transport, transport)
        upstream = self.upstream
        upstream.connections.add(self)
        upstream.total_connections += 1
        self.number = upstream.total_connections
        upstream.peak_connections = max(upstream.peak_connections, len(upstream.connections))
        if upstream.reset_on_accept:
            self.reset()

    def pause_writing(self) -> None:
        self.writable.clear()

    def resume_writing(self) -> None:
        self.writable.set()

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        if not self.busy:
            self.next_request()

    def eof_received(self) -> bool:
        self._client_left()
        return False

    def connection_lost(self, exc: Exception | None) -> None:
        self._client_left()
        self.upstream.connections.discard(self)
        if self.task is not None:
            self.task.cancel()

    def _client_left(self) -> None:
        hit = self.hit
        if hit is None or self.closed_by_us or hit.client_closed_at is not None:
            return
        hit.client_closed_at = time.monotonic()
        hit.aborted = hit.completed_at is None

    # --------------------------------------------------------------------------------------------------- requests

    def next_request(self) -> None:
        """Starts on the next request, if all of it has arrived."""
        end = self.buffer.find(b"\r\n\r\n")
        if end < 0:
            if len(self.buffer) > MAX_HEAD_BYTES:
                self.reset()
            return
        lines = self.buffer[:end].decode("latin-1").split("\r\n")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        size = int(headers.get("content-length", 0))
        if len(self.buffer) < end + 4 + size:
            return
        body = bytes(self.buffer[end + 4 : end + 4 + size])
        del self.buffer[: end + 4 + size]
        method, path, _ = lines[0].split(" ", 2)
        self.requests += 1
        self.task = asyncio.get_running_loop().create_task(self._answer(method, path, headers, body))

    async def _answer(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        assert self.transport is not None
        self.hit = None
        exchange = Exchange(self.transport, self.reset, self._closing, writable=self.writable, first=self.requests == 1)
        if path in ("/_control", "/_stats"):
            self._administer(exchange, method, body)
        elif method == "GET":
            models = [{"id": "fault", "object": "model", "created": behaviours.CREATED, "owned_by": "tests"}]
            exchange.send_json(200, {"object": "list", "data": models})
        else:
            await self._fail(exchange, method, path, headers, body)
        self.task = None
        self.next_request()

    def _administer(self, exchange: Exchange, method: str, body: bytes) -> None:
        if method == "POST":
            try:
                self.upstream.control(json.loads(body or b"{}"))
            except (ValueError, TypeError, AttributeError) as error:
                exchange.send_json(400, {"error": {"message": str(error)}})
                return
        exchange.send_json(200, self.upstream.stats())

    async def _fail(self, exchange: Exchange, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        try:
            request = json.loads(body)
        except ValueError:
            request = {}
        model = str(request.get("model", ""))
        hits = self.upstream.hits
        hit = Hit(
            number=len(hits),
            connection=self.number,
            method=method,
            path=path,
            model=model,
            stream=bool(request.get("stream")),
            behaviour=self.upstream.script.behaviour(model, len(hits)),
            headers=headers,
            body=body,
            received_at=time.monotonic(),
        )
        hits.append(hit)
        self.hit = hit
        include_usage = bool((request.get("stream_options") or {}).get("include_usage"))
        await exchange.run(hit, include_usage=include_usage)

    # ---------------------------------------------------------------------------------------------------- closing

    def _closing(self) -> None:
        self.closed_by_us = True

    def reset(self) -> None:
        """Closes with RST: what was not yet delivered is lost, as when a process dies."""
        self.closed_by_us = True
        assert self.transport is not None
        if not self.transport.is_closing():
            # Through a descriptor of our own, because uvloop's socket object refuses options.
            descriptor = os.dup(self.transport.get_extra_info("socket").fileno())
            with socket.socket(fileno=descriptor) as connected, contextlib.suppress(OSError):
                connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.transport.abort()


@contextlib.contextmanager
def fault_upstream_in_thread(script: Script | None = None) -> Iterator[FaultUpstream]:
    """For tests with synchronous clients. Set `script` and read `hits` from the test; call nothing async."""
    upstream = FaultUpstream(script)
    with in_thread(upstream):
        yield upstream


async def main(host: str, port: int) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with FaultUpstream(host=host, port=port) as upstream:
        print(f"fault upstream at {upstream.url}", flush=True)
        await stop.wait()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="A scripted upstream that fails on demand.")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=0, help="0 takes any free port")
    options = parser.parse_args()
    asyncio.run(main(options.host, options.port))
