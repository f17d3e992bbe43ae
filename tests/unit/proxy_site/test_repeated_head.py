"""A request with the head of the one before passes beside the parser, and nobody can tell: the application hears the same,
the client reads the same, and the connection ends where it would have ended."""

import asyncio
import itertools
import re
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import pytest
from hypothesis import event, given, settings
from hypothesis import strategies as st
from uvicorn.protocols.http.flow_control import HIGH_WATER_LIMIT

from proxy_site.client_connection import DIFFERENT_HEADS, GatewayProtocol, GatewayServerState
from proxy_site.repeated_head import LONGEST_HEAD, MOST_DIGITS, RepeatedHead, repeated_head
from tests.unit.proxy_site.test_client_connection import connection, settled, turns

PLAIN = (
    b"POST /v1/chat/completions HTTP/1.1\r\nhost: here\r\nauthorization: Bearer one\r\n"
    b"content-length: {}\r\nx-request-id: again\r\n\r\n"
)
"""Braces stand for the length of the body."""
OTHER_KEY = PLAIN.replace(b"one", b"two")
CHUNKED = PLAIN.replace(b"content-length: {}", b"transfer-encoding: chunked")
EXPECTING = PLAIN.replace(b"host", b"Expect: 100-continue\r\nhost")
SCOPE: dict[str, Any] = {}


def request(head: bytes, body: bytes = b"hello", *, beyond: int = 0) -> bytes:
    """`beyond` is by how much the head says more than there is."""
    if b"transfer-encoding: chunked" in head:
        return head + (b"%x\r\n%b\r\n" % (len(body), body) if body else b"") + b"0\r\n\r\n"
    return head.replace(b"{}", b"%d" % max(len(body) + beyond, 0)) + body


def learned() -> RepeatedHead:
    head = repeated_head(request(PLAIN), 5, SCOPE)
    assert head is not None
    return head


BODIES = {
    "empty": b"",
    "short": b"hello",
    "of the same length": b"later",
    "of two digits": b'{"model": "m", "x": []}',
    "line ends": b"\r\n\r\n",
    "line ends around": b"\r\n\r\nab\r\n\r\n",
    "a whole request": request(PLAIN, b"inner"),
    "half a request": request(PLAIN, b"inner")[:40],
    "two lengths": b"\r\ncontent-length: 5\r\n\r\ncontent-length: 6\r\n\r\n",
    "words of other heads": b"\r\ntransfer-encoding: chunked\r\nexpect: 100-continue\r\nupgrade: h2c\r\n\r\n",
    "digits": b"12345678901234567890",
    "more than is read at once": b"\r\n\r\n" + b"x" * HIGH_WATER_LIMIT,
    "the last": b"last",
    "a stream": b"stream",
}


@pytest.mark.parametrize("first", BODIES.values(), ids=BODIES.keys())
def test_any_body_of_its_length_may_follow_whatever_body_a_head_was_learned_with(first: bytes) -> None:
    head = repeated_head(request(PLAIN, first), len(first), SCOPE)
    assert head is not None
    assert head.scope is SCOPE
    assert head.answer is None
    for body in BODIES.values():
        assert head.body_in(request(PLAIN, body)) == body


@pytest.mark.parametrize("length", [b"5", b"05", b"0" * (MOST_DIGITS - 1) + b"5"])
def test_a_length_may_begin_with_zeros(length: bytes) -> None:
    wire = PLAIN.replace(b"{}", length) + b"hello"
    assert learned().body_in(wire) == b"hello"
    assert repeated_head(wire, 5, SCOPE) is not None


@pytest.mark.parametrize(
    "length",
    [
        *(b"", b" 5", b"5 ", b"\t5", b"5\t", b"+5", b"-5", b"0x5", b"5.0", b"5,5", b"1_0", b"5;", b"\xb2"),
        b"0" * MOST_DIGITS + b"5",
        b"5" * 30,
    ],
)
def test_a_length_that_is_not_a_few_digits_is_the_parsers(length: bytes) -> None:
    wire = PLAIN.replace(b"{}", length) + b"hello"
    assert learned().body_in(wire) is None
    assert repeated_head(wire, 5, SCOPE) is None


