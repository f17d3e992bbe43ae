"""Who answers on a connection whose requests begin alike: what is kept from one to the next, and what never is."""

import asyncio
import gc
import re
import time
from collections.abc import Callable
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from accounts.keys import digester
from proxy_site.client_connection import DIFFERENT_HEADS
from routing.endpoints.data_plane import DataPlane
from routing.table import GatewayPolicy
from tests.unit.accounts.test_authentication import NOW, PEPPER, Bench, stored
from tests.unit.proxy_site.test_client_connection import KEPT_S, settled, told, turns
from tests.unit.proxy_site.test_repeated_head import EXPECTING, PLAIN, Application, Client, request

WEBSOCKET = (
    b"GET /ws/v1/chat/completions HTTP/1.1\r\nhost: here\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)


async def test_the_next_request_with_the_same_head_passes_beside_the_parser() -> None:
    application = Application()
    client = Client(application)
    await client.sends(*[request(PLAIN, body) for body in (b"hello", b"", b"hi", b"stream")])
    assert [body for _, body in application.seen] == [b"hello", b"", b"hi", b"stream"]
    assert (application.parsed, application.repeated) == (1, 3)
    await client.leaves()


@pytest.mark.parametrize(("others", "repeated"), [(DIFFERENT_HEADS - 1, 1), (DIFFERENT_HEADS, 0)])
async def test_after_many_differing_heads_in_a_row_none_is_remembered(others: int, repeated: int) -> None:
    application = Application()
    client = Client(application)
    await client.sends(*[request(PLAIN.replace(b"one", b"%d" % number)) for number in range(others)])
    await client.sends(request(PLAIN), request(PLAIN))
    assert application.repeated == repeated
    await client.leaves()


async def test_a_head_that_comes_again_begins_the_count_anew() -> None:
    application = Application()
    client = Client(application)
    for round_ in range(3):
        keys = [b"%d-%d" % (round_, number) for number in range(DIFFERENT_HEADS)]
        await client.sends(
            *[request(PLAIN.replace(b"one", key)) for key in keys], request(PLAIN.replace(b"one", keys[-1]))
        )
        assert application.repeated == round_ + 1
    await client.leaves()


async def test_a_draining_server_reads_by_the_parser_and_closes() -> None:
    application = Application()
    client = Client(application)
    await client.sends(request(PLAIN), request(PLAIN))
    assert not client.socket.closed
    client.state.draining = True
    before = len(client.socket.written)
    await client.sends(request(PLAIN))
    assert (application.parsed, application.repeated) == (2, 1)
    assert b"\r\nconnection: close\r\n" in client.socket.written[before:]
    assert client.socket.closed
    await client.leaves()


async def test_requests_that_come_before_the_last_answer_wait_for_their_turn() -> None:
    may_answer = asyncio.Event()
    may_answer.set()
    application = Application(lambda _: may_answer.wait())  # type: ignore[arg-type, return-value]
    client = Client(application)
    await client.sends(request(PLAIN, b"first"))
    may_answer.clear()
    await client.sends(request(PLAIN, b"second"), request(PLAIN, b"third"), request(PLAIN, b"fourth"))
    assert [body for _, body in application.seen] == [b"first", b"second"]
    assert client.socket.written.count(b"HTTP/1.1 200 OK") == 1
    may_answer.set()
    await turns(50)
    assert re.findall(rb"b'(\w+)'(?=HTTP|\Z)", client.socket.written) == [b"first", b"second", b"third", b"fourth"]
    assert [body for _, body in application.seen] == [b"first", b"second", b"third", b"fourth"]
    assert (application.parsed, application.repeated) == (3, 1)
    await client.leaves()


async def test_who_answers_a_repeated_request_is_told_that_its_client_left() -> None:
    gone: list[str] = []

    async def watched(connection: Any) -> None:
        if application.repeated:
            connection.watch(lambda: gone.append("left"))
            await asyncio.sleep(3600)

    application = Application(watched)
    client = Client(application)
    await client.sends(request(PLAIN), request(PLAIN))
    assert (application.repeated, gone) == (1, [])
    await client.leaves()
    assert gone == ["left"]


@pytest.mark.parametrize("size", [HIGH_WATER_LIMIT, HIGH_WATER_LIMIT + 1])
async def test_a_large_body_stops_the_reading_no_more_than_where_it_was_parsed(size: int) -> None:
    async def looked(_: Any) -> None:
        reading.append(client.socket.reading)

    reading: list[bool] = []
    application = Application(looked)
    client = Client(application)
    await client.sends(request(PLAIN, b"x" * size), request(PLAIN, b"x" * size))
    assert application.repeated == 1
    assert reading[0] == reading[1]
    assert client.socket.reading
    await client.leaves()


async def test_nobody_is_asked_for_a_body_that_came_with_a_repeated_head() -> None:
    application = Application()
    client = Client(application)
    await client.sends(request(PLAIN), request(EXPECTING)[:-5], b"hello", request(PLAIN))
    assert client.socket.written.count(b"HTTP/1.1 100 Continue") == 1
    assert client.statuses == [b"200", b"100", b"200", b"200"]
    assert application.repeated == 1
    await client.leaves()


async def test_a_repeated_request_that_breaks_is_answered_as_one_that_was_parsed() -> None:
    async def broken(_: Any) -> None:
        if application.repeated:
            raise RuntimeError("a mistake")

    application = Application(broken)
    client = Client(application)
    await client.sends(request(PLAIN), request(PLAIN))
    assert client.statuses == [b"200", b"500"]
    assert client.socket.closed
    await client.leaves()


async def test_a_connection_with_a_repeated_request_is_in_use_until_it_is_answered() -> None:
    async def looked(_: Any) -> None:
        unused.append(client.protocol.unused(time.monotonic() + KEPT_S + 1))

    unused: list[bool] = []
    client = Client(Application(looked), timeout_keep_alive=KEPT_S)
    await client.sends(request(PLAIN), request(PLAIN))
    assert unused == [False, False]
    assert client.protocol.unused(time.monotonic() + KEPT_S + 1)
    assert not client.protocol.overdue(time.monotonic() + KEPT_S)
    await client.leaves()


async def test_repeated_requests_leave_nothing_for_the_garbage_collector() -> None:
    client = Client(Application())
    await client.sends(request(PLAIN), request(PLAIN))
    gc.collect()
    gc.disable()
    try:
        await client.sends(*[request(PLAIN)] * 50)
        assert gc.collect() < 50
    finally:
        gc.enable()
    await client.leaves()


async def test_a_remembered_head_is_no_garbage_of_an_application_that_speaks_asgi_only() -> None:
    async def garbage(different_heads: int) -> int:
        client = Client(told)
        client.protocol._different_heads = different_heads
        gc.collect()
        gc.disable()
        try:
            await client.sends(*[request(PLAIN)] * DIFFERENT_HEADS)
            await client.leaves()
            del client
            return gc.collect()
        finally:
            gc.enable()

    assert await garbage(0) == await garbage(DIFFERENT_HEADS)


@pytest.mark.parametrize("before", [[], [request(PLAIN)], [request(PLAIN)] * 2])
async def test_a_connection_turns_into_a_websocket_whatever_came_before(before: list[bytes]) -> None:
    async def application(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            await by_http(scope, receive, send)
        else:
            await receive()
            await send({"type": "websocket.accept"})
            await send({"type": "websocket.close"})

    by_http = Application()
    client = Client(application)
    taken: list[Any] = []
    client.socket.set_protocol = taken.append  # type: ignore[method-assign]
    await client.sends(*before)
    await client.sends(WEBSOCKET)
    assert client.statuses == [b"200"] * len(before) + [b"101"]
    assert len(taken) == 1
    await settled(client.state)


# ----------------------------------------------------------------------------- what the data plane makes of it

ASKED = b'{"model": "m", "messages": [{"role": "user", "content": "hi"}]}'


class Plane:
    """The data plane over keys of its own; each answer is the name of the key that asked."""

    def __init__(self, bench: Bench) -> None:
        async def answer(_: Any, *, request_id: str, principal: Any, options: Any, sink: Any) -> None:
            await sink.reply(200, principal.name.encode())

        self.gateway = SimpleNamespace(
            table=SimpleNamespace(policy=GatewayPolicy()),
            accounts=bench.table,
            settlement=SimpleNamespace(reports=SimpleNamespace(refused=lambda error, **_: None)),
            answer=answer,
        )
        self.parsed = self.digests = 0
        self._plane = DataPlane(self.gateway)  # type: ignore[arg-type]
        bench.table._digest = self._digest

    def _digest(self, token: str) -> bytes:
        self.digests += 1
        return digester(PEPPER)(token)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        self.parsed += 1
        await self._plane(scope, receive, send)


def asked(token: str) -> bytes:
    return request(PLAIN.replace(b"one", token.encode()), ASKED)


def is_revoked(bench: Bench) -> None:
    public_id, row = bench.source.rows.popitem()
    bench.source.rows[public_id] = replace(row, usable_until=0.0)
    bench.poll(keys=frozenset({row.id}))


def is_deleted(bench: Bench) -> None:
    _, row = bench.source.rows.popitem()
    bench.poll(keys=frozenset({row.id}))


def loses_its_scope(bench: Bench) -> None:
    public_id, row = bench.source.rows.popitem()
    bench.source.rows[public_id] = replace(row, scopes=())
    bench.poll(keys=frozenset({row.id}))


def gets_another_secret(bench: Bench) -> None:
    public_id, row = bench.source.rows.popitem()
    bench.source.rows[public_id] = replace(row, digests=((b"another", NOW + 1000),))
    bench.poll(keys=frozenset({row.id}))


def expires(bench: Bench) -> None:
    bench.now = NOW + 101


@pytest.mark.parametrize(
    ("happens", "status"),
    [
        (is_revoked, b"401"),
        (is_deleted, b"401"),
        (gets_another_secret, b"401"),
        (expires, b"401"),
        (loses_its_scope, b"403"),
    ],
)
async def test_a_key_is_looked_up_for_each_request_with_it(happens: Callable[[Bench], None], status: bytes) -> None:
    row, token = stored(scopes=("completions",), usable_until=NOW + 100)
    bench = Bench(row)
    plane = Plane(bench)
    client = Client(plane)
    await client.sends(asked(token), asked(token))
    assert (plane.parsed, plane.digests) == (1, 1)
    happens(bench)
    await client.sends(asked(token))
    assert client.statuses == [b"200", b"200", status]
    assert (plane.parsed, plane.digests) == (1, 1)
    await client.leaves()


async def test_a_key_that_is_allowed_again_opens_the_connection_that_it_was_refused_on() -> None:
    row, token = stored(scopes=("completions",), usable_until=0.0)
    bench = Bench(row)
    plane = Plane(bench)
    client = Client(plane)
    await client.sends(asked(token), asked(token))
    bench.source.rows[row.public_id] = replace(row, usable_until=NOW + 100)
    bench.poll(keys=frozenset({row.id}))
    await client.sends(asked(token))
    assert client.statuses == [b"401", b"401", b"200"]
    assert plane.parsed == 1
    await client.leaves()


async def test_another_header_for_keys_holds_from_the_next_request_on() -> None:
    (row, token), (other_row, other_token) = (
        stored(id=number, name=name, scopes=("completions",)) for number, name in ((7, "seven"), (8, "eight"))
    )
    plane = Plane(Bench(row, other_row))
    client = Client(plane)
    keys = f"x-api-key: {token}\r\nx-other-key: {other_token}".encode()
    wire = request(PLAIN.replace(b"authorization: Bearer one", keys), ASKED)
    for header in ("x-api-key", "x-other-key", "x-no-key", "x-api-key"):
        plane.gateway.table.policy = GatewayPolicy(api_key_header=header)
        await client.sends(wire)
    assert client.statuses == [b"200", b"200", b"401", b"200"]
    assert re.findall(rb"\r\n\r\n(seven|eight)", client.socket.written) == [b"seven", b"eight", b"seven"]
    assert plane.parsed == 1
    await client.leaves()


async def test_origins_that_are_allowed_later_hold_from_the_next_request_on() -> None:
    row, token = stored(scopes=("completions",))
    plane = Plane(Bench(row))
    client = Client(plane)
    wire = asked(token).replace(b"host: here", b"host: here\r\norigin: http://there")
    await client.sends(wire, wire)
    assert b"access-control-allow-origin" not in client.socket.written
    plane.gateway.table.policy = GatewayPolicy(cors_origins=frozenset({"http://there"}))
    await client.sends(wire)
    assert client.socket.written.count(b"access-control-allow-origin: http://there") == 1
    assert plane.parsed == 1
    await client.leaves()


async def test_each_repeated_request_is_read_anew() -> None:
    row, token = stored(scopes=("completions",))
    plane = Plane(Bench(row))
    client = Client(plane)
    head = PLAIN.replace(b"one", token.encode())
    await client.sends(*[request(head, body) for body in (ASKED, b"{", ASKED, b"", ASKED[:-1] + b', "n": 1}')])
    assert client.statuses == [b"200", b"400", b"200", b"400", b"200"]
    assert plane.parsed == 1
    await client.leaves()


@pytest.mark.parametrize(
    ("line", "status"), [(b"x-llm-proxy-timeout: soon", b"400"), (b"content-type: text/plain", b"415")]
)
async def test_a_head_that_cannot_be_used_is_refused_each_time(line: bytes, status: bytes) -> None:
    row, token = stored(scopes=("completions",))
    plane = Plane(Bench(row))
    client = Client(plane)
    wire = asked(token).replace(b"host: here", b"host: here\r\n" + line)
    await client.sends(wire, wire)
    assert client.statuses == [status, status]
    assert not client.socket.closed
    assert plane.parsed == 1
    await client.leaves()
