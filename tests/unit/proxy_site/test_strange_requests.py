"""What HTTP allows and hardly anybody sends, and what attackers send: none of it is taken for another request, costs memory
without end, or reaches the answer of another."""

import asyncio
import json
from typing import Any

import pytest

from proxy_site.client_connection import HEADERS_LIMIT_BYTES, PIECE_BYTES, GatewayProtocol, GatewayServerState
from tests.unit.proxy_site.test_client_connection import (
    CHUNKED,
    GET,
    HOST,
    POST,
    connection,
    sent,
    settled,
    turns,
)

ENDLESS = 100
"""Times the limit: what is sent of something that does not end."""


def wishing(request: bytes, upgrade: bytes) -> bytes:
    return request.replace(HOST, HOST + b"connection: upgrade\r\nupgrade: " + upgrade + b"\r\n", 1)


@pytest.mark.parametrize("upgrade", [b"h2c", b"foo", b"websocket2"])
@pytest.mark.parametrize("request_", [GET, POST, CHUNKED])
async def test_a_wish_for_an_upgrade_that_is_not_granted_changes_nothing(request_: bytes, upgrade: bytes) -> None:
    async def told_text(scope: Any, receive: Any, send: Any) -> None:
        body, message = b"", {"more_body": True}
        while message["more_body"]:
            message = await receive()
            body += message.get("body", b"")
        text = f"{scope['method']} {scope['path']} {body!r}".encode()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"%d" % len(text))]})
        await send({"type": "http.response.body", "body": text})

    expected = await sent(GatewayProtocol, [request_, GET], told_text)
    wire = wishing(request_, upgrade) + GET
    assert await sent(GatewayProtocol, [wire], told_text) == expected
    for at in range(1, len(wire)):
        assert await sent(GatewayProtocol, [wire[:at], wire[at:]], told_text) == expected, at


