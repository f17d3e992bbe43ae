"""A repeated request is answered from the cache: to its own tenant, once it was answered whole, and for nothing."""

import asyncio
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e import ledger
from tests.e2e.calling import Caller, Got, report
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.counting import CountingUpstream
from tests.upstreams.servers import run_asgi

MODELS = {
    "plain": "m",
    "unhurried": "delay=0.4",
    "flaky": "delay=0.2;fail=1",
    "down": "delay=0.1;fail=99999",
    "cut": "cut",
    "filtered": "filter",
    "uncounted": "nousage",
    "streaming slowly": "pace=0.1",
    "vectors": "v",
    "slow": "delay=1.5",
    "slow vectors": "delay=1.5;v",
    "short": "short",
    "placed": "placed",
}


@pytest.fixture(scope="module")
def upstream() -> CountingUpstream:
    return CountingUpstream()


@pytest.fixture(scope="module")
def server(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, upstream: CountingUpstream
) -> Iterator[GatewayProcess]:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("cache") / "data"))
    models = [{"model": name, "upstream_model": target} for name, target in MODELS.items()]
    with run_asgi(upstream) as url:
        process.seed(
            {
                "providers": [
                    {
                        "name": "only",
                        "base_url": f"{url}/v1",
                        "models": models,
                        "max_retries": 1,
                        "circuit_breaker_threshold": 100_000,
                    }
                ],
                "settings": {"response_cache": {"enabled": True, "ttl": 60, "max_entries": 5000}},
                "aliases": [{"name": "never", "targets": ["plain"], "cache_enabled": False}],
            }
        ).start()
        yield process
        process.end()


async def ask(server: GatewayProcess, mark: str, model: str = "plain", **more: Any) -> Got:
    async with Caller(server) as caller:
        return await caller.ask(model, messages=[{"role": "user", "content": mark}], **more)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("second", [True, False])
async def test_an_answer_comes_back_in_the_form_that_is_asked_for(
    server: GatewayProcess, upstream: CountingUpstream, first: bool, second: bool
) -> None:
    mark = f"forms {first} {second}"
    fresh = await ask(server, mark, stream=first)
    cached = await ask(server, mark, stream=second)
    assert fresh.headers["x-llm-proxy-cache"] == "miss"
    assert cached.headers["x-llm-proxy-cache"] == "hit"
    assert cached.text.strip() == fresh.text.strip() == f"answer to {mark}"
    assert cached.finish == "stop"
    assert cached.done
    assert len(upstream.asked(mark)) == 1


async def test_a_replayed_stream_has_usage_only_for_those_who_ask(server: GatewayProcess) -> None:
    await ask(server, "usage", stream=True)
    plain = await raw_stream(server, "usage")
    counted = await raw_stream(server, "usage", stream_options={"include_usage": True})
    assert [event for event in plain if event.get("usage")] == []
    assert counted[-1]["choices"] == []
    assert counted[-1]["usage"]["completion_tokens"] == 7
    assert counted[:-1] == plain
    assert {event["object"] for event in counted} == {"chat.completion.chunk"}


async def raw_stream(server: GatewayProcess, mark: str, **more: Any) -> list[dict[str, Any]]:
    async with (
        Caller(server) as caller,
        caller.post("plain", messages=[{"role": "user", "content": mark}], **more) as response,
    ):
        lines = (await response.read()).split(b"\n")
    assert lines[-3] == b"data: [DONE]"
    return [json.loads(line[6:]) for line in lines if line.startswith(b"data: {")]


