"""Embeddings of more inputs than a provider takes at once: several requests, one attempt, one answer."""

import asyncio
import time
from collections.abc import Callable
from types import MappingProxyType, SimpleNamespace

import orjson
import pytest

from monitoring.upstream_state import UpstreamStates
from providers.adapters.base import Delivered
from providers.adapters.embedding_parts import join, parts_of
from providers.errors import RateLimited, Unsupported, UpstreamTimeout
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint, UpstreamRequest
from providers.types import ClientRequest, JsonObject, Operation, Usage
from routing.attempts import Attempts, Won
from routing.call import Call, CallOptions
from routing.decisions import Decision
from routing.estimation import Estimate, prompt_tokens
from routing.table import GatewayPolicy, Route, RoutingTable
from tests.unit.routing.pools import ENDPOINT, credential

COHERE = ProviderSpec(id=1, name="co", kind="cohere", endpoint=ENDPOINT, base_path="", credentials=(credential(),))
EMBED = DeploymentSpec(id=1, provider=COHERE, model="m", upstream_model="embed-v4.0")


def asked(count: int, **body: object) -> ClientRequest:
    texts = [f"text {number}" for number in range(count)]
    return ClientRequest(operation=Operation.EMBEDDINGS, model="m", body={"model": "m", "input": texts, **body})


class Answer:
    def __init__(self, status: int, body: JsonObject) -> None:
        self.status = status
        self.headers: dict[str, str] = {}
        self.closed = False
        self._body = body

    async def read(self, *, limit: int, timeout_s: float) -> bytes:
        return orjson.dumps(self._body)

    def close(self) -> None:
        self.closed = True


class Cohere:
    """A transport behind which each text is embedded as its number; `refuses` answers instead, where it wants to."""

    def __init__(self, refuses: Callable[[int], Answer | None] = lambda number: None) -> None:
        self.texts: list[int] = []
        self.answers: list[Answer] = []
        self._refuses = refuses

    async def send(self, endpoint: Endpoint, request: UpstreamRequest, *, timeout_s: float) -> Answer:
        assert all(answer.closed for answer in self.answers)
        texts = orjson.loads(request.body)["texts"]
        self.texts.append(len(texts))
        vectors = [[float(text.split()[1])] for text in texts]
        told = {"embeddings": {"float": vectors}, "meta": {"billed_units": {"input_tokens": len(texts)}}}
        self.answers.append(self._refuses(len(self.texts)) or Answer(200, told))
        return self.answers[-1]


def call_for(request: ClientRequest, *, left_s: float = 60) -> Call:
    table = RoutingTable(
        revision=1, routes=MappingProxyType({}), providers=MappingProxyType({}), policy=GatewayPolicy()
    )
    now = time.monotonic()
    return Call(
        request=request,
        request_id="req_1",
        principal=SimpleNamespace(tenant="t"),
        admission=None,
        table=table,
        route=Route(name="m", deployments=(EMBED,)),
        options=CallOptions("embeddings"),
        estimate=Estimate(1, 1, 0, 1),
        sink=None,
        started_at=now,
        deadline=now + left_s,
        written_at=now,
        decision=Decision("req_1", "m", 1),
    )


async def attempted(cohere: Cohere, call: Call, announced: list[int] | None = None) -> Won:
    states = UpstreamStates(time.monotonic, lambda: 0.5)
    told = [] if announced is None else announced
    attempts = Attempts(transport=cohere, states=states, announce=lambda call, attempt: told.append(attempt.number))
    return await attempts.make(call, EMBED)


@pytest.mark.parametrize(("count", "sent"), [(1, [1]), (96, [96]), (97, [96, 1]), (200, [96, 96, 8])])
async def test_one_attempt_asks_as_often_as_it_takes(count: int, sent: list[int]) -> None:
    cohere, call, announced = Cohere(), call_for(asked(count)), []
    won = await attempted(cohere, call, announced)
    assert won.delivered is not None
    answer = orjson.loads(won.delivered.body)
    assert cohere.texts == sent
    assert [(row["index"], row["embedding"]) for row in answer["data"]] == [(at, [float(at)]) for at in range(count)]
    assert won.delivered.usage == Usage(input_tokens=count)
    assert answer["usage"] == {"prompt_tokens": count, "total_tokens": count}
    assert (len(call.attempts), announced) == (1, [1])


