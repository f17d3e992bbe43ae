"""Faults, limits of time, and what becomes of the connection after each."""

import asyncio
import gzip
import socket
import time

import pytest

from providers.aiohttp_transport import AiohttpTransport
from providers.errors import BadAnswer, ConnectFailed, StreamTruncated, UpstreamTimeout
from providers.transport import Endpoint, UpstreamRequest
from tests.transport.outcomes import BODY, REQUEST, outcome
from tests.transport.wire import Wire, answer_each, answer_then_close, eventually

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
STREAM = b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n"


def endpoint_with(server, **changes):
    return Endpoint(scheme="http", host="127.0.0.1", port=server.port, **changes)


async def test_a_refused_connection_is_said_to_be_one(transport, server):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    with pytest.raises(ConnectFailed) as caught:
        await transport.send(Endpoint(scheme="http", host="127.0.0.1", port=port), REQUEST, timeout_s=2)
    assert not caught.value.stale


async def test_a_reset_before_the_answer_is_a_failed_connection(transport, server, endpoint):
    server.script = answer_then_close(b"", reset=True)
    assert (await outcome(transport, endpoint)).error == "ConnectFailed"


async def test_a_reset_inside_the_body_is_a_truncation(transport, server, endpoint):
    server.script = answer_then_close(STREAM + b"5\r\nhello\r\n", reset=True)
    assert (await outcome(transport, endpoint)).error == "StreamTruncated"


async def test_a_kept_connection_that_died_is_called_stale(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK)
        await wire.request()

    server.script = script
    assert (await outcome(transport, endpoint)).body == b"ok"
    assert (await outcome(transport, endpoint)).error == "ConnectFailed:stale"
    assert (await outcome(transport, endpoint)).body == b"ok"
    assert len(server.wires) == 2


async def test_a_connection_closed_while_idle_is_not_used_again(transport, server, endpoint):
    server.script = answer_then_close(OK)
    for _ in range(3):
        assert (await outcome(transport, endpoint)).body == b"ok"
        assert await server.all_ended()
        await asyncio.sleep(0.01)


async def test_calls_in_turn_share_one_connection(transport, server, endpoint):
    for _ in range(10):
        assert (await outcome(transport, endpoint)).body == b"ok"
    assert len(server.wires) == 1


async def test_an_idle_connection_expires(transport, server):
    endpoint = endpoint_with(server, keepalive_s=0.05)
    assert (await outcome(transport, endpoint)).body == b"ok"
    await asyncio.sleep(0.12)
    assert (await outcome(transport, endpoint)).body == b"ok"
    assert len(server.wires) == 2


async def test_half_a_status_line_after_the_end_never_reaches_the_next_call(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + b"HTTP/1.1 20")
        await wire.hang()

    server.script = script
    assert (await outcome(transport, endpoint)).body == b"ok"
    second = await outcome(transport, endpoint, timeout_s=0.1)
    if isinstance(transport, AiohttpTransport):
        # aiohttp (3.14) keeps it in its parser and uses the connection again: the call is lost, though not answered wrongly.
        assert second.error == "UpstreamTimeout:first_token"
    else:
        assert second.body == b"ok"


@pytest.mark.parametrize("surplus", [b"HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\npoison", b"garbage"])
async def test_bytes_after_the_end_never_reach_the_next_call(transport, server, endpoint, surplus):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK + surplus)
        await wire.hang()

    server.script = script
    for _ in range(3):
        seen = await outcome(transport, endpoint)
        # aiohttp refuses the whole answer when what follows it in one segment is not HTTP.
        assert seen.body == b"ok" or (isinstance(transport, AiohttpTransport) and seen.error == "BadAnswer")
    assert len(server.wires) == 3