async def test_a_thousand_equal_requests_at_once_make_one_upstream_call(
    server: GatewayProcess, upstream: CountingUpstream
) -> None:
    async with Caller(server, connections=200) as caller:
        messages = [{"role": "user", "content": "stampede"}]
        began = time.monotonic()
        answers = await asyncio.gather(
            *(caller.ask("unhurried", stream=number % 2 == 0, messages=messages) for number in range(1000))
        )
    assert len(upstream.asked("stampede")) == 1
    assert {answer.status for answer in answers} == {200}
    assert {answer.text.strip() for answer in answers} == {"answer to stampede"}
    cache = [answer.headers["x-llm-proxy-cache"] for answer in answers]
    assert (cache.count("miss"), cache.count("hit")) == (1, 999)
    report(f"response cache: 1000 equal concurrent requests, 1 upstream call, {time.monotonic() - began:.2f} s")


async def test_a_leader_that_fails_does_not_take_the_others_with_it(
    server: GatewayProcess, upstream: CountingUpstream
) -> None:
    answers = await asyncio.gather(*(ask(server, "flaky", model="flaky", stream=False) for _ in range(20)))
    assert sorted(answer.status for answer in answers) == [200] * 19 + [502]
    assert len(upstream.asked("flaky")) == 2


async def test_in_an_outage_everybody_is_told_soon(server: GatewayProcess) -> None:
    began = time.monotonic()
    answers = await asyncio.gather(*(ask(server, "outage", model="down", stream=False) for _ in range(20)))
    assert {answer.status for answer in answers} == {502}
    assert time.monotonic() - began < 5


@pytest.mark.parametrize("model", ["unhurried", "streaming slowly"])
async def test_a_leader_whose_client_leaves_does_not_take_the_others_with_it(
    server: GatewayProcess, upstream: CountingUpstream, model: str
) -> None:
    mark = f"left alone {model}"
    leader = asyncio.create_task(ask(server, mark, model=model, stream=True))
    await asyncio.sleep(0.15)
    followers = [asyncio.create_task(ask(server, mark, model=model, stream=True)) for _ in range(10)]
    await asyncio.sleep(0.15)
    leader.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await leader
    answers = await asyncio.gather(*followers)
    assert all(answer.is_clean(f"answer to {mark} ") for answer in answers)
    assert len(upstream.asked(mark)) == 2


@pytest.mark.parametrize("header", [{"x-llm-proxy-no-cache": "1"}, {"cache-control": "no-store"}])
async def test_who_asks_for_no_cache_gets_none_and_leaves_nothing(
    server: GatewayProcess, upstream: CountingUpstream, header: dict[str, str]
) -> None:
    mark = f"bypass {header}"
    first = await ask(server, mark, headers=header)
    assert first.headers["x-llm-proxy-cache"] == "bypass"
    assert (await ask(server, mark)).headers["x-llm-proxy-cache"] == "miss"
    assert (await ask(server, mark, headers=header)).headers["x-llm-proxy-cache"] == "bypass"
    assert len([each for each in upstream.requests if mark in json.dumps(each, ensure_ascii=False)]) == 3


@pytest.mark.parametrize(("model", "stream"), [("cut", True), ("filtered", True), ("filtered", False)])
async def test_what_is_not_whole_is_not_kept(server: GatewayProcess, model: str, stream: bool) -> None:
    mark = f"not whole {model} {stream}"
    for _ in range(2):
        assert (await ask(server, mark, model=model, stream=stream)).headers["x-llm-proxy-cache"] == "miss"


async def test_an_alias_may_opt_out(server: GatewayProcess) -> None:
    for _ in range(2):
        assert "x-llm-proxy-cache" not in (await ask(server, "opted out", model="never")).headers


@pytest.mark.parametrize(
    "change",
    [
        {"temperature": 0.5},
        {"max_tokens": 99},
        {"seed": 1},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"unknown_field": 1},
        {"headers": {"x-llm-proxy-tags": ""}, "stop": ["x"]},
    ],
)
async def test_whatever_may_change_the_answer_makes_another_request(
    server: GatewayProcess, change: dict[str, Any]
) -> None:
    await ask(server, "base", stream=False)
    assert (await ask(server, "base", stream=False)).headers["x-llm-proxy-cache"] == "hit"
    assert (await ask(server, "base", stream=False, **change)).headers["x-llm-proxy-cache"] == "miss"


