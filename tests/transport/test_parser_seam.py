"""The lean client's connection without a socket: what it makes of bytes must not depend on how they were cut."""

import asyncio
import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import UpstreamError
from providers.http1.connection import HEADER_LIMIT_BYTES, READ_AHEAD_BYTES, Connection
from providers.http1.response import Http1Response
from tests.transport.answers import BAD, GOOD

PLAIN = {name: answer for name, answer in {**GOOD, **BAD}.items() if len(answer.wire) < 400}


class Socket(asyncio.Transport):
    """Takes what is written and remembers what was asked of it."""

    def __init__(self, buffer: int = 0) -> None:
        super().__init__()
        self.written = b""
        self.aborted = self.paused = False
        self.buffer = buffer

    def write(self, data):
        self.written += data

    def abort(self):
        self.aborted = True

    def pause_reading(self):
        assert not self.paused
        self.paused = True

    def resume_reading(self):
        assert self.paused
        self.paused = False

    def get_write_buffer_size(self):
        return self.buffer

    def is_closing(self):
        return self.aborted


class Loop:
    """As much of an event loop as a connection needs, and one that waits for it in a coroutine that is driven by hand."""

    def time(self):
        return 0.0

    def get_debug(self):
        return False

    def create_future(self):
        return asyncio.Future(loop=self)

    def call_at(self, when, callback):
        return self

    def call_soon(self, callback):
        callback()

    def cancel(self):
        return None


def fed(wire: bytes, cuts=(), *, head_only: bool = False, eof: bool = True):
    """What a connection makes of `wire`: status, headers, body, class of the error, and whether it may be used again."""
    connection, sock = Connection(Loop()), Socket()
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=head_only)
    edges = sorted({0, len(wire), *(min(cut, len(wire)) for cut in cuts)})
    body = b""
    for start, end in itertools.pairwise(edges):
        if connection.gone:
            break
        connection.data_received(wire[start:end])
        body += connection.take()
    if eof and not connection.complete and not connection.gone:
        connection.eof_received()
    error = type(connection.error).__name__ if connection.error is not None else None
    if error is not None:
        return None, None, None, error, False
    reusable = connection.complete and connection.settle(30)
    return connection.status, connection.headers, body, None, reusable


def forwarded(wire: bytes, cuts=(), *, every: int | None = None):
    """The same of a body that goes to a consumer as it arrives, who wants no more for now after `every` so many pieces."""
    connection, sock = Connection(Loop()), Socket()
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
    edges = sorted({0, len(wire), *(min(cut, len(wire)) for cut in cuts)})
    reading: Reading | None = None
    for start, end in itertools.pairwise(edges):
        if connection.gone:
            break
        connection.data_received(wire[start:end])
        if reading is None and connection.status:
            reading = Reading(connection, every)
        if reading is not None:
            reading.go_on()
    if not connection.complete and not connection.gone:
        connection.eof_received()
    if reading is not None:
        reading.go_on()
    if connection.error is not None:
        assert reading is None or reading.raised is connection.error
        return None, None, None, type(connection.error).__name__, False
    assert reading is not None
    assert reading.over
    reusable = connection.complete and connection.settle(30)
    return connection.status, connection.headers, b"".join(reading.pieces), None, reusable


class Reading:
    """A caller that reads by `forward`; `go_on` is the event loop's part, after it was woken."""

    def __init__(self, connection: Connection, every: int | None) -> None:
        self.pieces: list[bytes] = []
        self.over = False
        self.raised: BaseException | None = None
        self._every = every
        self._waits_for: asyncio.Future[None] | None = None
        self._coroutine = self._read(Http1Response(connection, Connection.abort, lambda: 0.0))
        self.go_on()

    def go_on(self) -> None:
        while not self.over and (self._waits_for is None or self._waits_for.done()):
            try:
                self._waits_for = self._coroutine.send(None)
            except StopIteration:
                self.over = True
            except UpstreamError as error:
                self.over, self.raised = True, error

    def _take(self, piece: bytes) -> bool:
        assert piece
        self.pieces.append(piece)
        return self._every is None or len(self.pieces) % self._every > 0

    async def _read(self, response: Http1Response) -> None:
        while await response.forward(self._take, 5):
            pass


