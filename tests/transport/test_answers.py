"""Every answer, whole and under every split by bytes, means the same to both clients, whichever way it is read."""

import itertools

import pytest

from providers.aiohttp_transport import AiohttpTransport
from providers.transport import UpstreamRequest
from tests.transport.answers import BAD, GOOD, Answer
from tests.transport.outcomes import BODY, REQUEST, WAYS, outcome
from tests.transport.wire import Wire

ALL = {**GOOD, **BAD}
SMALL = {name: answer for name, answer in ALL.items() if len(answer.wire) < 400}


class Cut:
    """A script that sends the answer cut into pieces, to each request of each connection."""

    def __init__(self, answer: Answer, *cuts: int) -> None:
        self.answer = answer
        self.at(*cuts)

    def at(self, *cuts: int) -> None:
        edges = [0, *cuts, len(self.answer.wire)]
        self.pieces = [self.answer.wire[start:end] for start, end in itertools.pairwise(edges)]

    async def __call__(self, wire: Wire) -> None:
        await wire.request()
        await wire.pieces(*self.pieces)
        while not self.answer.closes:
            await wire.request()
            await wire.pieces(*self.pieces)


def asked(answer: Answer) -> UpstreamRequest:
    return UpstreamRequest(path=REQUEST.path, headers=REQUEST.headers, body=BODY, method=answer.method)


SILENT_IN_AIOHTTP = {"bad_chunk_size", "chunk_too_long"}
"""aiohttp (3.14) does not tell a reader that waits when a later segment breaks the framing: only the idle limit ends it."""


def agrees(seen, answer, transport) -> bool:
    """An error may come with or without the head, which depends on how the bytes were cut."""
    expected = answer.expected
    if isinstance(transport, AiohttpTransport) and seen.error == "UpstreamTimeout:idle":
        return answer in [BAD[name] for name in SILENT_IN_AIOHTTP]
    return seen.error == expected.error if expected.error else seen == expected


each_way = pytest.mark.parametrize("way", WAYS.values(), ids=WAYS.keys())


@each_way
@pytest.mark.parametrize("name", sorted(ALL))
async def test_means_the_same_to_both_clients(name, way, transport, server, endpoint):
    answer = ALL[name]
    server.script = Cut(answer)
    seen = await outcome(transport, endpoint, asked(answer), idle_s=0.1 if name in SILENT_IN_AIOHTTP else 2, way=way)
    assert agrees(seen, answer, transport), seen


@pytest.mark.parametrize("name", sorted(SMALL))
async def test_means_the_same_however_it_is_cut_in_two(name, transport, server, endpoint):
    answer = ALL[name]
    server.script = script = Cut(answer)
    for cut in range(1, len(answer.wire)):
        script.at(cut)
        seen = await outcome(transport, endpoint, asked(answer), idle_s=0.1 if name in SILENT_IN_AIOHTTP else 2)
        assert agrees(seen, answer, transport), (cut, seen)


@each_way
@pytest.mark.parametrize("name", sorted(SMALL))
async def test_means_the_same_byte_by_byte(name, way, transport, server, endpoint):
    answer = ALL[name]
    server.script = Cut(answer, *range(1, len(answer.wire)))
    seen = await outcome(transport, endpoint, asked(answer), idle_s=0.1 if name in SILENT_IN_AIOHTTP else 2, way=way)
    assert agrees(seen, answer, transport), seen


@each_way
@pytest.mark.parametrize("name", sorted(name for name, answer in GOOD.items() if answer.reusable and not answer.closes))
async def test_a_second_call_finds_nothing_of_the_first(name, way, transport, server, endpoint):
    answer = GOOD[name]

    async def script(wire: Wire) -> None:
        while True:
            head = await wire.request()
            await wire.send(answer.wire if b" /v1/chat " in head else b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok")

    server.script = script
    assert await outcome(transport, endpoint, asked(answer), way=way) == answer.expected
    second = await outcome(transport, endpoint, UpstreamRequest(path="/second", body=BODY))
    assert (second.status, second.headers, second.body) == (200, {"content-length": "2"}, b"ok")
    if answer.method != "HEAD":
        assert len(server.wires) == 1