async def test_who_the_end_user_is_does_not_matter(server: GatewayProcess) -> None:
    await ask(server, "same for all", user="a", metadata={"a": "b"})
    assert (await ask(server, "same for all", user="b")).headers["x-llm-proxy-cache"] == "hit"


async def test_a_new_key_leaves_the_answers_and_a_new_alias_empties_the_cache(server: GatewayProcess) -> None:
    async def asked_under_another_revision_than(before: Got) -> Got:
        async with asyncio.timeout(30):
            while True:
                got = await ask(server, "still good")
                if got.headers["x-llm-proxy-revision"] != before.headers["x-llm-proxy-revision"]:
                    return got
                await asyncio.sleep(0.1)

    first = await ask(server, "still good")
    server.manage("create_api_key", "newcomer", "--team", "newcomers", "--rpm", "5", "--budget-usd", "1")
    second = await asked_under_another_revision_than(first)
    assert second.headers["x-llm-proxy-cache"] == "hit"
    create = "from routing.models import ModelAlias; ModelAlias.objects.create(name='new', targets=['plain'])"
    server.shell(create)
    third = await asked_under_another_revision_than(second)
    assert third.headers["x-llm-proxy-cache"] == "miss"


async def test_a_hit_is_on_the_record_and_costs_nothing(server: GatewayProcess) -> None:
    await ask(server, "booked", headers={"x-request-id": "booked-1"})
    await ask(server, "booked", headers={"x-request-id": "booked-2"})
    rows = await usage_rows(server, "booked-2")
    assert rows == [("hit", 0, 0, 0, 200)]
    assert (await usage_rows(server, "booked-1"))[0][0] == "miss"


async def usage_rows(server: GatewayProcess, request_id: str) -> list[tuple[Any, ...]]:
    """(cache, input tokens, output tokens, cost, status) once the journal is drained."""
    columns = "cache, input_tokens, output_tokens, coalesce(cost_nano_usd, 0) AS cost, status"
    for _ in range(100):
        statement = f"SELECT {columns} FROM accounts_usagerecord WHERE request_id = '{request_id}'"
        if rows := ledger.query(server, statement):
            return [tuple(row.values()) for row in rows]
        await asyncio.sleep(0.05)
    raise AssertionError(f"no usage row of {request_id}")


KEYS = """
import json
from accounts.provisioning import KeyOrder, create_key
from routing.table_loader import current_revision
tokens = [create_key(KeyOrder(name="k", team=team)).token for team in ("red", "blue", "red")]
print(json.dumps([current_revision(), tokens]))
"""


@pytest.fixture(scope="module")
def keys(server: GatewayProcess) -> list[str]:
    """Keys of the teams red, blue, and red once more; known to the server, as nothing is kept beyond a revision."""
    revision, tokens = json.loads(server.shell(KEYS))
    question = {"model": next(iter(MODELS)), "messages": [{"role": "user", "content": "which revision"}]}
    while server.post("/v1/chat/completions", question)[1]["x-llm-proxy-revision"] != str(revision):
        time.sleep(0.05)
    return tokens


async def test_no_tenant_ever_gets_anothers_answer(
    server: GatewayProcess, upstream: CountingUpstream, keys: list[str]
) -> None:
    secrets = [f"what is our secret {number:03}" for number in range(30)]
    for mark in secrets:
        answers = [
            await ask(server, mark, stream=stream, headers={"authorization": f"Bearer {key}"})
            for key in keys[:2]
            for stream in (True, False)
        ]
        assert [answer.headers["x-llm-proxy-cache"] for answer in answers] == ["miss", "hit", "miss", "hit"]
    assert all(len(upstream.asked(mark)) == 2 for mark in secrets)
    shared = await ask(server, secrets[-1], headers={"authorization": f"Bearer {keys[2]}"})
    assert shared.headers["x-llm-proxy-cache"] == "hit"