async def test_a_body_behind_a_wish_for_an_upgrade_is_never_a_request() -> None:
    seen = []

    async def noting(scope: Any, receive: Any, send: Any) -> None:
        seen.append(scope["path"])
        await send({"type": "http.response.start", "status": 401, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    body = b"\r\n" * 2000 + b"GET /smuggled HTTP/1.1\r\nhost: x\r\nx-swallow: "
    wire = b"POST /front HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % len(body)
    await sent(GatewayProtocol, [wishing(wire, b"foo"), body, GET], noting)
    await sent(GatewayProtocol, [wishing(wire, b"foo") + body, GET], noting)
    assert seen == ["/front", "/v1/models"] * 2


async def test_thousands_of_wishes_at_once_are_read_one_after_another() -> None:
    count = 0

    async def counting(scope: Any, receive: Any, send: Any) -> None:
        nonlocal count
        count += 1
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, counting, state)
    protocol.data_received(wishing(GET, b"h2c") * 3000)
    while count < 3000:
        await turns(5)
    assert not socket.closed
    await settled(state)


@pytest.mark.parametrize(
    ("begin", "piece"),
    [
        (b"GET / HTTP/1.1\r\n" + HOST, b"x-more: yes\r\n" * 100),
        (b"GET / HTTP/1.1\r\n" + HOST + b"x-long: ", b"y" * 1300),
        (b"GET /", b"z" * 1300),
        (CHUNKED[:-2], b"x-trailer: yes\r\n" * 100),
        (CHUNKED[:-2] + b"x-trailer: ", b"y" * 1300),
        (CHUNKED[: CHUNKED.index(b"3\r\nabc")] + b"3;", b"x" * 1300),
    ],
    ids=["headers", "one header", "an address", "trailers", "one trailer", "a chunk's extension"],
)
async def test_what_does_not_end_is_refused_before_it_takes_much_memory(begin: bytes, piece: bytes) -> None:
    async def reading(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, reading, state)
    protocol.data_received(begin)
    taken = 0
    while not socket.closed and taken < ENDLESS * HEADERS_LIMIT_BYTES:
        protocol.data_received(piece)
        taken += len(piece)
    assert taken < 2 * HEADERS_LIMIT_BYTES
    if b"chunked" not in begin:
        # An answer may be on its way when the body has begun.
        status, _, rest = socket.written.partition(b"\r\n")
        head, _, body = rest.partition(b"\r\n\r\n")
        assert status.startswith(b"HTTP/1.1 431 ")
        assert b"x-request-id: req_" in head
        assert json.loads(body)["error"]["code"] == "headers_too_large"
    await settled(state)


async def test_a_large_body_in_many_pieces_is_no_header() -> None:
    whole = b"POST / HTTP/1.1\r\n" + HOST + b"content-length: 1000000\r\n\r\n" + b"x" * 1_000_000
    pieces = [whole[at : at + 70_000] for at in range(0, len(whole), 70_000)]
    written, closed = await sent(GatewayProtocol, pieces)
    assert written.startswith(b"HTTP/1.1 200 ")
    assert not closed


async def test_trailers_are_no_headers() -> None:
    trailing = CHUNKED[:-2] + b"authorization: Bearer stolen\r\nx-request-id: mine\r\n\r\n"
    for at in range(1, len(trailing)):
        written, _ = await sent(GatewayProtocol, [trailing[:at], trailing[at:]])
        assert b"stolen" not in written
        assert b"mine" not in written


@pytest.mark.parametrize(
    ("wire", "status"),
    [
        (b"GET / HTTP/1.1\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nhost: a\r\nhost: b\r\n\r\n", 400),
        (b"CONNECT here:443 HTTP/1.1\r\nhost: here\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501),
        (b"nonsense\r\n\r\n", 400),
    ],
)
async def test_what_is_no_request_is_refused_in_the_shape_of_the_api(wire: bytes, status: int) -> None:
    written, closed = await _raw(wire)
    assert written.startswith(b"HTTP/1.1 %d " % status)
    head, _, body = written.partition(b"\r\n\r\n")
    assert b"x-request-id: req_" in head
    assert b"\r\ndate: today\r\n" in head
    assert json.loads(body)["error"]["type"] == "invalid_request_error"
    assert closed


async def _raw(wire: bytes) -> tuple[bytes, bool]:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        raise AssertionError("it was taken for a request")

    state = GatewayServerState()
    state.default_headers = [(b"date", b"today")]
    protocol, socket = connection(GatewayProtocol, never, state)
    protocol.data_received(wire)
    await settled(state)
    return socket.written, socket.closed


async def test_a_body_that_breaks_its_framing_is_answered_once() -> None:
    async def reading(scope: Any, receive: Any, send: Any) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    written, closed = await sent(GatewayProtocol, [CHUNKED[:-10], b"nonsense"], reading)
    assert written.startswith(b"HTTP/1.1 400 ")
    assert written.count(b"HTTP/1.1") == 1
    assert closed


@pytest.mark.parametrize("nonsense", [b"nonsense\r\n\r\n", b"GET / HTTP/1.1\r\n\r\n", b"CONNECT a:1 HTTP/1.1\r\n\r\n"])
@pytest.mark.parametrize("begun", [True, False])
async def test_nonsense_behind_a_request_is_not_taken_for_its_answer(nonsense: bytes, begun: bool) -> None:
    may_end = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        if begun:
            await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"4")]})
            await send({"type": "http.response.body", "body": b"ab", "more_body": True})
        await may_end.wait()

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, slow, state)
    protocol.data_received(GET)
    await turns(3)
    protocol.data_received(nonsense)
    assert socket.written.endswith(b"\r\n\r\nab") if begun else not socket.written
    assert socket.closed
    await settled(state)


def direct(scope: Any) -> Any:
    return scope["extensions"].pop("llm_proxy.connection")


async def test_nothing_is_written_behind_the_end_of_an_answer() -> None:
    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        answer = direct(scope)
        await answer.begin(b"content-type: text/event-stream\r\n")
        await answer.end(b"all")
        await answer.write(b": keep-alive\n\n")
        await answer.end(b"again")
        await answer.respond(500, b"content-length: 1\r\n", b"x")

    written, closed = await sent(GatewayProtocol, [GET], streaming)
    assert written.endswith(b"\r\n\r\n3\r\nall\r\n0\r\n\r\n")
    assert not closed


async def test_a_client_of_http_1_0_is_sent_no_interim_answer() -> None:
    """It would take it for the whole one."""
    expecting = POST.replace(b"Content-Type", b"expect: 100-continue\r\nContent-Type")
    interim, _ = await sent(GatewayProtocol, [expecting])
    assert interim.startswith(b"HTTP/1.1 100 ")
    written, _ = await sent(GatewayProtocol, [expecting.replace(b"HTTP/1.1", b"HTTP/1.0")])
    assert written.startswith(b"HTTP/1.1 200 ")


