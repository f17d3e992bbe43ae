"""Where a connection goes: names, checked addresses, TLS with a real authority, proxies."""

import asyncio
import socket
import ssl
from dataclasses import replace

import pytest

from providers.errors import ConnectFailed
from providers.http1 import Http1Transport
from providers.transport import Endpoint
from tests.transport.authority import Authority
from tests.transport.outcomes import REQUEST, outcome
from tests.transport.wire import Wire, WireServer, answer_each, eventually

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"
NAME = "provider.test"


class Names:
    """A resolver that answers from a list, the last answer again and again."""

    def __init__(self, *answers: list[str]) -> None:
        self.answers = list(answers)
        self.asked = 0

    async def __call__(self, host: str, port: int) -> list[str]:
        self.asked += 1
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@pytest.fixture
def secure(authority):
    """A TLS server for NAME that notes which names clients asked for."""
    context = authority.server_context(NAME)
    context.asked_for = []
    context.sni_callback = lambda connection, name, _: context.asked_for.append(name)
    return context


@pytest.fixture
async def using(transport_class):
    """Makes a transport with a resolver of its own."""
    opened = []

    def make(*answers: list[str]):
        opened.append(transport_class(resolve=Names(*answers) if answers else Names(["127.0.0.1"])))
        return opened[-1]

    yield make
    for transport in opened:
        await transport.aclose()
    await asyncio.sleep(0.01)


def https(server, authority, **changes):
    return Endpoint(scheme="https", host=NAME, port=server.port, ca_file=authority.ca_file, **changes)


async def test_verifies_the_name_and_asks_for_it(using, secure, authority):
    async with WireServer(tls=secure) as server:
        transport = using()
        for _ in range(3):
            assert (await outcome(transport, https(server, authority))).body == b"ok"
        assert secure.asked_for == [NAME]
        assert len(server.wires) == 1


@pytest.mark.parametrize("kind", ["other name", "unknown authority", "expired", "not TLS"])
async def test_refuses_a_server_that_cannot_prove_its_name(using, authority, tmp_path, kind):
    contexts = {
        "other name": lambda: authority.server_context("other.test"),
        "unknown authority": lambda: Authority(tmp_path).server_context(NAME),
        "expired": lambda: authority.server_context(NAME, expired=True),
        "not TLS": lambda: None,
    }

    async def plain(wire: Wire) -> None:
        await wire.send(b"HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n")
        await wire.hang()

    async with WireServer(tls=contexts[kind]()) as server:
        if kind == "not TLS":
            server.script = plain
        assert (await outcome(using(), https(server, authority))).error == "ConnectFailed"


async def test_verifies_an_address_as_an_address(using, authority):
    async with WireServer(tls=authority.server_context("127.0.0.1")) as server:
        endpoint = Endpoint(scheme="https", host="127.0.0.1", port=server.port, ca_file=authority.ca_file)
        assert (await outcome(using(), endpoint)).body == b"ok"


async def test_streams_and_stops_over_tls(using, secure, authority):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n")
        for number in range(1000):
            await wire.send(b"4\r\n%04d\r\n" % number)
            await asyncio.sleep(0.002)

    async with WireServer(tls=secure) as server:
        server.script = script
        response = await using().send(https(server, authority), REQUEST, timeout_s=2)
        seen = b""
        while len(seen) < 20:
            seen += await response.chunk(1)
        assert seen.startswith(b"0000000100020003")
        response.close()
        assert await server.all_ended(0.5)


async def test_a_large_body_goes_over_tls(using, secure, authority):
    sent = bytes(range(256)) * 16_000

    async def script(wire: Wire) -> None:
        request = await wire.request()
        body = request.partition(b"\r\n\r\n")[2]
        await wire.send(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body) + body)
        await wire.hang()

    async with WireServer(tls=secure) as server:
        server.script = script
        seen = await outcome(using(), https(server, authority), type(REQUEST)(path="/", body=sent))
        assert seen.body == sent


async def test_callers_that_leave_while_connecting_leak_nothing(using, secure, authority):
    async with WireServer(tls=secure) as server:
        endpoint = https(server, authority, max_connections=3)
        transport = using()
        for number in range(30):
            call = asyncio.ensure_future(outcome(transport, endpoint))
            await asyncio.sleep(0.0003 * number)
            call.cancel()
            await asyncio.gather(call, return_exceptions=True)
        seen = await asyncio.gather(*[outcome(transport, endpoint) for _ in range(6)])
        assert {found.body for found in seen} == {b"ok"}
        await transport.aclose()
        assert await server.all_ended()


async def test_a_server_that_never_finishes_the_handshake_meets_the_limit(using, authority, server):
    server.script = Wire.hang
    seen = await outcome(using(), https(server, authority, connect_timeout_s=0.1))
    assert seen.error == "UpstreamTimeout:connect"
    assert await server.all_ended(0.5)