async def test_two_tenants_at_once_share_no_upstream_call(
    server: GatewayProcess, upstream: CountingUpstream, keys: list[str]
) -> None:
    answers = await asyncio.gather(
        *(
            ask(server, "both at once", model="unhurried", headers={"authorization": f"Bearer {keys[number % 2]}"})
            for number in range(20)
        )
    )
    assert len(upstream.asked("both at once")) == 2
    assert [answer.headers["x-llm-proxy-cache"] for answer in answers].count("miss") == 2


async def embed(server: GatewayProcess, given: Any, model: str = "vectors", **more: Any) -> tuple[dict[str, Any], str]:
    async with (
        Caller(server) as caller,
        caller.session.post(f"{server.url}/v1/embeddings", json={"model": model, "input": given, **more}) as response,
    ):
        assert response.status == 200, await response.text()
        return await response.json(), response.headers["x-llm-proxy-cache"]


async def test_embeddings_are_kept_for_each_input(server: GatewayProcess, upstream: CountingUpstream) -> None:
    first, how = await embed(server, ["one", "three"])
    assert how == "miss"
    mixed, how = await embed(server, ["three", "fourteen", "one", "fourteen"])
    assert how == "miss"
    assert upstream.requests[-1]["input"] == ["fourteen"]
    assert [item["index"] for item in mixed["data"]] == [0, 1, 2, 3]
    assert [item["embedding"][0] for item in mixed["data"]] == [5, 8, 3, 8]
    assert mixed["data"][0]["embedding"] == first["data"][1]["embedding"]
    asked = len(upstream.requests)
    whole, how = await embed(server, "fourteen")
    assert (how, len(upstream.requests)) == ("hit", asked)
    assert whole["data"][0]["embedding"] == mixed["data"][1]["embedding"]
    assert whole["usage"] == {"prompt_tokens": 3, "total_tokens": 3}
    assert (await embed(server, "fourteen", dimensions=2))[1] == "miss"


@pytest.mark.parametrize("given", [["kept", "lost"], ["new", "lost"]], ids=["partly cached", "all new"])
async def test_too_few_embeddings_are_a_failure_to_the_client_and_on_the_record(
    server: GatewayProcess, given: list[str]
) -> None:
    await embed(server, ["kept"], model="short")
    async with (
        Caller(server) as caller,
        caller.session.post(f"{server.url}/v1/embeddings", json={"model": "short", "input": given}) as response,
    ):
        assert (response.status, (await response.json())["error"]["code"]) == (502, "upstream_error")
        request_id = response.headers["x-request-id"]
    status, _, body = await asyncio.to_thread(server.get, f"/requests/{request_id}")
    assert (status, json.loads(body)["attempts"][0]["outcome"]) == (200, "bad_answer")


async def test_embeddings_without_indexes_of_use_are_taken_as_they_stand(server: GatewayProcess) -> None:
    await embed(server, ["two"], model="placed")
    mixed, _ = await embed(server, ["three", "two", "fourteen"], model="placed")
    assert [item["embedding"][0] for item in mixed["data"]] == [5, 3, 8]


async def test_what_is_on_its_way_when_the_cache_is_cleared_is_not_kept(
    server: GatewayProcess, upstream: CountingUpstream
) -> None:
    clear = "/cache/clear?scope=responses"
    # The first one takes long: it loads the pages.
    await asyncio.to_thread(server.post, clear, {})
    chat = asyncio.create_task(ask(server, "overtaken", model="slow"))
    vector = asyncio.create_task(embed(server, "overtaken", model="slow vectors"))
    while len(upstream.asked("overtaken")) < 2:
        await asyncio.sleep(0.01)
    assert (await asyncio.to_thread(server.post, clear, {}))[0] == 200
    assert not chat.done()
    assert not vector.done()
    await asyncio.gather(chat, vector)
    assert (await ask(server, "overtaken", model="slow")).headers["x-llm-proxy-cache"] == "miss"
    assert (await embed(server, "overtaken", model="slow vectors"))[1] == "miss"