async def test_bytes_on_an_idle_connection_never_reach_the_next_call(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(OK)
        await asyncio.sleep(0.01)
        await wire.send(b"HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n")
        await wire.hang()

    server.script = script
    assert (await outcome(transport, endpoint)).body == b"ok"
    await asyncio.sleep(0.05)
    assert (await outcome(transport, endpoint)).body == b"ok"
    assert len(server.wires) == 2


async def test_silence_before_the_head_ends_at_the_limit(transport, server, endpoint):
    server.script = Wire.hang
    started = time.monotonic()
    assert (await outcome(transport, endpoint, timeout_s=0.1)).error == "UpstreamTimeout:first_token"
    assert 0.09 < time.monotonic() - started < 0.35
    assert await server.all_ended(0.2)


async def test_a_trickling_head_does_not_push_the_limit(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        for byte in b"HTTP/1.1 200 OK\r\nx-a: " + b"a" * 200:
            await wire.pieces(bytes([byte]))
            await asyncio.sleep(0.01)

    server.script = script
    started = time.monotonic()
    assert (await outcome(transport, endpoint, timeout_s=0.15)).error == "UpstreamTimeout:first_token"
    assert time.monotonic() - started < 0.4


async def test_silence_inside_the_body_ends_at_the_limit(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM + b"5\r\nhello\r\n")
        await wire.hang()

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    assert await response.chunk(2) == b"hello"
    with pytest.raises(UpstreamTimeout) as caught:
        await response.chunk(0.1)
    assert caught.value.phase == "idle"
    response.close()
    assert await server.all_ended(0.2)


async def test_each_piece_has_its_own_idle_limit(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM)
        for _ in range(8):
            await asyncio.sleep(0.04)
            await wire.send(b"1\r\nx\r\n")
        await wire.send(b"0\r\n\r\n")
        await wire.hang()

    server.script = script
    assert (await outcome(transport, endpoint, idle_s=0.15)).body == b"x" * 8


async def test_a_caller_that_takes_its_time_is_not_the_upstreams_silence(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM + b"1\r\na\r\n")
        await asyncio.sleep(0.15)
        await wire.send(b"1\r\nb\r\n0\r\n\r\n")
        await wire.hang()

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=0.1)
    assert await response.chunk(0.1) == b"a"
    await asyncio.sleep(0.2)
    assert await response.chunk(0.1) == b"b"
    assert await response.chunk(0.1) == b""
    response.close()


async def test_reading_all_has_one_limit_for_all(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM)
        for _ in range(100):
            await wire.send(b"1\r\nx\r\n")
            await asyncio.sleep(0.02)

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    started = time.monotonic()
    with pytest.raises(UpstreamTimeout):
        await response.read(limit=1000, timeout_s=0.15)
    assert time.monotonic() - started < 0.4
    response.close()


async def test_an_answer_longer_than_the_limit_is_refused(transport, server, endpoint):
    server.script = answer_each(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n" + b"x" * 1000)
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    with pytest.raises(BadAnswer):
        await response.read(limit=999, timeout_s=2)
    response.close()
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    assert len(await response.read(limit=1000, timeout_s=2)) == 1000
    response.close()


async def test_a_decompression_bomb_is_inflated_in_bounded_steps(transport, server, endpoint):
    packed = gzip.compress(b"\0" * 20_000_000)
    server.script = answer_each(
        b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: %d\r\n\r\n" % len(packed) + packed
    )
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    assert 0 < len(await response.chunk(2)) <= 256 * 1024
    with pytest.raises(BadAnswer):
        await response.read(limit=1_000_000, timeout_s=2)
    response.close()


async def test_an_answer_that_comes_before_the_body_is_written_is_read(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await wire.send(b"HTTP/1.1 413 Too Large\r\ncontent-length: 3\r\n\r\nbig")
        await asyncio.sleep(0.05)

    server.script = script
    seen = await outcome(transport, endpoint, UpstreamRequest(path="/", body=b"x" * 30_000_000))
    assert (seen.status, seen.body) == (413, b"big")
    server.script = answer_each(OK)
    assert (await outcome(transport, endpoint)).body == b"ok"


async def test_a_large_body_is_written_whole_to_a_slow_reader(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        while True:
            request = await wire.request()
            body = request.partition(b"\r\n\r\n")[2]
            await asyncio.sleep(0.02)
            await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\n%08d" % (len(body) * (body == sent)))

    sent = bytes(range(256)) * 32_000
    server.script = script
    for _ in range(2):
        assert (await outcome(transport, endpoint, UpstreamRequest(path="/", body=sent))).body == b"%08d" % len(sent)
    assert len(server.wires) == 1


async def test_a_server_that_never_reads_a_large_body_meets_the_limit(transport, server, endpoint):
    over = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.reader.readuntil(b"\r\n\r\n")
        await over.wait()

    server.script = script
    seen = await outcome(transport, endpoint, UpstreamRequest(path="/", body=b"x" * 30_000_000), timeout_s=0.5)
    over.set()
    assert seen.error == "UpstreamTimeout:first_token", seen


async def test_a_server_that_closes_its_half_first_is_read_to_the_end(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\n\r\nto the end")
        wire.half_close()
        await wire.hang()

    server.script = script
    assert (await outcome(transport, endpoint)).body == b"to the end"
    assert await server.all_ended(0.5)


async def test_closing_an_answer_early_closes_the_socket_at_once(transport, server, endpoint):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM + b"5\r\nhello\r\n")
        await wire.hang()

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    assert await response.chunk(2) == b"hello"
    closed_at = time.monotonic()
    response.close()
    response.close()
    assert await server.all_ended()
    assert server.wires[0].ended_at - closed_at < 0.1
    with pytest.raises(StreamTruncated):
        await response.chunk(1)


async def test_a_cancelled_chunk_loses_nothing(transport, server, endpoint):
    go_on = asyncio.Event()

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(STREAM)
        await go_on.wait()
        await wire.send(b"5\r\nhello\r\n0\r\n\r\n")
        await wire.hang()

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    waiting = asyncio.ensure_future(response.chunk(5))
    await asyncio.sleep(0.02)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    go_on.set()
    assert await response.read(limit=100, timeout_s=2) == b"hello"
    response.close()


async def test_a_slow_caller_slows_the_upstream_down(transport, server, endpoint):
    written = 0

    async def script(wire: Wire) -> None:
        nonlocal written
        await wire.request()
        wire.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: 100000000\r\n\r\n")
        for _ in range(1000):
            await wire.send(b"x" * 100_000)
            written += 100_000

    server.script = script
    response = await transport.send(endpoint, REQUEST, timeout_s=2)
    before = -1
    async with asyncio.timeout(10):
        while written != before:
            before = written
            await asyncio.sleep(0.15)
    assert written < 20_000_000
    first = await response.chunk(2)
    assert 0 < len(first) <= 1024 * 1024
    async with asyncio.timeout(10):
        while written == before:  # the kernels' own buffers are emptied first
            await response.chunk(2)
    response.close()


@pytest.mark.parametrize(
    "request_",
    [
        UpstreamRequest(path="/", headers=(("x-a", "1\r\nx-evil: 1"),), body=BODY),
        UpstreamRequest(path="/", headers=(("x-a\r\nx-evil", "1"),), body=BODY),
        UpstreamRequest(path="/", headers=(("x-a", "1\x00"),), body=BODY),
    ],
)
async def test_a_header_that_would_split_the_request_is_never_sent(transport, server, endpoint, request_):
    assert (await outcome(transport, endpoint, request_)).error == "ConnectFailed"
    assert (await outcome(transport, endpoint)).body == b"ok"


async def test_the_request_is_what_was_asked_for_and_nothing_more(transport, server, endpoint):
    seen = []

    async def script(wire: Wire) -> None:
        while True:
            seen.append(await wire.request())
            await wire.send(OK)

    server.script = script
    headers = (("authorization", "Bearer s"), ("x-b", "ü"))
    await outcome(transport, endpoint, UpstreamRequest(path="/v1/x?y=%20", headers=headers, body=b"{}"))
    await outcome(transport, endpoint, UpstreamRequest(path="/v1/models", method="GET"))
    lines = [sorted(request.lower().split(b"\r\n")) for request in seen]
    host = b"host: 127.0.0.1:%d" % server.port
    assert lines[0] == sorted(
        [
            b"post /v1/x?y=%20 http/1.1",
            host,
            b"authorization: bearer s",
            "x-b: ü".encode(),
            b"accept-encoding: identity",
            b"content-length: 2",
            b"",
            b"{}",
        ]
    )
    assert lines[1] == sorted([b"get /v1/models http/1.1", host, b"accept-encoding: identity", b"", b""])


async def test_closing_the_transport_fails_what_is_running(transport, server, endpoint):
    server.script = Wire.hang
    running = asyncio.ensure_future(outcome(transport, endpoint))
    assert await eventually(lambda: server.open == 1)
    await transport.aclose()
    assert (await running).error == "ConnectFailed"
    assert (await outcome(transport, endpoint)).error == "ConnectFailed"