async def test_a_part_that_fails_fails_the_attempt() -> None:
    cohere = Cohere(lambda number: Answer(429, {"message": "slow down"}) if number == 2 else None)
    call = call_for(asked(300))
    with pytest.raises(RateLimited):
        await attempted(cohere, call)
    assert cohere.texts == [96, 96]
    assert all(answer.closed for answer in cohere.answers)
    assert [(attempt.outcome, attempt.status) for attempt in call.attempts] == [("rate_limit", 429)]
    assert call.attempts[0].spent == Usage(input_tokens=96)


async def test_what_no_part_answered_is_not_known_to_have_cost_anything() -> None:
    call = call_for(asked(300))
    with pytest.raises(RateLimited):
        await attempted(Cohere(lambda number: Answer(429, {"message": "slow down"})), call)
    assert call.attempts[0].spent is None


async def test_what_a_part_used_is_counted_where_its_provider_does_not_tell() -> None:
    silent = {"embeddings": {"float": [[0.0]] * 96}}
    answers = {1: Answer(200, silent), 2: Answer(429, {"message": "slow down"})}
    call = call_for(asked(300))
    with pytest.raises(RateLimited):
        await attempted(Cohere(answers.get), call)
    assert call.attempts[0].spent == Usage(input_tokens=prompt_tokens(asked(96)))


async def test_all_parts_together_have_the_time_of_the_call() -> None:
    class Slow(Cohere):
        async def send(self, endpoint: Endpoint, request: UpstreamRequest, *, timeout_s: float) -> Answer:
            waits.append(timeout_s)
            if timeout_s <= 0.001:
                raise UpstreamTimeout("late", phase="first_token")
            call.deadline -= 40
            return await super().send(endpoint, request, timeout_s=timeout_s)

    waits: list[float] = []
    call = call_for(asked(300))
    with pytest.raises(UpstreamTimeout):
        await attempted(Slow(), call)
    assert [round(wait) for wait in waits] == [60, 20, 0]


async def test_a_cancelled_part_gives_its_answer_back() -> None:
    class Silent(Answer):
        async def read(self, *, limit: int, timeout_s: float) -> bytes:
            raise asyncio.CancelledError

    cohere = Cohere(lambda number: Silent(200, {}) if number == 2 else None)
    with pytest.raises(asyncio.CancelledError):
        await attempted(cohere, call := call_for(asked(97)))
    assert all(answer.closed for answer in cohere.answers)
    assert call.attempts[0].spent == Usage(input_tokens=96)


async def test_what_is_refused_is_refused_before_anything_is_sent() -> None:
    cohere = Cohere()
    with pytest.raises(Unsupported):
        await attempted(cohere, call_for(asked(1, input=[[1, 2]] * 97)))
    assert cohere.texts == []


@pytest.mark.parametrize(
    ("given", "most", "parts"),
    [
        ("text", 1, ["text"]),
        ([1, 2, 3], 2, [[1, 2, 3]]),
        ([[1], [2], [3]], 2, [[[1], [2]], [[3]]]),
        (["a", "b"], None, [["a", "b"]]),
        (["a", "b"], 2, [["a", "b"]]),
    ],
)
def test_what_is_one_input_is_not_cut(given: object, most: int | None, parts: list[object]) -> None:
    request = asked(1, input=given, dimensions=8)
    found = parts_of(request, most)
    assert [part.body["input"] for part in found] == parts
    assert all(part.body["dimensions"] == 8 for part in found)


def delivered(usage: Usage | None) -> Delivered:
    body = {"object": "list", "data": [{"index": 0, "embedding": "AAAA"}], "model": "m", "usage": {"prompt_tokens": 9}}
    return Delivered(body=orjson.dumps(body), usage=usage)


@pytest.mark.parametrize(
    ("first", "second", "whole"),
    [
        (Usage(1, cost_nano_usd=5), Usage(2, cost_nano_usd=6), Usage(3, cost_nano_usd=11)),
        (Usage(1, cost_nano_usd=5), Usage(2), Usage(3)),
        (Usage(1, billed=(4, 0)), Usage(2), Usage(3, billed=(6, 0))),
        (Usage(1), None, None),
    ],
)
def test_usage_is_added_up_where_it_is_known(first: Usage, second: Usage | None, whole: Usage | None) -> None:
    assert join([delivered(first), delivered(second)]).usage == whole
