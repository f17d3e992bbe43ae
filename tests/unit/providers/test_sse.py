"""The vectors of the wire reference, and every way to cut a stream."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.dialects.sse import MAX_EVENT_BYTES, BlockSplitter, SseDecoder, SseEvent
from providers.errors import BadAnswer

EMOJI = 'data: {"text":"a😀b"}\n\n'.encode()


def decode(*pieces: bytes) -> list[SseEvent]:
    decoder = SseDecoder()
    return [event for piece in pieces for event in decoder.feed(piece)]


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        ([b'data: {"a":1}\n\n'], [("", b'{"a":1}')]),
        ([b'data: {"a":1}\r\n\r\n'], [("", b'{"a":1}')]),
        ([b'data: {"a":1}\r', b"\n\r\n"], [("", b'{"a":1}')]),
        ([b'data: {"a":1}\r\r'], [("", b'{"a":1}')]),
        ([b'data:{"a":1}\n\n'], [("", b'{"a":1}')]),
        ([b'data: {"a":\ndata: 1}\n\n'], [("", b'{"a":\n1}')]),
        ([b": OPENROUTER PROCESSING\n\n"], []),
        ([b":\n\n"], []),
        ([b": ping\ndata: x\n\n"], [("", b"x")]),
        ([b'event: ping\ndata: {"type":"ping"}\n\n'], [("ping", b'{"type":"ping"}')]),
        ([b"id: 7\nretry: 100\nunknown: y\ndata: x\n\n"], [("", b"x")]),
        ([b"id: 7\n\n"], []),
        ([b"data\n\n"], [("", b"")]),
        ([b"data:  two spaces\n\n"], [("", b" two spaces")]),
        ([b"\xef\xbb\xbfdata: x\n\n"], [("", b"x")]),
        (["data: a\u2028b\u0085c\x0cd\n\n".encode()], [("", "a\u2028b\u0085c\x0cd".encode())]),
        ([b"data: 1\n\ndata: 2\n\nda", b"ta: 3\n\n"], [("", b"1"), ("", b"2"), ("", b"3")]),
        ([b"\n\n\ndata: 1\n\n\n\n\ndata: 2\n\n"], [("", b"1"), ("", b"2")]),
        ([b"data: no end"], []),
    ],
)
def test_reads_the_vectors_of_the_reference(pieces: list[bytes], events: list[tuple[str, bytes]]) -> None:
    assert decode(*pieces) == [SseEvent(*event) for event in events]


def test_keeps_a_character_whole_wherever_it_is_cut() -> None:
    for at in range(1, len(EMOJI)):
        assert decode(EMOJI[:at], EMOJI[at:]) == [SseEvent("", '{"text":"a😀b"}'.encode())]


def test_gives_the_cut_off_event_at_the_end() -> None:
    decoder = SseDecoder()
    decoder.feed(b"data: 1\n\ndata: [DONE]")
    assert decoder.close() == SseEvent("", b"[DONE]")


def test_has_nothing_at_the_end_of_a_whole_stream() -> None:
    decoder = SseDecoder()
    decoder.feed(b"data: 1\n\n: bye")
    assert decoder.close() is None


def test_refuses_an_event_without_end() -> None:
    decoder = SseDecoder()
    for _ in range(16):
        assert decoder.feed(b"x" * 65536) == []
    with pytest.raises(BadAnswer, match="1 MiB"):
        decoder.feed(b"x")
    with pytest.raises(BadAnswer):
        decoder.close()


@pytest.mark.parametrize("size", [4096, 65536, 1 << 22])
def test_refuses_a_long_event_however_it_arrives_and_keeps_those_before(size: int) -> None:
    body = b"data: 1\n\ndata: " + b"x" * MAX_EVENT_BYTES + b"\n\ndata: 2\n\n"
    decoder, events = SseDecoder(), []

    def read() -> None:
        for at in range(0, len(body), size):
            events.extend(decoder.feed(body[at : at + size]))
        decoder.close()

    with pytest.raises(BadAnswer):
        read()
    assert events == [SseEvent("", b"1")]


def test_cuts_a_slow_trickle_without_reading_it_again_and_again() -> None:
    splitter = BlockSplitter()
    for _ in range(50_000):
        splitter.feed(b"a\n")
    assert splitter.feed(b"\n") == [b"a\n" * 49_999 + b"a"]


LINES = st.sampled_from(["data: x", "data:y", "data: {}", ": c", "event: e", "id: 1", "data", "", "data: é😀"])


@given(
    lines=st.lists(st.tuples(LINES, st.sampled_from(["\n", "\r\n", "\r"])), max_size=12),
    cuts=st.lists(st.integers(min_value=0, max_value=120), max_size=8),
)
def test_gives_the_same_events_however_the_bytes_are_cut(lines: list[tuple[str, str]], cuts: list[int]) -> None:
    body = "".join(line + end for line, end in lines).encode()
    edges = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})
    pieces = [body[a:b] for a, b in itertools.pairwise(edges)]
    assert decode(*pieces) == decode(*(body[at : at + 1] for at in range(len(body)))) == reference(body)


BLOCKS = st.sampled_from(
    [
        "event: e\ndata: x", "event: e\ndata: y", "event: f\ndata: x", "event: e\ndata: ", "event: e\ndata:x", "event: e",
        "event: e\ndata: x\ndata: y", "event: e\nid: 1\ndata: x", "event: e\ndata: x\nevent: f", ": c\nevent: e\ndata: x",
        "event: é\ndata: data: x", "event:  e\ndata: x", "data: x", "data: x\nevent: e", "data: event: e",
    ]
)  # fmt: skip


@given(blocks=st.lists(BLOCKS, max_size=12))
def test_an_event_is_read_alike_whatever_came_before_it(blocks: list[str]) -> None:
    body = "".join(f"{block}\n\n" for block in blocks).encode()
    assert decode(body) == decode(*(f"{block}\n\n".encode() for block in blocks)) == reference(body)


def reference(body: bytes) -> list[SseEvent]:
    """The specification, line by line, over the whole text at once."""
    text = body.decode().replace("\r\n", "\n").replace("\r", "\n")
    events, name, data = [], "", []
    for line in text.split("\n")[:-1]:
        key, _, value = line.partition(":")
        if line == "":
            if data:
                events.append(SseEvent(name, "\n".join(data).encode()))
            name, data = "", []
        elif key == "data":
            data.append(value.removeprefix(" "))
        elif key == "event":
            name = value.removeprefix(" ")
    return events