NOT_LEARNED = {
    "GET": PLAIN.replace(b"POST", b"GET"),
    "PUT": PLAIN.replace(b"POST", b"PUT"),
    "a line before": b"\r\n" + PLAIN,
    "chunked": CHUNKED,
    "a length beside chunks": PLAIN.replace(b"host", b"Transfer-Encoding: chunked\r\nhost"),
    "a transfer encoding that nobody knows": PLAIN.replace(b"host", b"TRANSFER-ENCODING: x\r\nhost"),
    "asks first": EXPECTING,
    "asks for something else": PLAIN.replace(b"host", b"expect: wonders\r\nhost"),
    "an upgrade": PLAIN.replace(b"host", b"connection: upgrade\r\nUpgrade: h2c\r\nhost"),
    "one length twice": PLAIN.replace(b"host", b"Content-Length: 5\r\nhost"),
    "two lengths": PLAIN.replace(b"host", b"content-length: 6\r\nhost"),
    "no length": PLAIN.replace(b"content-length", b"content-size"),
    "a length within another line": PLAIN.replace(b"\r\ncontent-length", b" content-length"),
    "no end": PLAIN[:-2],
    "longer than a head may be": PLAIN.replace(b"again", b"a" * LONGEST_HEAD),
}


@pytest.mark.parametrize("head", NOT_LEARNED.values(), ids=NOT_LEARNED.keys())
def test_a_head_that_says_more_than_a_plain_one_is_not_learned(head: bytes) -> None:
    assert repeated_head(head.replace(b"{}", b"5") + b"hello", 5, SCOPE) is None


@pytest.mark.parametrize("found", [0, 4, 6, 55])
def test_a_head_is_not_learned_where_the_parser_found_another_body(found: int) -> None:
    assert repeated_head(request(PLAIN), found, SCOPE) is None
    assert repeated_head(request(PLAIN, b"x" * found, beyond=1), found, SCOPE) is None


@pytest.mark.parametrize("found", [0, 4, 5, 6, 7])
@pytest.mark.parametrize("more", [b"\r\n", b"x", request(PLAIN), request(PLAIN)[:1]])
def test_a_head_is_not_learned_from_more_than_one_request(found: int, more: bytes) -> None:
    assert repeated_head(request(PLAIN) + more, found, SCOPE) is None


@pytest.mark.parametrize(("more", "learns"), [(0, True), (1, False)])
def test_the_longest_head_that_is_learned(more: int, learns: bool) -> None:
    wire = request(PLAIN)
    room = LONGEST_HEAD - (len(wire) - len(b"hello")) + more
    assert (repeated_head(wire.replace(b"again", b"again" + b"a" * room), 5, SCOPE) is not None) is learns


def test_a_head_that_differs_in_any_byte_is_another() -> None:
    head, wire = learned(), request(PLAIN)
    for at in range(len(wire) - len(b"hello")):
        for byte in range(256):
            if byte != wire[at]:
                assert head.body_in(wire[:at] + bytes((byte,)) + wire[at + 1 :]) is None, (at, byte)
        assert head.body_in(wire[:at] + wire[at + 1 :]) is None, at
        assert head.body_in(wire[:at] + wire[at : at + 1] + wire[at:]) is None, at


def test_a_request_that_is_not_there_whole_is_the_parsers() -> None:
    for body in (b"hello", b"x" * 15, b"\r\n\r\n"):
        wire = request(PLAIN, body)
        assert [at for at in range(len(wire)) if learned().body_in(wire[:at]) is not None] == []


@pytest.mark.parametrize("more", [b"\r\n", b"x", request(PLAIN), request(PLAIN)[:1]])
def test_a_request_with_anything_behind_it_is_the_parsers(more: bytes) -> None:
    assert learned().body_in(request(PLAIN) + more) is None


# ------------------------------------------------------------------------------------ on a connection


class Application:
    """Answers as the data plane does; `meanwhile` is what happens before the answer."""

    def __init__(self, meanwhile: Callable[[Any], Awaitable[None]] | None = None) -> None:
        self.seen: list[Any] = []
        self.parsed = 0
        self._meanwhile = meanwhile

    @property
    def repeated(self) -> int:
        return len(self.seen) - self.parsed

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        connection = scope["extensions"].pop("llm_proxy.connection")
        lines = [line for line in scope["headers"] if line[0] != b"content-length"]
        said = (*(scope[name] for name in ("method", "path", "query_string", "http_version")), lines)
        connection.remember(partial(self._answer, said))
        self.parsed += 1
        await self._answer(said, connection, receive, send)

    async def _answer(self, said: Any, connection: Any, receive: Any, send: Any) -> None:
        body, message = connection.complete_body(), {"more_body": True}
        seen = [said, body]
        self.seen.append(seen)
        if body is None and (b"authorization", b"Bearer wrong") in said[-1]:
            await connection.respond(401, b"content-length: 0\r\nconnection: close\r\n", b"")
            return
        if body is None:
            body = b""
            while message["more_body"]:
                message = await receive()
                if message["type"] == "http.disconnect":
                    return
                body += message["body"]
            seen[1] = body
        if self._meanwhile is not None:
            await self._meanwhile(connection)
        await self._write(f"{said} {body!r}".encode(), body, connection)

    @staticmethod
    async def _write(text: bytes, body: bytes, connection: Any) -> None:
        if body == b"stream":
            await connection.begin(b"content-type: text/event-stream\r\n")
            await connection.write(text)
            await connection.end(b"")
        else:
            last = b"connection: close\r\n" if body == b"last" else b""
            await connection.respond(200, b"content-length: %d\r\n%b" % (len(text), last), text)