READ_AS_BODY = {name: answer for name, answer in PLAIN.items() if answer.method != "HEAD"}


@pytest.mark.parametrize("name", sorted(READ_AS_BODY))
@pytest.mark.parametrize("every", [None, 1, 2])
def test_every_cut_means_the_same_to_a_consumer(name, every):
    wire = READ_AS_BODY[name].wire
    whole = fed(wire)
    for cut in range(1, len(wire)):
        assert forwarded(wire, [cut], every=every) == whole
    assert forwarded(wire, range(1, len(wire)), every=every) == whole


@pytest.mark.parametrize("name", sorted(PLAIN))
def test_every_cut_in_two_means_the_same(name):
    answer = PLAIN[name]
    whole = fed(answer.wire, head_only=answer.method == "HEAD")
    for cut in range(1, len(answer.wire)):
        assert fed(answer.wire, [cut], head_only=answer.method == "HEAD") == whole


@pytest.mark.parametrize("name", sorted(name for name in PLAIN if len(PLAIN[name].wire) < 130))
def test_every_cut_in_three_means_the_same(name):
    answer = PLAIN[name]
    whole = fed(answer.wire, head_only=answer.method == "HEAD")
    for first in range(1, len(answer.wire)):
        for second in range(first + 1, len(answer.wire)):
            assert fed(answer.wire, [first, second], head_only=answer.method == "HEAD") == whole


@pytest.mark.parametrize("name", sorted(name for name in GOOD if name in PLAIN))
def test_only_whole_answers_leave_a_connection_that_may_be_used_again(name):
    answer = GOOD[name]
    reusable = answer.reusable and not answer.closes and answer.method != "HEAD"
    assert fed(answer.wire, head_only=answer.method == "HEAD")[4] is reusable
    for length in range(len(answer.wire)):
        assert fed(answer.wire[:length], eof=False)[4] is False


REUSABLE = sorted(name for name, answer in GOOD.items() if answer.reusable and not answer.closes)


@given(st.sampled_from(REUSABLE), st.binary(min_size=1, max_size=30), st.integers(0, 30))
def test_one_byte_too_many_ends_the_connection(name, surplus, cut):
    answer = GOOD[name]
    wire = answer.wire + surplus
    *seen, reusable = fed(wire, [len(wire) - cut], head_only=answer.method == "HEAD", eof=False)
    assert tuple(seen) == fed(answer.wire, head_only=answer.method == "HEAD")[:4]
    # llhttp skips empty lines between messages, as RFC 9112 2.2 asks of it.
    assert not reusable or not surplus.strip(b"\r\n")


@pytest.mark.parametrize("name", sorted(name for name, answer in GOOD.items() if not answer.closes))
def test_no_truncation_looks_complete(name):
    """Cut at every byte and closed: an error, or (where the length was there already) nothing missing."""
    answer = GOOD[name]
    head_only = answer.method == "HEAD"
    whole = fed(answer.wire, head_only=head_only)
    for length in range(len(answer.wire)):
        status, headers, body, error, _ = fed(answer.wire[:length], head_only=head_only)
        assert error in {"ConnectFailed", "StreamTruncated"} or (status, headers, body) == whole[:3]


wire_words = st.sampled_from(
    [
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 204 No Content\r\n",
        b"HTTP/1.1 101 Switching Protocols\r\n",
        b"HTTP/1.0 500 No\r\n",
        b"Content-Length: 5\r\n",
        b"Content-Length: 0\r\n",
        b"Content-Length: 99999999999999999999999\r\n",
        b"Transfer-Encoding: chunked\r\n",
        b"Connection: close\r\n",
        b"Connection: upgrade\r\nUpgrade: h2c\r\n",
        b"X-A: b\r\n",
        b" folded\r\n",
        b"\r\n",
        b"\n",
        b"hello",
        b"5\r\nhello\r\n",
        b"0\r\n",
        b"ffffffffffffffffff\r\n",
        b"\x00\xff",
    ]
)
wires = st.lists(st.one_of(wire_words, st.binary(max_size=6)), max_size=14).map(b"".join)


