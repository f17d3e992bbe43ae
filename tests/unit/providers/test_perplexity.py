"""Perplexity's two dialects behind one adapter, and its embeddings."""

import base64
import itertools
import json
import struct
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from providers.adapters.perplexity import PerplexityAdapter, floats_of_int8
from providers.demo import create_app
from providers.dialects.perplexity_sonar import ChunkRepair, repair_answer, strict_turns
from providers.errors import BadAnswer, Unsupported
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation

GOLDEN = Path(__file__).resolve().parents[2] / "golden"
ADAPTER = PerplexityAdapter()


def deployment(options=None, *, own=None, model="perplexity/sonar"):
    provider = ProviderSpec(
        id=1,
        name="perplexity",
        kind="perplexity",
        endpoint=Endpoint(scheme="https", host="api.perplexity.ai", port=443),
        base_path="",
        options=options or {},
    )
    return DeploymentSpec(id=1, provider=provider, model="m", upstream_model=model, options=own or {})


def request(*messages, operation=Operation.CHAT, **fields):
    body = {"model": "m", "messages": list(messages) or [{"role": "user", "content": "Hi"}], **fields}
    stream = bool(fields.get("stream"))
    return ClientRequest(operation=operation, model="m", body=body, stream=stream, include_usage=stream)


@pytest.mark.parametrize(
    ("options", "own", "path"),
    [
        ({}, {}, "/v1/responses"),
        ({"dialect": "sonar"}, {}, "/chat/completions"),
        ({}, {"dialect": "sonar"}, "/chat/completions"),
        ({"dialect": "sonar"}, {"dialect": "agent"}, "/v1/responses"),
        ({"paths": {"chat/completions": "/v1/agent"}}, {}, "/v1/agent"),
        ({"dialect": "sonar", "paths": {"chat/completions": "/proxy/chat"}}, {}, "/proxy/chat"),
    ],
)
def test_speaks_the_agent_api_unless_told_otherwise(options, own, path):
    asked, served = request(), deployment(options, own=own)
    assert ADAPTER.serving(asked, served).prepare(asked, served, "key").path == path


def test_lists_models_with_its_key():
    sent = ADAPTER.models_request(deployment().provider, "key")
    assert (sent.method, sent.path) == ("GET", "/v1/models")
    assert ("authorization", "Bearer key") in sent.headers
    assert [model.id for model in ADAPTER.read_models(b'{"data":[{"id":"perplexity/sonar"}]}')] == ["perplexity/sonar"]


def test_the_list_of_models_is_behind_the_same_prefix_as_the_calls():
    served = deployment()
    behind = replace(served, provider=replace(served.provider, base_path="/gateway/pplx/v1"))
    assert ADAPTER.prepare(request(), behind, "key").path == "/gateway/pplx/v1/responses"
    assert ADAPTER.models_request(behind.provider, "key").path == "/gateway/pplx/v1/models"


REQUESTS = sorted(GOLDEN.glob("perplexity_agent/*/upstream_request.json"))
CHATS = [path.parent for path in REQUESTS if json.loads(path.read_text())["path"] == "/v1/responses"]


@pytest.mark.parametrize("folder", CHATS, ids=lambda folder: folder.name)
async def test_every_request_of_the_golden_cases_is_taken_by_a_strict_agent_api(folder):
    sent = json.loads((folder / "upstream_request.json").read_text())
    transport = httpx.ASGITransport(create_app("responses"))
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        answer = await client.post(sent["path"], headers={"authorization": "Bearer key"}, json=sent["body"])
    assert answer.status_code == 200, answer.text


async def test_answers_and_streams_of_a_strict_agent_api_agree():
    transport = httpx.ASGITransport(create_app("responses"))
    question = {"role": "user", "content": "Say it 🌍"}
    plain, streamed = request(question), request(question, stream=True)
    async with httpx.AsyncClient(transport=transport, base_url="http://demo") as client:
        bodies = []
        for asked in (plain, streamed):
            sent = ADAPTER.prepare(asked, deployment(), "key")
            bodies.append((await client.post(sent.path, headers=dict(sent.headers), content=sent.body)).content)
    delivered = ADAPTER.read_answer(plain, deployment(), {}, bodies[0])
    stream = ADAPTER.open_stream(streamed, deployment())
    stream.feed(bodies[1])
    stream.close()
    message = json.loads(delivered.body)["choices"][0]["message"]
    assert stream.ended
    assert stream.delivered_text() == message["content"]
    assert (stream.usage, stream.finish_reason) == (delivered.usage, delivered.finish_reason)


