"""`/ws/v1/chat/completions` against a real server: who gets in, what is said, and what happens to those who leave."""

import asyncio
import json
import resource
import time
from pathlib import Path

import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from tests.e2e.gateway_process import GatewayProcess
from tests.integration.websocket.conftest import Door, create, ends
from tests.upstreams.behaviours import expected_text
from tests.upstreams.faults import FaultUpstream, Hit

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def until(condition, seconds: float = 5.0) -> None:  # type: ignore[no-untyped-def]
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def hit_of(upstream: FaultUpstream, user: str) -> Hit | None:
    return next((hit for hit in upstream.hits if json.loads(hit.body).get("user") == user), None)


async def test_only_those_with_a_key_or_a_staff_session_of_our_origin_get_in(door: Door) -> None:
    key = door.server.key
    bearer = {"authorization": f"Bearer {key}"}
    own, strange = {"origin": door.server.url}, {"origin": "http://elsewhere.example"}

    assert await door.status() == 401
    assert await door.status(headers={"authorization": "Bearer llmp-0000000000000000-wrong"}) == 401
    assert await door.status(protocols=("llm-proxy", "key.llmp-0000000000000000-wrong")) == 401
    assert await door.status(headers=bearer) == 101
    assert await door.status(headers={"x-api-key": key}) == 101
    assert await door.status(headers={**bearer, **strange}) == 403
    async with door.socket(protocols=("llm-proxy", f"key.{key}"), headers=own) as socket:
        assert socket.protocol == "llm-proxy"

    await door.log_in("trier")
    assert await door.status(headers=own) == 101
    assert await door.status(headers=strange) == 403
    # A wrong key is not saved by a good session.
    assert await door.status(headers={**own, "authorization": "Bearer llmp-0000000000000000-wrong"}) == 401


async def test_an_origin_that_is_none_and_a_path_that_leads_nowhere_are_refused_as_such(door: Door) -> None:
    nonsense = {"authorization": f"Bearer {door.server.key}", "origin": "http://[::1"}
    assert await door.status(headers=nonsense) == 403
    assert await door.status("/ws/dashboard/", headers=nonsense) == 403
    for path in ("/", "/ws/%0A", "/ws/elsewhere"):
        assert await door.status(path) == 404, path


async def test_a_refused_handshake_is_an_error_like_any_other_and_none_in_the_log(door: Door) -> None:
    from_elsewhere = {"x-request-id": "mine-1", "origin": "http://elsewhere.example"}
    for path, headers, status, code in (
        ("/ws/v1/chat/completions", {"x-request-id": "mine-1"}, 401, "invalid_api_key"),
        ("/ws/v1/chat/completions", from_elsewhere, 403, "permission_denied"),
        ("/ws/dashboard/", {"x-request-id": "mine-1"}, 401, "invalid_api_key"),
        ("/ws/dashboard/", from_elsewhere, 403, "permission_denied"),
        ("/ws/elsewhere", {"x-request-id": "mine-1"}, 404, "not_found"),
    ):
        with pytest.raises(InvalidStatus) as refused:
            await connect(f"ws://127.0.0.1:{door.server.port}{path}", additional_headers=headers)
        answer = refused.value.response
        assert (answer.status_code, answer.headers["x-request-id"]) == (status, "mine-1"), path
        assert answer.headers["content-type"] == "application/json"
        assert ("www-authenticate" in answer.headers) == (status == 401)
        assert json.loads(answer.body or b"")["error"]["code"] == code
    assert "without completing handshake" not in door.server.log.read_text()


async def test_staff_who_may_not_see_the_providers_spend_nothing(door: Door) -> None:
    await door.log_in("staff")
    own = {"origin": door.server.url}
    assert await door.status(headers=own) == 403
    assert await door.status("/ws/dashboard/", headers=own) == 101
    # A key is asked for its own scopes, whoever is signed in.
    assert await door.status(headers={**own, "authorization": f"Bearer {door.server.key}"}) == 101


async def test_who_signs_out_or_whose_key_is_revoked_gets_no_more_answers_on_an_open_socket(door: Door) -> None:
    await door.log_in("trier")
    key = json.loads(door.server.manage("create_api_key", "short-lived", "--json"))["key"]
    by_session = door.socket(headers={"origin": door.server.url})
    by_key = door.socket(protocols=("llm-proxy", f"key.{key}"))
    async with by_session as person, by_key as program:
        for socket in (person, program):
            await socket.send_json(create("before", "fine"))
            last, _ = await ends(socket)
            assert last["before"]["type"] == "done"
        await door.log_out()
        door.server.manage("revoke_api_key", "short-lived")
        await asyncio.sleep(1.5)
        for socket in (person, program):
            await socket.send_json(create("after", "fine"))
            last, _ = await ends(socket)
            assert last["after"]["error"]["code"] == "invalid_api_key"


async def test_several_generations_run_at_once_and_say_what_they_cost(door: Door) -> None:
    async with door.with_key() as socket:
        for name in ("a", "b", "c"):
            await socket.send_json(create(name, "fine"))
        await socket.send_json(create("unknown", "no-such-model"))
        last, texts = await ends(socket, of=4)

    assert texts == {name: expected_text(5) for name in ("a", "b", "c")}
    assert last["unknown"]["error"]["code"] == "model_not_found"
    assert last["unknown"]["request_id"].startswith("req_")
    done = last["a"]
    assert (done["type"], done["provider"]) == ("done", "only")
    assert done["usage"]["total_tokens"] == done["usage"]["prompt_tokens"] + done["usage"]["completion_tokens"]
    began_s = (int(done["request_id"].removeprefix("req_"), 16) >> 52 << 20) / 1e9
    assert time.time() - 60 < began_s < time.time(), "ids begin with the time, as those of HTTP do"
    status, _, body = door.server.get(f"/requests/{done['request_id']}")
    assert (status, json.loads(body)["attempts"][0]["outcome"]) == (200, "success")


