"""Reasons that are none of OpenAI's, in whole answers and in streams."""

import json

import pytest

from providers.adapters.openai import OpenAIAdapter
from providers.errors import ServerFailed, UnreadableCall
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation
from tests.unit.providers.relay_events import NAMES, ROLE, chunk, open_stream, values

ENDPOINT = Endpoint(scheme="https", host="h", port=443)
DEPLOYMENT = DeploymentSpec(
    id=1,
    provider=ProviderSpec(id=1, name="up", kind="openai", endpoint=ENDPOINT, base_path=""),
    model="m",
    upstream_model="u",
)
ASKED = ClientRequest(operation=Operation.CHAT, model="m", body={"model": "m"})
MEANT = [
    ("eos", "stop"), ("eos_token", "stop"), ("stop_sequence", "stop"), ("end_turn", "stop"), ("model_length", "length"),
    ("max_tokens", "length"), ("model_context_window_exceeded", "length"), ("sensitive", "content_filter"),
    ("SAFETY", "content_filter"), ("MAX_TOKENS", "length"), ("STOP", "stop"), ("repetition", "stop"),
    ("content_filter: PROHIBITED_CONTENT", "content_filter"),
]  # fmt: skip
FAILED = ["error", "network_error", "insufficient_system_resource", "abort"]


def answer(*reasons: object) -> bytes:
    message = {"role": "assistant", "content": "x"}
    choices = [{"index": index, "message": message, "finish_reason": reason} for index, reason in enumerate(reasons)]
    return json.dumps({**NAMES, "object": "chat.completion", "choices": choices}).encode()


@pytest.mark.parametrize(("said", "meant"), MEANT)
def test_a_whole_answer_says_it_in_openais_words(said: str, meant: str) -> None:
    delivered = OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, answer("stop", said))
    assert [each["finish_reason"] for each in json.loads(delivered.body)["choices"]] == ["stop", meant]
    assert OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, answer(said)).finish_reason == meant


@pytest.mark.parametrize(("said", "meant"), MEANT)
def test_a_stream_says_it_in_openais_words(said: str, meant: str) -> None:
    stream = open_stream()
    sent = values(stream.feed(ROLE + chunk({"content": "x"}) + chunk({}, said)) + stream.close())
    assert [each["choices"][0]["finish_reason"] for each in sent if each != "[DONE]"] == [None, None, meant]
    assert stream.finish_reason == meant


@pytest.mark.parametrize("said", ["stop", "something_new", "something: new", ["stop"]])
def test_what_nobody_knows_stays_as_it_is(said: object) -> None:
    body = answer(said)
    assert OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, body).body is body


@pytest.mark.parametrize("said", FAILED)
def test_a_reason_that_is_a_failure_fails_the_answer(said: str) -> None:
    stream = open_stream()
    stream.feed(ROLE + chunk({"content": "x"}) + chunk({}, said))
    assert isinstance(stream.failure, ServerFailed)
    with pytest.raises(ServerFailed):
        OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, answer(said))


def test_what_gemini_left_out_whole_is_still_an_answer_that_clients_can_read() -> None:
    """It sends a choice without a message, and in a stream one without a delta."""
    reason = "content_filter: PROHIBITED_CONTENT"
    body = json.dumps({**NAMES, "choices": [{"index": 0, "finish_reason": reason}]}).encode()
    delivered = OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, body)
    message = {"role": "assistant", "content": None}
    assert json.loads(delivered.body)["choices"] == [
        {"index": 0, "finish_reason": "content_filter", "message": message}
    ]
    stream = open_stream()
    [sent] = values(stream.feed(b"data: " + body + b"\n\n"))
    assert sent["choices"] == [{"index": 0, "finish_reason": "content_filter", "delta": {}}]
    assert stream.finish_reason == "content_filter"


def test_a_call_that_gemini_could_not_read_is_a_failure_but_not_its_deployments() -> None:
    reason = "function_call_filter: MALFORMED_FUNCTION_CALL"
    stream = open_stream()
    stream.feed(ROLE + chunk({}, reason))
    assert isinstance(stream.failure, UnreadableCall)
    assert (stream.failure.fails_over, stream.failure.trips_breaker, stream.failure.status) == (True, False, 502)
    with pytest.raises(UnreadableCall):
        OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, answer(reason))


@pytest.mark.parametrize("said", [None, "", "absent"])
@pytest.mark.parametrize(("calls", "meant"), [(None, "stop"), ([], "stop"), ([{"id": "a"}], "tool_calls")])
def test_a_whole_answer_without_a_reason_ended_by_itself(said: str | None, calls: list[object], meant: str) -> None:
    """As a stream without one does; clients in typed languages refuse null."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "x", "tool_calls": calls}, "finish_reason": said}
    if said == "absent":
        del choice["finish_reason"]
    delivered = OpenAIAdapter().read_answer(ASKED, DEPLOYMENT, {}, json.dumps({**NAMES, "choices": [choice]}).encode())
    assert json.loads(delivered.body)["choices"][0]["finish_reason"] == delivered.finish_reason == meant