async def test_the_root_may_be_asked_for_by_a_whole_address_without_a_path() -> None:
    asked = GET.replace(b"/v1/models?limit=2", b"/")
    expected = await sent(GatewayProtocol, [asked])
    assert expected[0].startswith(b"HTTP/1.1 200 ")
    assert await sent(GatewayProtocol, [asked.replace(b"GET /", b"GET http://here:8000")]) == expected


async def test_a_stream_for_http_1_0_has_no_chunks_and_ends_with_the_connection() -> None:
    async def streaming(scope: Any, receive: Any, send: Any) -> None:
        answer = direct(scope)
        await answer.begin(b"content-type: text/event-stream\r\n")
        await answer.write(b"data: 1\n\n")
        await answer.end(b"data: 2\n\n")

    written, closed = await sent(GatewayProtocol, [b"GET / HTTP/1.0\r\n\r\n"], streaming)
    head, _, body = written.partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert b"connection: close" in head
    assert body == b"data: 1\n\ndata: 2\n\n"
    assert closed


async def test_the_end_of_one_answer_leaves_the_next_client_watched() -> None:
    gone = []
    first_may_end = asyncio.Event()

    async def watched(scope: Any, receive: Any, send: Any) -> None:
        answer, path = direct(scope), scope["path"]
        answer.watch(lambda: gone.append(path))
        await answer.begin(b"")
        if path == "/first":
            await answer.end(b"")
            await first_may_end.wait()
            answer.unwatch()
        else:
            await asyncio.sleep(3600)

    state = GatewayServerState()
    protocol, _ = connection(GatewayProtocol, watched, state)
    protocol.data_received(b"GET /first HTTP/1.1\r\n" + HOST + b"\r\n")
    await turns(5)
    protocol.data_received(b"GET /second HTTP/1.1\r\n" + HOST + b"\r\n")
    await turns(5)
    first_may_end.set()
    await turns(5)
    protocol.connection_lost(None)
    assert gone == ["/second"]
    await settled(state)


@pytest.mark.parametrize("size", [10, 70_000, 400_000])
async def test_reading_goes_on_once_a_body_is_whole_so_that_a_leaving_client_is_seen(size: int) -> None:
    async def never(scope: Any, receive: Any, send: Any) -> None:
        await asyncio.sleep(3600)

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, never, state)
    protocol.data_received(b"POST / HTTP/1.1\r\n" + HOST + b"content-length: %d\r\n\r\n" % size)
    for at in range(0, size, 65536):
        # A paused socket still hands over what was read.
        protocol.data_received(b"x" * min(65536, size - at))
    assert socket.reading
    await settled(state)


async def test_a_cut_request_behind_a_running_one_is_not_too_slow_while_it_is_not_read() -> None:
    may_answer = asyncio.Event()

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        await may_answer.wait()
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, slow, state)
    assert isinstance(protocol, GatewayProtocol)
    protocol.data_received(GET + GET + GET[:20])
    await turns(3)
    protocol.headers_since = (protocol.headers_since or 0.0) - 3600
    assert not protocol.overdue(asyncio.get_running_loop().time())
    may_answer.set()
    await turns(10)
    assert socket.written.count(b" 204 ") == 2
    assert protocol.headers_since is not None
    assert not protocol.overdue(protocol.headers_since + 1)
    assert protocol.overdue(protocol.headers_since + 3600)
    await settled(state)


async def test_of_requests_without_end_few_are_looked_at_while_one_is_answered_and_none_is_lost() -> None:
    gate, seen = asyncio.Event(), 0

    async def slow(scope: Any, receive: Any, send: Any) -> None:
        nonlocal seen
        seen += 1
        await gate.wait()
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"0")]})
        await send({"type": "http.response.body", "body": b""})

    state = GatewayServerState()
    protocol, socket = connection(GatewayProtocol, slow, state)
    protocol.data_received(GET * 5000)
    # One more read was on its way, and ended in the midst of a head.
    protocol.data_received(GET * 100 + GET[:9])
    await turns(3)
    most = PIECE_BYTES // len(GET) + 1
    assert 0 < len(protocol.pipeline) <= most
    assert not socket.reading
    gate.set()
    while seen < 5100:
        assert len(protocol.pipeline) <= most
        await turns(1)
    await turns(5)
    assert socket.reading
    protocol.data_received(GET[9:])
    await turns(5)
    assert seen == socket.written.count(b"HTTP/1.1 200 OK\r\n") == 5101
    assert not socket.closed
    await settled(state)
