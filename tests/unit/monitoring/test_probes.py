import asyncio
import json
from dataclasses import replace

import pytest

from monitoring.passive import Traffic
from monitoring.probes import Prober, Target
from providers.control_plane import Answer
from providers.errors import BadAnswer, ConnectFailed, UpstreamTimeout
from providers.specs import Prices
from tests.unit.routing.pools import credential, deployment, provider

MODELS = json.dumps({"object": "list", "data": [{"id": "gpt-4", "object": "model"}]}).encode()
CHAT = json.dumps(
    {
        "id": "c", "object": "chat.completion", "created": 1, "model": "u1",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": "H"}, "finish_reason": "length"}],
        "usage": {"prompt_tokens": 8, "completion_tokens": 1, "total_tokens": 9},
    }
).encode()  # fmt: skip


class Upstream:
    """Answers each request with the next of `answers`, the last one for ever; exceptions are raised."""

    def __init__(self, *answers) -> None:
        self._answers = list(answers)
        self.requests = []

    async def send(self, endpoint, request):
        self.requests.append(request)
        answer = self._answers.pop(0) if len(self._answers) > 1 else self._answers[0]
        if isinstance(answer, Exception):
            raise answer
        return answer


def answer(status: int = 200, body: bytes = MODELS, **headers: str) -> Answer:
    return Answer(status=status, headers=headers, body=body)


def error(status: int, code: str = "x", message: str = "went wrong") -> Answer:
    return answer(status, json.dumps({"error": {"message": message, "type": code, "code": code}}).encode())