class Client:
    def __init__(self, application: Any, **options: Any) -> None:
        self.state = GatewayServerState()
        protocol, self.socket = connection(GatewayProtocol, application, self.state, **options)
        assert isinstance(protocol, GatewayProtocol)
        self.protocol = protocol

    async def sends(self, *pieces: bytes) -> None:
        for piece in pieces:
            self.protocol.data_received(piece)
            await turns(12)

    async def leaves(self) -> None:
        self.protocol.connection_lost(None)
        await settled(self.state)

    @property
    def statuses(self) -> list[bytes]:
        return re.findall(rb"HTTP/1.1 (\d+)", self.socket.written)


HEADS = {
    "plain": PLAIN,
    "another key": OTHER_KEY,
    "a wrong key": PLAIN.replace(b"one", b"wrong"),
    "names in capitals": PLAIN.replace(b"content-length", b"Content-Length").replace(b"auth", b"AUTH"),
    "the length at the end": b"POST /x?a=%20 HTTP/1.1\r\nhost: here\r\ncontent-length:{}\r\n\r\n",
    "zeros before the length": PLAIN.replace(b"{}", b"00{}"),
    "space before the length": PLAIN.replace(b"{}", b"  {}"),
    "space after the length": PLAIN.replace(b"{}", b"{} "),
    "a sign before the length": PLAIN.replace(b"{}", b"+{}"),
    "kept": PLAIN.replace(b"host", b"Connection: keep-alive\r\nhost"),
    "the last on its connection": PLAIN.replace(b"host", b"Connection: close\r\nhost"),
    "HTTP 1.0": PLAIN.replace(b"1.1", b"1.0"),
    "HTTP 1.0, kept": PLAIN.replace(b"1.1", b"1.0").replace(b"host", b"connection: keep-alive\r\nhost"),
    "GET": PLAIN.replace(b"POST", b"GET"),
    "HEAD": PLAIN.replace(b"POST", b"HEAD"),
    "a folded line": PLAIN.replace(b"again", b"a\r\n gain"),
    **{name: head for name, head in NOT_LEARNED.items() if name not in ("GET", "no end", "no length")},
}
Delivery = tuple[bytes, int]


FLAWS = {"too short": 1, "too long": -1, "a byte": 0, "a line before": 0, "a line after": 0}
"""And by how much the head says more than there is."""


@st.composite
def conversations(draw: st.DrawFn) -> list[Delivery]:
    """What arrives at once, and how many turns of the event loop until the next. Most of it is as most clients send it."""
    usual = HEADS[draw(st.sampled_from(["plain"] * 40 + sorted(HEADS)))]
    heads = st.sampled_from([usual] * 6 + [PLAIN, OTHER_KEY, usual.replace(b"again", b"other")])
    deliveries: list[Delivery] = []
    for _ in range(draw(st.sampled_from([1, 2, 3, 4, 5, 6, 6, 6, 6]))):
        flaw = draw(st.sampled_from(["none"] * 20 + list(FLAWS)))
        wire = request(draw(heads), draw(st.sampled_from(list(BODIES.values()))), beyond=FLAWS.get(flaw, 0))
        if flaw == "a byte":
            at = draw(st.integers(0, min(len(wire), 300) - 1))
            wire = wire[:at] + bytes((draw(st.sampled_from(b"\r\n :0159aZ\0\xff")),)) + wire[at + 1 :]
        wire = b"\r\n" * (flaw == "a line before") + wire + b"\r\n" * (flaw == "a line after")
        way, pause = draw(
            st.sampled_from([("whole", 20)] * 8 + [("whole", 2), ("whole", 0), ("cut", 2), ("joined", 20)])
        )
        if way == "joined" and deliveries:
            wire = deliveries.pop()[0] + wire
        cuts = draw(st.lists(st.integers(1, len(wire)), min_size=1, max_size=3)) if way == "cut" else []
        pieces = [wire[begin:end] for begin, end in itertools.pairwise([0, *sorted(cuts), len(wire)])]
        deliveries += [(piece, pause) for piece in pieces if piece]
    return deliveries