async def test_a_name_that_is_not_resolved_in_time_meets_the_limit(transport_class, server):
    async def never(host: str, port: int) -> list[str]:
        await asyncio.sleep(30)
        return []

    transport = transport_class(resolve=never)
    endpoint = Endpoint(scheme="http", host=NAME, port=server.port, connect_timeout_s=0.1)
    assert (await outcome(transport, endpoint)).error == "UpstreamTimeout:connect"
    await transport.aclose()


@pytest.mark.parametrize(
    "answer", [["169.254.169.254"], ["::ffff:169.254.169.254"], ["0.0.0.0"], ["::"], ["fe80::1%lo"], []]
)
async def test_a_name_with_a_forbidden_address_is_not_connected_to(using, server, answer):
    endpoint = Endpoint(scheme="http", host=NAME, port=server.port)
    transport = using(answer)
    with pytest.raises(ConnectFailed):
        await transport.send(endpoint, REQUEST, timeout_s=2)
    assert server.wires == []


async def test_private_addresses_need_permission(using, server):
    endpoint = Endpoint(scheme="http", host=NAME, port=server.port, allow_private=False)
    assert (await outcome(using(["127.0.0.1"]), endpoint)).error == "ConnectFailed"
    literal = Endpoint(scheme="http", host="127.0.0.1", port=server.port, allow_private=False)
    assert (await outcome(using(), literal)).error == "ConnectFailed"
    assert server.wires == []


async def test_an_address_where_nobody_listens_is_said_in_words(using, server):
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        endpoint = Endpoint(scheme="http", host="127.0.0.1", port=port, allow_private=True)
        with pytest.raises(ConnectFailed) as failed:
            await using().send(endpoint, REQUEST, timeout_s=2.0)
    assert failed.value.message == f"127.0.0.1:{port} cannot be reached: Connection refused."


async def test_a_name_that_changes_its_answer_is_judged_at_every_connection(using, server):
    """DNS rebinding: first a harmless address, then one inside."""
    endpoint = Endpoint(scheme="http", host=NAME, port=server.port, keepalive_s=0.01)
    transport = using(["127.0.0.1"], ["169.254.169.254"])
    assert (await outcome(transport, endpoint)).body == b"ok"
    server.script = answer_each(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nbad")
    # Whether the first answer is remembered or the name is asked again, only the checked address is ever used.
    seen = await outcome(transport, endpoint)
    assert seen.error == "ConnectFailed" or seen.body in (b"ok", b"bad")
    assert {wire.writer.get_extra_info("sockname")[0] for wire in server.wires} == {"127.0.0.1"}


async def test_connects_to_an_admitted_address_when_others_are_refused_or_dead(using, server):
    endpoint = Endpoint(scheme="http", host=NAME, port=server.port)
    assert (await outcome(using(["169.254.169.254", "::1", "127.0.0.1"]), endpoint)).body == b"ok"


# ------------------------------------------------------------------------------------------------------------ proxies


def tunnel_to(port: int, answer: bytes = b"HTTP/1.1 200 Connection established\r\n\r\n"):
    seen = []

    async def script(wire: Wire) -> None:
        seen.append(await wire.request())
        await wire.send(answer)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            await asyncio.gather(pipe(wire.reader, writer), pipe(reader, wire.writer))
        finally:
            writer.close()

    return script, seen


async def pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65536):
            if writer.is_closing():
                return
            writer.write(data)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def test_tunnels_through_a_proxy_and_verifies_the_name_behind_it(using, secure, authority, server):
    async with WireServer(tls=secure) as target:
        server.script, seen = tunnel_to(target.port)
        endpoint = https(target, authority, proxy=f"http://user:pa%20ss@127.0.0.1:{server.port}")
        transport = using()
        for _ in range(2):
            assert (await outcome(transport, endpoint)).body == b"ok"
        assert len(seen) == 1
        lines = seen[0].lower().split(b"\r\n")
        assert lines[0] == b"connect provider.test:%d http/1.1" % target.port
        assert b"proxy-authorization: basic dxnlcjpwysbzcw==" in lines
        assert secure.asked_for == [NAME]
        await transport.aclose()
        assert await target.all_ended()
        assert await server.all_ended()


@pytest.mark.parametrize(
    "answer", [b"HTTP/1.1 407 Authenticate\r\n\r\n", b"HTTP/1.1 503 No\r\n\r\n", b"junk\r\n\r\n", b""]
)
async def test_a_proxy_that_refuses_is_a_failed_connection(using, authority, server, answer):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(answer)

    server.script = script
    endpoint = Endpoint(scheme="https", host=NAME, port=443, proxy=f"http://127.0.0.1:{server.port}")
    assert (await outcome(using(), endpoint)).error == "ConnectFailed"
    assert await server.all_ended(0.5)


