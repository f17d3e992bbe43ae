"""The fault upstream does what its script says; every routing test leans on that."""

import asyncio
import socket
import time

import aiohttp
import pytest
import uvloop

from tests.upstreams import behaviours
from tests.upstreams.behaviours import Behaviour, Fault, failing
from tests.upstreams.faults import FaultUpstream, Script, fault_upstream_in_thread

CHAT = {"model": "m", "messages": [{"role": "user", "content": "hi"}]}


@pytest.fixture
async def upstream():
    async with FaultUpstream() as running:
        yield running


@pytest.fixture
async def session():
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5, sock_read=0.3)) as opened:
        yield opened


async def ask(session, upstream, model="m", *, stream=True):
    """Status, headers and body; the body is what arrived before `error`, the exception that ended it."""
    body, error = bytearray(), None
    request = {**CHAT, "model": model, "stream": stream}
    async with session.post(f"{upstream.url}/v1/chat/completions", json=request) as response:
        try:
            async for chunk in response.content.iter_any():
                body += chunk
        except (aiohttp.ClientError, TimeoutError) as caught:
            error = caught
        return response.status, response.headers, bytes(body), error


async def test_answers_whole_streams_with_numbered_tokens(session, upstream):
    status, _, body, error = await ask(session, upstream)
    assert (status, error) == (200, None)
    assert b"".join(behaviours.stream_events(Behaviour(), "m", include_usage=False)) == body
    assert upstream.hits[0].tokens_sent == 8
    assert upstream.hits[0].completed_at is not None
    assert not upstream.hits[0].aborted


@pytest.mark.parametrize("fault", ["rst_before_headers", "eof_before_headers", "not_http", "gigantic_header"])
async def test_gives_no_usable_headers(session, upstream, fault):
    with pytest.raises(aiohttp.ClientError):
        await ask(session, upstream, f"fault:{fault}")


@pytest.mark.parametrize("fault", ["hang_before_headers", "trickle_headers?interval_s=0.5"])
async def test_keeps_the_client_waiting_for_headers(session, upstream, fault):
    with pytest.raises(TimeoutError):
        await ask(session, upstream, f"fault:{fault}")
    await upstream.until(lambda seen: seen.hits[0].client_closed_at is not None)
    assert upstream.hits[0].aborted


@pytest.mark.parametrize("fault", ["rst_after_headers", "eof_after_headers", "hang_after_headers"])
async def test_breaks_after_the_headers(session, upstream, fault):
    status, _, body, error = await ask(session, upstream, f"fault:{fault}")
    assert (status, body) == (200, b"")
    assert error is not None


@pytest.mark.parametrize("fault", ["hang_mid_stream", "half_close"])
async def test_breaks_after_some_tokens(session, upstream, fault):
    _, _, body, error = await ask(session, upstream, f"fault:{fault}?after_tokens=2")
    assert body.count(b'"content":"t') == 2
    assert error is not None


@pytest.mark.parametrize(
    ("fault", "sign"), [("error_event", b'"error"'), ("no_finish", b"t2 "), ("broken_event", b"ind")]
)
async def test_ends_in_order_but_incomplete(session, upstream, fault, sign):
    _, _, body, error = await ask(session, upstream, f"fault:{fault}")
    assert error is None
    assert sign in body
    assert b"[DONE]" not in body


@pytest.mark.parametrize("cut_with", ["rst", "eof", "clean"])
async def test_cuts_at_exactly_the_byte_asked_for(session, upstream, cut_with):
    whole = b"".join(behaviours.stream_events(Behaviour(), "m", include_usage=False))
    assert len(whole) == behaviours.stream_size(Behaviour(), "m")
    for offset in (0, 1, 150, 151, len(whole) - 1):
        upstream.script = Script(Behaviour(fault=Fault.CUT, cut_at=offset, cut_with=cut_with))
        _, _, body, error = await ask(session, upstream)
        assert body == whole[:offset]
        assert (error is None) == (cut_with == "clean")


async def test_trickles_the_whole_answer(session, upstream):
    _, _, body, error = await ask(session, upstream, "fault:trickle?tokens=1&interval_s=0.0001")
    assert error is None
    assert body.endswith(b"[DONE]\n\n")


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        ("seconds", "retry-after", "2"),
        ("float", "retry-after", "2.000"),
        ("ms", "retry-after-ms", "2000"),
        ("negative", "retry-after", "-2"),
        ("garbage", "retry-after", "soon"),
        ("reset_header", "x-ratelimit-reset-requests", "2s"),
    ],
)
async def test_names_the_wait_in_every_form(session, upstream, form, name, value):
    upstream.script = Script(failing(429, retry_after=2, form=form))
    status, headers, _, _ = await ask(session, upstream)
    assert (status, headers[name]) == (429, value)