# -------------------------------------------------------------------------------------------------------- embeddings


@given(st.lists(st.integers(-128, 127), max_size=40))
def test_int8_vectors_become_floats(values):
    encoded = base64.b64encode(struct.pack(f"{len(values)}b", *values)).decode()
    assert floats_of_int8(encoded) == tuple(map(float, values))


@pytest.mark.parametrize("broken", [None, 3, "é", "*", "abc"])
def test_a_vector_that_is_not_base64_is_a_bad_answer(broken):
    with pytest.raises(BadAnswer):
        floats_of_int8(broken)


# ------------------------------------------------------------------------------------------------------------- Sonar


def test_calls_of_neighbouring_assistants_are_kept_and_tools_are_not_merged():
    call = {"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    turns = strict_turns(
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": None, "tool_calls": [call]},
            {"role": "assistant", "content": "y", "tool_calls": [{**call, "id": "d"}]},
            {"role": "tool", "tool_call_id": "c", "content": "1"},
            {"role": "tool", "tool_call_id": "d", "content": "2"},
            "garbage",
        ],
        provider="p",
    )
    assert [turn["role"] for turn in turns] == ["user", "assistant", "tool", "tool"]
    assert turns[1]["content"] == "y"
    assert [made["id"] for made in turns[1]["tool_calls"]] == ["c", "d"]


ROLES = st.sampled_from(["system", "developer", "user", "assistant"])


@given(st.lists(st.tuples(ROLES, st.text(min_size=1, max_size=3)), min_size=1, max_size=8))
def test_turns_alternate_and_every_word_stays(history):
    messages = [{"role": role, "content": text} for role, text in history]
    try:
        turns = strict_turns(messages, provider="p")
    except Unsupported:
        assert [role for role, _ in history if role not in ("system", "developer")][-1] == "assistant"
        return
    roles = [turn["role"] for turn in turns]
    assert "system" not in roles[1:]
    assert all(first != second for first, second in itertools.pairwise(roles))
    joined = "".join(turn["content"] for turn in turns)
    assert all(text in joined for _, text in history)


def test_the_cumulative_message_never_reaches_the_client_and_sources_come_once():
    repair = ChunkRepair()
    chunks = []
    for text, whole in (("a", "a"), ("[1]", "a[1]")):
        choice = {"index": 0, "delta": {"role": "assistant", "content": text}, "message": {"content": whole}}
        chunks.append({"choices": [choice], "citations": ["https://a.test"]})
    assert all([repair(chunk) for chunk in chunks])
    assert all("message" not in chunk["choices"][0] for chunk in chunks)
    assert ["citations" in chunk for chunk in chunks] == [True, False]
    assert ["role" in chunk["choices"][0]["delta"] for chunk in chunks] == [True, False]


def test_chunks_without_delta_index_or_choices_are_taken_as_they_are():
    repair = ChunkRepair()
    for chunk in ({}, {"choices": None}, {"choices": [None]}, {"choices": [{"finish_reason": "stop"}]}):
        repair(chunk)
    assert chunk["choices"][0]["delta"] == {}


def test_custom_tools_are_refused():
    tool = {"type": "custom", "custom": {"name": "sh"}}
    with pytest.raises(Unsupported, match=r"tools\.custom"):
        ADAPTER.prepare(request(tools=[tool]), deployment(), "key")


@pytest.mark.parametrize("body", [b"{}", b'{"data":[3]}'])
def test_embeddings_without_data_are_a_bad_answer(body):
    asked = ClientRequest(operation=Operation.EMBEDDINGS, model="m", body={"model": "m", "input": "x"})
    with pytest.raises(BadAnswer):
        ADAPTER.read_answer(asked, deployment(), {}, body)


def test_an_answer_with_odd_choices_is_left_alone():
    assert not repair_answer({"choices": [None, {"message": None}, {"message": {"content": None}}]})