@settings(max_examples=400, deadline=None)
@given(wires, st.lists(st.integers(0, 120), max_size=6), st.booleans())
def test_any_bytes_end_in_an_answer_or_one_of_our_errors(wire, cuts, head_only):
    whole, cut = fed(wire, head_only=head_only), fed(wire, cuts, head_only=head_only)
    status, _, body, error, _ = whole
    assert error in {None, "ConnectFailed", "StreamTruncated", "BadAnswer"}
    if error is None:
        assert 200 <= status <= 999
        assert len(body) <= len(wire)
    # What is refused may be named by what came first; whether it is refused may not depend on the cuts.
    assert (cut[3] is None) == (error is None)
    if error is None:
        assert cut[:3] == whole[:3]


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=3000), st.lists(st.integers(1, 400), min_size=1, max_size=30), st.lists(st.integers(0, 4000)))
def test_any_body_in_any_chunks_comes_out_whole(body, sizes, cuts):
    wire = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"
    rest = body
    for size in sizes:
        piece, rest = rest[:size], rest[size:]
        if piece:
            wire += b"%x\r\n%b\r\n" % (len(piece), piece)
    if rest:
        wire += b"%x\r\n%b\r\n" % (len(rest), rest)
    whole = (200, {"transfer-encoding": "chunked"}, body, None, True)
    assert fed(wire + b"0\r\n\r\n", cuts) == whole
    for every in (None, 3):
        assert forwarded(wire + b"0\r\n\r\n", cuts, every=every) == whole


def test_reading_stops_above_the_bound_and_goes_on_when_taken():
    connection, sock = Connection(Loop()), Socket()
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n")
    given_bytes = 0
    while not sock.paused:
        connection.data_received(b"x" * 50_000)
        given_bytes += 50_000
    assert given_bytes <= READ_AHEAD_BYTES + 50_000
    assert len(connection.take()) == given_bytes
    assert not sock.paused


@pytest.mark.parametrize("every", [None, 1])
def test_what_goes_to_a_consumer_does_not_lie_there_unread(every):
    connection, sock = Connection(Loop()), Socket()
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n")
    reading = Reading(connection, every)
    for number in range(20):
        connection.data_received(b"x" * 100_000)
        assert not sock.paused
        assert not connection.pieces
        assert sum(map(len, reading.pieces)) == (number + 1) * 100_000
        reading.go_on()


def test_what_comes_after_a_consumer_wanted_no_more_is_bounded():
    connection, sock = Connection(Loop()), Socket()
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 9000000\r\n\r\n")
    reading = Reading(connection, 1)
    given_bytes = 0
    while not sock.paused:
        connection.data_received(b"x" * 50_000)
        given_bytes += 50_000
    assert reading.pieces == [b"x" * 50_000]
    assert given_bytes <= 50_000 + READ_AHEAD_BYTES + 50_000
    reading.go_on()
    assert not sock.paused
    assert sum(map(len, reading.pieces)) == given_bytes


@pytest.mark.parametrize(
    "endless",
    [
        b"HTTP/1.1 100 Continue\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x-a: b\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n" + b"x-t: b\r\n" * 10_000,
        b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5;" + b"x" * 100_000,
    ],
    ids=["interim answers", "headers", "trailers", "chunk extension"],
)
def test_what_is_not_body_is_bounded(endless):
    connection, sock = Connection(Loop()), Socket()
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
    wire = endless * (1 + 3 * HEADER_LIMIT_BYTES // len(endless)) if len(endless) < 1000 else endless
    sent = 0
    while not connection.gone and sent < len(wire):
        connection.data_received(wire[sent : sent + 1000])
        sent += 1000
    assert isinstance(connection.error, UpstreamError)
    assert type(connection.error).__name__ == "BadAnswer"
    assert sent <= HEADER_LIMIT_BYTES + 3000


def test_a_connection_with_unsent_bytes_is_not_used_again():
    connection, sock = Connection(Loop()), Socket(buffer=10)
    connection.connection_made(sock)
    connection.start(b"GET / HTTP/1.1\r\n\r\n", b"", head_only=False)
    connection.data_received(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    assert not connection.settle(30)
    assert sock.aborted