async def test_a_proxy_cannot_stand_in_for_the_server_behind_it(using, authority, server):
    async with WireServer(tls=authority.server_context("other.test")) as target:
        server.script, _ = tunnel_to(target.port)
        endpoint = https(target, authority, proxy=f"http://127.0.0.1:{server.port}")
        assert (await outcome(using(), endpoint)).error == "ConnectFailed"


async def test_plain_requests_name_the_whole_address_to_a_proxy(using, server):
    seen = []

    async def script(wire: Wire) -> None:
        while True:
            seen.append(await wire.request())
            await wire.send(OK)

    server.script = script
    endpoint = Endpoint(scheme="http", host=NAME, port=8080, proxy=f"http://user:pa%20ss@127.0.0.1:{server.port}")
    transport = using()
    for _ in range(2):
        assert (await outcome(transport, endpoint)).body == b"ok"
    assert len(server.wires) == 1
    assert seen[0].startswith(b"POST http://provider.test:8080/v1/chat HTTP/1.1\r\n")
    assert b"host: provider.test:8080\r\n" in seen[0].lower()
    assert b"proxy-authorization: basic dxnlcjpwysbzcw==\r\n" in seen[0].lower()


@pytest.mark.parametrize("scheme", ["http", "https"])
async def test_a_failure_of_the_proxy_is_told_as_one_and_without_its_password(using, server, scheme):
    async def refuse(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 407 Authenticate\r\nproxy-authenticate: Basic\r\ncontent-length: 0\r\n\r\n")

    server.script = refuse
    down = socket.create_server(("127.0.0.1", 0))
    port = down.getsockname()[1]
    down.close()
    endpoint = Endpoint(scheme=scheme, host=NAME, port=8080, proxy=f"http://robot:hunter2@127.0.0.1:{port}")
    transport = using()
    with pytest.raises(ConnectFailed) as failed:
        await transport.send(endpoint, REQUEST, timeout_s=2)
    assert failed.value.message == "The proxy cannot be reached: Connection refused."
    endpoint = replace(endpoint, proxy=f"http://robot:hunter2@127.0.0.1:{server.port}")
    if scheme == "https":
        with pytest.raises(ConnectFailed) as failed:
            await transport.send(endpoint, REQUEST, timeout_s=2)
        assert failed.value.message.startswith("The proxy refused the tunnel with status 407: it wants a user")
    else:
        # An answer like any other, which the adapters read.
        response = await transport.send(endpoint, REQUEST, timeout_s=2)
        assert response.status == 407
        response.close()
    assert "hunter2" not in repr(endpoint)


async def test_a_tunnel_that_breaks_off_is_not_taken_for_a_proxy_that_is_away(server, authority):
    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await wire.reader.read(1)
        wire.reset()

    server.script = script
    transport = Http1Transport(resolve=Names(["127.0.0.1"]))
    with pytest.raises(ConnectFailed, match="The tunnel through the proxy broke off: Connection reset by peer"):
        await transport.send(https(server, authority, proxy=f"http://127.0.0.1:{server.port}"), REQUEST, timeout_s=2)
    await transport.aclose()


async def test_a_proxy_without_an_address_is_told_as_one():
    transport = Http1Transport(resolve=Names(["169.254.169.254"]))
    endpoint = Endpoint(scheme="https", host=NAME, port=443, proxy="http://proxy.test:3128")
    with pytest.raises(ConnectFailed, match=r"The proxy's name has no address that can be connected to"):
        await transport.send(endpoint, REQUEST, timeout_s=2)
    await transport.aclose()


async def test_a_forbidden_address_is_not_asked_of_a_proxy(using, server):
    endpoint = Endpoint(scheme="http", host="169.254.169.254", port=80, proxy=f"http://127.0.0.1:{server.port}")
    assert (await outcome(using(), endpoint)).error == "ConnectFailed"
    assert server.wires == []


async def test_leaving_while_a_tunnel_is_built_closes_it(using, authority, server):
    server.script = Wire.hang
    endpoint = Endpoint(scheme="https", host=NAME, port=443, proxy=f"http://127.0.0.1:{server.port}")
    call = asyncio.ensure_future(outcome(using(), endpoint))
    assert await eventually(lambda: server.open == 1)
    await asyncio.sleep(0.01)
    call.cancel()
    await asyncio.gather(call, return_exceptions=True)
    assert await server.all_ended(0.3)


@pytest.mark.parametrize(
    "changes", [{"ca_file": "/nonexistent/ca.pem"}, {"proxy": "socks5://h:1"}, {"proxy": "nonsense"}]
)
async def test_a_setting_that_cannot_work_is_a_failed_connection(using, server, changes):
    endpoint = Endpoint(scheme="https", host=NAME, port=server.port, **changes)
    for _ in range(2):
        assert (await outcome(using(), endpoint)).error == "ConnectFailed"
    assert server.wires == []


def test_verification_cannot_be_turned_off():
    from providers import tls

    context = tls.client_context(None)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname
