"""A stream's middle reaches its client whole and in order, however slow that client is, and whoever writes it."""

import asyncio
import itertools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from providers.errors import ServerFailed, StreamTruncated
from routing.streaming import pass_on

IDLE_S = 3.0
BEGIN = b"<0>"


class Stream:
    """Frames are `<n>`. `.` ends the stream, `!` is an error event, `?` one that nobody can read."""

    def __init__(self, last: bytes = b"") -> None:
        self.ended = False
        self.failure: ServerFailed | None = None
        self.closed = False
        self._last = last
        self._rest = b""

    def feed(self, data: bytes) -> bytes:
        assert not self.ended
        assert self.failure is None
        data = self._rest + data
        if b"?" in data:
            raise ValueError("a mistake")
        self.ended = b"." in data
        if b"!" in data:
            self.failure = ServerFailed("The provider failed.")
        # Frames that are complete.
        whole = data[: data.rfind(b">") + 1]
        self._rest = b"" if self.ended else data[len(whole) :]
        return whole

    def close(self) -> bytes:
        self.closed = True
        self.ended = bool(self._last)
        return self._last


class Response:
    """Pieces that have arrived. A consumer that wants no more is not given any before it asks again."""

    def __init__(self, *pieces: bytes, error: Exception | None = None) -> None:
        self._pieces = list(pieces)
        self._error = error

    async def forward(self, consumer: Callable[[bytes], bool], timeout_s: float) -> bool:
        assert timeout_s == IDLE_S
        while self._pieces:
            if not consumer(self._pieces.pop(0)):
                return True
        if self._error is not None:
            raise self._error
        return False


class Client:
    """Slow to read at the writes that `slow` names: nothing can be pushed then, and who writes has to wait."""

    def __init__(self, *slow: int, pushes: bool = True) -> None:
        self.read: list[bytes] = []
        self.waited = 0
        self._slow = set(slow)
        if not pushes:
            self.push = None  # type: ignore[assignment]

    def push(self, frames: bytes) -> bool:
        assert frames
        if len(self.read) in self._slow:
            return False
        self.read.append(frames)
        return True

    async def write(self, frames: bytes) -> None:
        assert frames
        if len(self.read) in self._slow:
            self.waited += 1
            await asyncio.sleep(0)
        self.read.append(frames)


async def passed(client: Client, stream: Stream, response: Response, begin: bytes = BEGIN) -> tuple[bytes, float]:
    """The last frames, and when something was last written."""
    call: Any = SimpleNamespace(sink=client, written_at=0.0)
    last = await pass_on(call, stream, response, begin, IDLE_S)  # type: ignore[arg-type]
    return last, call.written_at


async def test_a_client_that_keeps_up_is_written_to_without_waiting() -> None:
    client, stream = Client(), Stream()
    last, written_at = await passed(client, stream, Response(b"<1>", b"<2", b">", b"<3>."))
    assert client.read == [b"<0>", b"<1>", b"<2>"]
    assert last == b"<3>"
    assert client.waited == 0
    assert written_at > 0
    assert not stream.closed


async def test_a_client_that_is_slow_is_waited_for_and_then_pushed_to_again() -> None:
    client = Client(2, 3)
    last, _ = await passed(client, Stream(), Response(b"<1>", b"<2>", b"<3>", b"<4>", b"<5>."))
    assert client.read == [b"<0>", b"<1>", b"<2>", b"<3>", b"<4>"]
    assert last == b"<5>"
    assert client.waited == 2


async def test_the_upstream_waits_while_its_client_does() -> None:
    client, response = Client(1), Response(b"<1>", b"<2>", b"<3>.")
    may_go_on = asyncio.Event()
    write = client.write

    async def wait(frames: bytes) -> None:
        if frames == b"<1>":
            await may_go_on.wait()
        await write(frames)

    client.write = wait  # type: ignore[method-assign]
    passing = asyncio.create_task(passed(client, Stream(), response))
    for _ in range(5):
        await asyncio.sleep(0)
    assert response._pieces == [b"<2>", b"<3>."]
    may_go_on.set()
    assert (await passing)[0] == b"<3>"
    assert client.read == [b"<0>", b"<1>", b"<2>"]


@pytest.mark.parametrize("client", [Client(), Client(2), Client(pushes=False)], ids=["quick", "behind", "unpushed"])
async def test_what_came_before_an_error_event_is_written_and_nothing_after_it(client: Client) -> None:
    with pytest.raises(ServerFailed):
        await passed(client, Stream(), Response(b"<1>", b"<2>!", b"<3>"))
    assert client.read == [b"<0>", b"<1>", b"<2>"]


@pytest.mark.parametrize("client", [Client(), Client(1), Client(pushes=False)], ids=["quick", "behind", "unpushed"])
async def test_a_body_that_ends_before_its_stream_is_cut(client: Client) -> None:
    with pytest.raises(StreamTruncated):
        await passed(client, Stream(), Response(b"<1>", b"<2"))
    assert client.read == [b"<0>", b"<1>"]


async def test_the_last_frames_may_come_with_the_bodys_end() -> None:
    client = Client()
    assert (await passed(client, Stream(last=b"<end>"), Response(b"<1>")))[0] == b"<end>"
    assert client.read == [b"<0>", b"<1>"]


@pytest.mark.parametrize("client", [Client(), Client(1), Client(pushes=False)], ids=["quick", "behind", "unpushed"])
async def test_a_mistake_of_the_decoders_and_a_failure_of_the_upstreams_are_the_callers(client: Client) -> None:
    for response in (Response(b"<1>", b"?"), Response(b"<1>", error=ValueError("a mistake"))):
        with pytest.raises(ValueError, match="a mistake"):
            await passed(client, Stream(), response)
    assert client.read == [b"<0>", b"<1>"] * 2


async def test_a_stream_that_ended_with_its_first_frames_is_not_read_on() -> None:
    client, stream = Client(), Stream()
    stream.ended = True
    assert (await passed(client, stream, Response(b"never")))[0] == BEGIN
    assert client.read == []


@settings(max_examples=200, deadline=None)
@given(st.integers(1, 30), st.lists(st.integers(0, 120), max_size=12), st.sets(st.integers(0, 30)), st.booleans())
async def test_every_client_reads_the_same_however_the_bytes_come(
    frames: int, cuts: list[int], slow: set[int], pushes: bool
) -> None:
    wire = b"".join(b"<%d>" % number for number in range(1, frames)) + b"<end>."
    edges = sorted({0, len(wire), *(cut for cut in cuts if cut < len(wire))})
    pieces = [wire[start:end] for start, end in itertools.pairwise(edges)]
    client = Client(*slow, pushes=pushes)
    last, _ = await passed(client, Stream(), Response(*pieces))
    assert b"".join(client.read) + last == BEGIN + wire[:-1]