async def test_names_the_wait_as_a_date(session, upstream):
    upstream.script = Script(failing(503, retry_after=60, form="date"))
    _, headers, _, _ = await ask(session, upstream)
    assert headers["retry-after"].endswith("GMT")


@pytest.mark.parametrize("fault", ["html_200", "not_json_200", "empty_200", "error_body_200", "gigantic_body"])
async def test_sends_200_with_something_else(session, upstream, fault):
    status, _, body, error = await ask(session, upstream, f"fault:{fault}", stream=False)
    assert (status, error) == (200, None)
    assert b"choices" not in body or fault == "not_json_200"


async def test_sends_fewer_bytes_than_it_said(session, upstream):
    _, _, _, error = await ask(session, upstream, "fault:short_body", stream=False)
    assert isinstance(error, aiohttp.ClientPayloadError)


async def test_resets_a_kept_alive_connection_only_when_it_is_used_again(session, upstream):
    upstream.script = Script(default=Behaviour(fault=Fault.STALE))
    assert (await ask(session, upstream))[0] == 200
    with pytest.raises(aiohttp.ClientError):
        await ask(session, upstream)
    assert [hit.connection for hit in upstream.hits][:2] == [1, 1]


async def test_follows_its_script_in_order(session, upstream):
    upstream.script = Script(failing(500), failing(503), by_model={"other": failing(418)})
    assert [(await ask(session, upstream, model))[0] for model in ("m", "other", "m", "m")] == [500, 418, 503, 200]


async def test_sees_when_the_client_leaves(upstream):
    upstream.script = Script(default=Behaviour(tokens=1000, interval_s=0.02))
    reader, writer = await asyncio.open_connection("127.0.0.1", upstream.port)
    body = b'{"model":"m","stream":true}'
    writer.write(b"POST /v1/chat/completions HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
    await reader.readuntil(b"t1 ")
    assert upstream.in_flight == 1
    left_at = time.monotonic()
    writer.close()
    await upstream.until(lambda seen: seen.hits[0].aborted)
    assert 0 <= upstream.hits[0].client_closed_at - left_at < 0.1
    await upstream.until(lambda seen: seen.open_connections == 0)
    assert upstream.in_flight == 0


async def test_refuses_connections_until_it_listens_again(session, upstream):
    await upstream.refuse()
    with pytest.raises(aiohttp.ClientConnectorError):
        await ask(session, upstream)
    await upstream.listen()
    assert (await ask(session, upstream))[0] == 200


async def test_obeys_the_control_endpoint(session, upstream):
    order = {"default": {"fault": "status", "status": 502}, "queue": [{"tokens": 1}], "by_model": {"x": {"delay_s": 0}}}
    async with session.post(f"{upstream.url}/_control", json=order) as response:
        assert response.status == 200
    assert [(await ask(session, upstream))[0] for _ in range(2)] == [200, 502]
    async with session.get(f"{upstream.url}/_stats") as response:
        stats = await response.json()
    assert (stats["hits"], stats["completed"], stats["requests"][1]["fault"]) == (2, 2, "status")
    async with session.post(f"{upstream.url}/_control", json={"default": {"nonsense": 1}}) as response:
        assert response.status == 400


def test_runs_in_a_thread_for_synchronous_clients():
    import httpx

    with fault_upstream_in_thread(Script(default=failing(503))) as upstream:
        assert httpx.post(f"{upstream.url}/v1/chat/completions", json=CHAT).status_code == 503
        assert upstream.hits[0].model == "m"


@pytest.mark.parametrize("loop_factory", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_resets_connections_on_either_event_loop(loop_factory):
    async def outcomes():
        async with FaultUpstream() as upstream, aiohttp.ClientSession() as session:
            healthy = await ask(session, upstream)
            with pytest.raises(ConnectionResetError):
                await _raw_read(upstream, "fault:rst_before_headers")
            with pytest.raises(ConnectionResetError):
                await _raw_read(upstream, "fault:cut?cut_at=100&cut_with=rst")
            ended = await _raw_read(upstream, "fault:cut?cut_at=100&cut_with=eof")
            return healthy[0], healthy[3], len(upstream.hits), ended[:15]

    with asyncio.Runner(loop_factory=loop_factory) as runner:
        assert runner.run(outcomes()) == (200, None, 4, b"HTTP/1.1 200 OK")


async def _raw_read(upstream, model):
    """Everything up to the end of the connection; `ConnectionResetError` when that was RST and not FIN."""
    loop = asyncio.get_running_loop()
    with socket.socket() as connected:
        connected.setblocking(False)
        await loop.sock_connect(connected, ("127.0.0.1", upstream.port))
        body = b'{"model":"%b","stream":true}' % model.encode()
        await loop.sock_sendall(connected, b"POST / HTTP/1.1\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body))
        read = bytearray()
        while chunk := await loop.sock_recv(connected, 65536):
            read += chunk
        return bytes(read)
