"""Writes of one round of the event loop: sent together at its end, in order, and never lost to a close."""

import asyncio
import socket
from typing import Any

import pytest

from providers.http1.corked import HELD_BYTES, CorkedTransport, cork_of


class Socket(asyncio.Transport):
    """`sent` is what reached it, call by call, of all sockets that share the list."""

    def __init__(self, sent: list[tuple[str, bytes]], name: str = "") -> None:
        super().__init__()
        self.sent, self.name, self.closing = sent, name, False

    def write(self, data: Any) -> None:
        assert not self.closing, "written after its end"
        self.sent.append((self.name, bytes(data)))

    def write_eof(self) -> None:
        self.sent.append((self.name, b"eof"))

    def close(self) -> None:
        self.closing = True
        self.sent.append((self.name, b"closed"))

    def abort(self) -> None:
        self.closing = True
        self.sent.append((self.name, b"aborted"))

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        return 3


def corked(sent: list[tuple[str, bytes]], name: str = "") -> CorkedTransport:
    return CorkedTransport(Socket(sent, name), cork_of(asyncio.get_running_loop()))


async def test_what_one_round_writes_is_sent_at_its_end_each_connection_once_in_the_order_of_their_first_writes() -> (
    None
):
    sent: list[tuple[str, bytes]] = []
    one, other = corked(sent, "one"), corked(sent, "other")
    other.write(b"a")
    one.write(b"b")
    other.write(memoryview(b"cd")[:1])
    one.writelines([b"d", bytearray(b"e")])
    assert sent == []
    await asyncio.sleep(0)
    assert sent == [("other", b"ac"), ("one", b"bde")]
    one.write(b"f")
    await asyncio.sleep(0)
    assert sent[2:] == [("one", b"f")]


async def test_what_is_written_before_a_close_is_sent_before_it_and_once() -> None:
    sent: list[tuple[str, bytes]] = []
    transport = corked(sent)
    transport.write(b"the answer")
    transport.close()
    await asyncio.sleep(0)
    assert sent == [("", b"the answer"), ("", b"closed")]


async def test_what_is_written_before_an_end_of_file_is_sent_before_it() -> None:
    sent: list[tuple[str, bytes]] = []
    transport = corked(sent)
    transport.write(b"the answer")
    transport.write_eof()
    await asyncio.sleep(0)
    assert sent == [("", b"the answer"), ("", b"eof")]


async def test_an_aborted_connection_sends_nothing_that_it_held() -> None:
    sent: list[tuple[str, bytes]] = []
    transport = corked(sent)
    transport.write(b"a request that nobody wants any more")
    transport.abort()
    await asyncio.sleep(0)
    assert sent == [("", b"aborted")]


@pytest.mark.parametrize("end", ["close", "abort"])
async def test_a_write_after_the_end_reaches_nobody_and_disturbs_nobody(end: str) -> None:
    sent: list[tuple[str, bytes]] = []
    transport, other = corked(sent, "one"), corked(sent, "other")
    getattr(transport, end)()
    transport.write(b"late")
    other.write(b"hello")
    await asyncio.sleep(0)
    assert sent[1:] == [("other", b"hello")]


async def test_much_is_sent_at_once_so_that_its_writer_hears_of_a_slow_reader() -> None:
    sent: list[tuple[str, bytes]] = []
    transport = corked(sent)
    transport.write(b"a" * HELD_BYTES)
    assert sent == []
    transport.write(b"b")
    assert sent == [("", b"a" * HELD_BYTES + b"b")]
    transport.write(b"c")
    await asyncio.sleep(0)
    assert sent[1:] == [("", b"c")]


async def test_what_is_held_counts_as_unsent() -> None:
    transport = corked([])
    transport.write(b"ab")
    assert transport.get_write_buffer_size() == 5
    await asyncio.sleep(0)
    assert transport.get_write_buffer_size() == 3


async def test_a_transport_that_fails_does_not_keep_the_others_from_sending() -> None:
    sent: list[tuple[str, bytes]] = []
    broken, other = corked(sent, "broken"), corked(sent, "other")
    reported: list[Any] = []
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(lambda _, context: reported.append(context["exception"]))
    broken._transport.write = lambda data: 1 / 0  # type: ignore[method-assign]
    broken.write(b"a")
    other.write(b"b")
    await asyncio.sleep(0)
    assert sent == [("broken", b"aborted"), ("other", b"b")]
    assert [type(error) for error in reported] == [ZeroDivisionError]
    other.write(b"c")
    await asyncio.sleep(0)
    assert sent[2:] == [("other", b"c")]


async def test_over_a_real_socket_every_byte_arrives_in_order_whatever_the_reader_s_speed() -> None:
    loop = asyncio.get_running_loop()
    left, right = socket.socketpair()
    right.setblocking(False)
    paused = asyncio.Event()
    writable = asyncio.Event()
    writable.set()

    class Writer(asyncio.Protocol):
        def pause_writing(self) -> None:
            paused.set()
            writable.clear()

        def resume_writing(self) -> None:
            writable.set()

    raw, _ = await loop.create_connection(Writer, sock=left)
    transport = CorkedTransport(raw, cork_of(loop))
    pieces = [bytes([n % 251]) * (n * 37 % 5000) for n in range(2000)]

    async def write() -> None:
        for piece in pieces:
            await writable.wait()
            transport.write(piece)
        transport.close()

    writing = asyncio.create_task(write())
    await asyncio.wait_for(paused.wait(), 10)
    got = bytearray()
    while chunk := await loop.sock_recv(right, 65536):
        got += chunk
    await writing
    assert bytes(got) == b"".join(pieces)
    right.close()