async def outcome(
    deliveries: list[Delivery], *, lag: int, drains_at: int | None, parser_only: bool = False
) -> tuple[Application, tuple[Any, ...]]:
    application = Application(lambda _: turns(lag))
    client = Client(application)
    if parser_only:
        client.protocol._different_heads = DIFFERENT_HEADS
    socket = client.socket
    for number, (piece, pause) in enumerate(deliveries):
        if number == drains_at:
            client.state.draining = True
        if not socket.reading:
            await turns(100)
        if socket.closed:
            break
        client.protocol.data_received(piece)
        await turns(pause)
    await turns(100)
    written = re.sub(rb"x-request-id: req_\w+\r\n", b"", socket.written)
    found = (application.seen, written, socket.closed, socket.reading, client.state.total_requests)
    await client.leaves()
    return application, found


async def same_as_by_the_parser(deliveries: list[Delivery], lag: int = 0, drains_at: int | None = None) -> int:
    """How many of them passed beside it."""
    application, found = await outcome(deliveries, lag=lag, drains_at=drains_at)
    by_parser, expected = await outcome(deliveries, lag=lag, drains_at=drains_at, parser_only=True)
    assert found == expected
    assert by_parser.repeated == 0
    return application.repeated


@settings(max_examples=150, deadline=None)
@given(conversations(), st.integers(0, 4), st.sampled_from([None] * 9 + [2, 3, 4]))
def test_the_application_hears_and_the_client_reads_what_the_parser_alone_would_have_told(
    deliveries: list[Delivery], lag: int, drains_at: int | None
) -> None:
    event(f"passed beside the parser: {asyncio.run(same_as_by_the_parser(deliveries, lag, drains_at))}")


@pytest.mark.parametrize("head", HEADS.values(), ids=HEADS.keys())
async def test_each_head_that_comes_again_and_again_is_answered_as_by_the_parser(head: bytes) -> None:
    bodies = (b"hello", b"later", b"", b"hello to you", b"stream", b"x" * (HIGH_WATER_LIMIT + 1))
    await same_as_by_the_parser([(request(head, body), 20) for body in bodies])
    await same_as_by_the_parser([(request(PLAIN), 20), *[(request(head, body), 20) for body in bodies]])
    await same_as_by_the_parser([(request(PLAIN), 20), (request(head), 20), *[(request(PLAIN), 20)] * 2])


@pytest.mark.parametrize("drains_at", [None, 1, 2])
@pytest.mark.parametrize("lag", [0, 4])
@pytest.mark.parametrize("pause", [0, 1, 2, 3, 4, 5, 8])
async def test_however_soon_the_next_comes_it_is_answered_as_by_the_parser(
    pause: int, lag: int, drains_at: int | None
) -> None:
    bodies = (b"hello", b"later", b"stream", b"x" * (HIGH_WATER_LIMIT + 1), b"", b"last")
    deliveries = [(request(PLAIN, body), pause) for body in bodies]
    await same_as_by_the_parser([(request(PLAIN), 20), *deliveries], lag, drains_at)


FIRST_TWO = [(request(PLAIN), 20), (request(PLAIN, b""), 20)]


@pytest.mark.parametrize(
    ("deliveries", "repeated"),
    [
        ([request(PLAIN, b"stream"), request(PLAIN, b"last")], 3),
        ([request(PLAIN, beyond=1), b"!"], 1),
        ([request(PLAIN, beyond=-1)], 1),
        ([request(PLAIN) * 2], 1),
        ([request(PLAIN) + b"\r\n", request(PLAIN)], 2),
        ([b"\r\n", request(PLAIN)], 2),
        ([request(PLAIN)[:1], request(PLAIN)[1:]], 1),
        ([request(PLAIN) + request(PLAIN)[:9], request(PLAIN)[9:], request(PLAIN)], 2),
        ([request(PLAIN).replace(b"again", b"other")], 1),
        ([b"POST /elsewhere HTTP/1.1\r\nx-note: ", request(PLAIN), request(PLAIN)], 2),
        ([request(PLAIN, b"", beyond=len(request(PLAIN))), request(PLAIN), request(PLAIN)], 2),
    ],
)
async def test_what_is_cut_or_joined_otherwise_goes_by_the_parser(deliveries: list[bytes], repeated: int) -> None:
    assert await same_as_by_the_parser(FIRST_TWO + [(piece, 20) for piece in deliveries]) == repeated