async def test_what_cannot_be_understood_is_answered_and_the_connection_stays(door: Door) -> None:
    messages = (
        ("not json", "invalid_json"),
        ('{"type":"sing"}', None),
        ('{"type":"create","id":"a"}', None),
        ('{"type":"create","id":"a","request":{"model":"fine"}}', None),
        ('{"type":"create","id":"","request":{}}', None),
    )
    async with door.with_key() as socket:
        for text, code in messages:
            await socket.send_str(text)
            answer = json.loads((await socket.receive(timeout=5)).data)
            assert (answer["type"], answer["error"]["code"]) == ("error", code), text
            if code == "invalid_json":
                assert answer["error"]["message"].startswith("The message is not valid JSON: "), "said once"
        await socket.send_str('{"type":"ping"}')
        assert json.loads((await socket.receive(timeout=5)).data) == {"type": "pong"}
        await socket.send_json(create("slow", "slow"))
        await socket.send_json(create("slow", "slow"))
        while (answer := json.loads((await socket.receive(timeout=5)).data))["type"] == "chunk":
            pass
        assert "still running" in answer["error"]["message"]


async def test_a_cancelled_generation_ends_upstream_and_leaves_the_others_alone(
    door: Door, upstream: FaultUpstream
) -> None:
    async with door.with_key() as socket:
        await socket.send_json(create("leaves", "slow"))
        await socket.send_json(create("silent", "silent"))
        await until(lambda: hit_of(upstream, "leaves") and hit_of(upstream, "silent"))
        await asyncio.sleep(0.2)
        left_at = time.monotonic()
        await socket.send_json({"type": "cancel", "id": "leaves"})
        await socket.send_json({"type": "cancel", "id": "silent"})
        await socket.send_json(create("stays", "fine"))
        last, texts = await ends(socket, of=3)
        await until(lambda: all(hit_of(upstream, name).client_closed_at for name in ("leaves", "silent")))

    assert last["leaves"]["cancelled"]
    assert last["silent"]["cancelled"]
    assert last["leaves"]["usage"]["completion_tokens"] > 0
    assert texts["stays"] == expected_text(5)
    late = [hit_of(upstream, name).client_closed_at - left_at for name in ("leaves", "silent")]
    assert max(late) < 0.1, late


async def test_a_closed_connection_ends_all_its_upstream_calls_within_a_tenth_of_a_second(
    door: Door, upstream: FaultUpstream
) -> None:
    socket = await door.with_key()
    names = [f"g{number}" for number in range(8)]
    for number, name in enumerate(names):
        await socket.send_json(create(name, "silent" if number % 2 else "slow"))
    await until(lambda: all(hit_of(upstream, name) for name in names))
    await asyncio.sleep(0.2)

    left_at = time.monotonic()
    socket._response.connection.transport.abort()
    await until(lambda: all(hit_of(upstream, name).client_closed_at for name in names))

    late = sorted(hit_of(upstream, name).client_closed_at - left_at for name in names)
    assert late[-1] < 0.1, late
    assert await calls_running(door.server) == 0


async def calls_running(server: GatewayProcess) -> int:
    """As the metrics tell it, once a second."""
    await asyncio.sleep(1.2)
    lines = server.get("/metrics")[2].decode().splitlines()
    return int(sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("llm_proxy_active_connections{")))


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 2**20


async def test_a_slow_reader_holds_its_upstream_back_instead_of_filling_memory(door: Door) -> None:
    address = door.server.url.replace("http", "ws") + "/ws/v1/chat/completions"
    bearer = {"authorization": f"Bearer {door.server.key}"}
    # This client stops reading its socket when one message waits; four answers of 11 MB each are on their way to it.
    async with connect(address, additional_headers=bearer, max_queue=1, compression=None, close_timeout=1) as reader:
        before = resident_mib(door.server.pid)
        for number in range(4):
            await reader.send(json.dumps(create(f"f{number}", "flood")))
        await asyncio.sleep(2.0)
        assert resident_mib(door.server.pid) - before < 25
        async with door.with_key() as other:
            await other.send_json(create("quick", "fine"))
            last, _ = await ends(other)
            assert last["quick"]["type"] == "done"
        # What was held back goes on when it is read.
        for _ in range(3000):
            assert json.loads(await reader.recv())["type"] == "chunk"


async def test_a_draining_gateway_lets_generations_finish_and_then_says_goodbye(door: Door) -> None:
    async with door.with_key() as socket, door.with_key() as idle:
        await socket.send_json(create("last", "slow"))
        await socket.receive(timeout=5)
        door.server.signal(15)
        last, texts = await ends(socket)
        assert (last["last"]["type"], texts["last"][-5:]) == ("done", expected_text(400)[-5:])
        assert (await socket.receive(timeout=5)).type.name in ("CLOSE", "CLOSED", "CLOSING")
        assert (await idle.receive(timeout=5)).type.name in ("CLOSE", "CLOSED", "CLOSING")