class Ticks:
    """A timer that moves a quarter second each time it is read."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        self.now += 0.25
        return self.now


def look(upstream, target=None, spend=None):
    options = {} if spend is None else {"spend": spend}
    prober = Prober(upstream, clock=lambda: 1000.0, timer=Ticks(), **options)
    return asyncio.run(prober.check(target or Target(provider=provider())))


def test_a_model_list_that_answers_passes():
    upstream = Upstream(answer())
    result = look(upstream)
    assert (result.passed, result.evidence, result.response_time_s, result.at) == (True, "models", 0.25, 1000.0)
    (request,) = upstream.requests
    assert (request.method, request.path) == ("GET", "/v1/models")
    assert ("authorization", "Bearer s-1") in request.headers


@pytest.mark.parametrize(
    ("answered", "passed", "reason"),
    [
        (ConnectFailed("refused"), False, "connect"),
        (UpstreamTimeout("late", phase="total"), False, "timeout"),
        (BadAnswer("too long"), False, "bad_answer"),
        (error(500), False, "server_error"),
        (error(503), False, "overloaded"),
        (error(401, "invalid_api_key"), False, "credential"),
        (error(403), False, "credential"),
        (answer(200, b"<html>not json"), False, "bad_answer"),
        (answer(200, b'{"data": 5}'), False, "bad_answer"),
        (error(429, "rate_limit_exceeded"), True, ""),
        (error(404, "not_found"), True, ""),
    ],
)  # fmt: skip
def test_each_answer_has_its_verdict(answered, passed, reason):
    result = look(Upstream(answered))
    assert (result.passed, result.reason) == (passed, reason)


def test_the_next_credential_is_tried_when_one_is_refused():
    both = provider(credentials=(credential(1), credential(2)))
    upstream = Upstream(error(401), answer())
    assert look(upstream, Target(provider=both)).passed
    assert [dict(request.headers)["authorization"] for request in upstream.requests] == ["Bearer s-1", "Bearer s-2"]


def test_without_a_usable_credential_nothing_is_sent():
    upstream = Upstream(answer())
    result = look(upstream, Target(provider=provider(credentials=())))
    assert (result.passed, result.reason, upstream.requests) == (False, "no_credential", [])


def test_recent_success_is_proof_and_costs_nothing():
    upstream = Upstream(answer())
    traffic = Traffic(good=5, bad=1, last_success_at=999.0, first_token_s=0.7)
    result = look(upstream, Target(provider=provider(), traffic=traffic))
    assert (result.passed, result.evidence, result.response_time_s, upstream.requests) == (True, "traffic", 0.7, [])


def test_calls_that_all_fail_outweigh_a_list_that_answers():
    upstream = Upstream(answer())
    result = look(upstream, Target(provider=provider(), traffic=Traffic(bad=4)))
    assert (result.passed, result.evidence, result.message) == (False, "traffic", "4 of 4 recent calls failed")


def test_one_failed_call_is_no_proof():
    assert look(Upstream(answer()), Target(provider=provider(), traffic=Traffic(bad=1))).passed


def test_a_failed_probe_knows_of_the_last_success():
    traffic = Traffic(good=1, bad=9, last_success_at=995.0)
    result = look(Upstream(ConnectFailed("refused")), Target(provider=provider(), traffic=traffic))
    assert (result.passed, result.last_success_at) == (False, 995.0)


def test_a_provider_without_a_list_is_asked_for_any_answer_and_without_its_secret():
    without = replace(provider(), kind="blackbox")
    from providers.adapters import adapter_for

    if adapter_for("blackbox").models_request(without, "s") is not None:
        pytest.skip("every kind has a list")
    upstream = Upstream(error(404))
    result = look(upstream, Target(provider=without))
    assert (result.passed, result.evidence) == (True, "reachable")
    assert not any(name == "authorization" for name, _ in upstream.requests[0].headers)


CHEAP = deployment(1, prices=Prices(input=1000, output=2000))


async def allow(deployment) -> bool:
    return True


async def refuse(deployment) -> bool:
    return False


def test_a_paid_probe_asks_for_one_token_when_allowed():
    upstream = Upstream(answer(), answer(200, CHAT))
    result = look(upstream, Target(provider=CHEAP.provider, cheapest=CHEAP), spend=allow)
    assert (result.passed, result.evidence) == (True, "completion")
    body = json.loads(upstream.requests[1].body)
    assert (body["model"], body["max_tokens"]) == ("u1", 1)


def test_a_paid_probe_finds_what_a_list_hides():
    upstream = Upstream(answer(), error(500, "server_error", "no capacity"))
    result = look(upstream, Target(provider=CHEAP.provider, cheapest=CHEAP), spend=allow)
    assert (result.passed, result.evidence, result.reason) == (False, "completion", "server_error")


def test_nothing_is_paid_for_beyond_the_cap_or_when_the_list_failed_already():
    upstream = Upstream(answer())
    assert look(upstream, Target(provider=CHEAP.provider, cheapest=CHEAP), spend=refuse).evidence == "models"
    assert len(upstream.requests) == 1
    upstream = Upstream(error(500))
    assert not look(upstream, Target(provider=CHEAP.provider, cheapest=CHEAP), spend=allow).passed
    assert len(upstream.requests) == 1


def test_a_deployment_that_cannot_be_asked_leaves_what_the_list_said():
    upstream = Upstream(answer())
    azure = replace(CHEAP, provider=replace(CHEAP.provider, kind="azure"), upstream_model="gpt/4")
    result = look(upstream, Target(provider=azure.provider, cheapest=azure), spend=allow)
    assert (result.passed, result.evidence) == (True, "models")
    assert len(upstream.requests) == 1


def test_what_upstreams_say_is_searched_for_secrets():
    result = look(Upstream(ConnectFailed("the proxy refused Bearer sk-live-abcdefghijkl0123")))
    assert result.message == "the proxy refused Bearer [redacted]"


def test_a_provider_whose_options_cannot_be_used_has_failed_and_is_not_asked():
    upstream = Upstream(answer())
    wrong = replace(provider(), kind="azure", options={"api_version": "v9"})
    result = look(upstream, Target(provider=wrong))
    assert (result.passed, result.reason) == (False, "server_error")
    assert "api_version" in result.message
    assert upstream.requests == []
