"""Grok's habits that depend on a model's name or on what came before in a stream."""

import json

import pytest

from providers.adapters.xai import GrokAdapter, Habits, prefill_of
from providers.errors import CredentialRejected, Unsupported
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation

ADAPTER = GrokAdapter()


def deployment(model):
    provider = ProviderSpec(
        id=1,
        name="grok",
        kind="grok",
        endpoint=Endpoint(scheme="https", host="api.x.ai", port=443),
        base_path="/v1",
    )
    return DeploymentSpec(id=1, provider=provider, model="m", upstream_model=model)


def request(**fields):
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **fields}
    return ClientRequest(operation=Operation.CHAT, model="m", body=body, stream=bool(fields.get("stream")))


def sent(model, **fields):
    return json.loads(ADAPTER.prepare(request(**fields), deployment(model), "key").body)


@pytest.mark.parametrize(
    "model", ["grok-4", "grok-4.3", "grok-4-fast-reasoning", "xai/grok-5", "grok-10", "grok-code-fast-1"]
)
def test_newer_and_code_models_refuse_stop(model):
    with pytest.raises(Unsupported, match="stop"):
        sent(model, stop=["x"])


@pytest.mark.parametrize("model", ["grok-3", "grok-3-mini", "grok-2-vision-1212"])
def test_older_models_take_stop(model):
    assert sent(model, stop=["x"])["stop"] == ["x"]


@pytest.mark.parametrize(
    ("model", "wanted", "got"),
    [
        ("grok-4.3", "low", "low"),
        ("grok-4.3", "none", "none"),
        ("grok-4.3", "minimal", "low"),
        ("grok-4.3", "max", "high"),
        ("grok-4.6", "xhigh", "xhigh"),
        ("grok-4.6", "max", "xhigh"),
        ("grok-3-mini", "high", "high"),
        ("grok-4", "high", None),
        ("grok-4-0709", "high", None),
        ("grok-code-fast-1", "low", None),
        ("grok-4.6", "none", "low"),
        ("xai/grok-4-5", "none", "low"),
        ("grok-4.20-0309-reasoning", "high", None),
        ("grok-4.20-0309-non-reasoning", "none", None),
        ("grok-4.20-multi-agent-0309", "high", "high"),
        ("grok-4-1-fast-reasoning", "low", None),
        ("grok-4-fast-non-reasoning", "low", None),
        ("grok-3", "low", None),
        ("grok-30", "low", "low"),
    ],
)
def test_reasoning_effort_is_what_the_model_understands(model, wanted, got):
    assert sent(model, reasoning_effort=wanted).get("reasoning_effort") == got


def test_a_bad_key_that_comes_as_400_disables_the_credential_and_never_blames_the_client():
    body = b'{"code":"x","error":"Incorrect API key provided: ab***yz."}'
    error = ADAPTER.read_error(400, {}, body, provider="p")
    assert isinstance(error, CredentialRejected)
    assert "ab***yz" not in error.message


def reasoning(*deltas):
    habits = Habits()
    chunks = [{"choices": [{"index": 0, "delta": dict(delta)}]} for delta in deltas]
    for chunk in chunks:
        habits(chunk)
    return "".join(chunk["choices"][0]["delta"].get("reasoning_content", "") for chunk in chunks)


def test_a_reasoning_delta_that_repeats_the_one_before_is_dropped():
    assert reasoning({"reasoning_content": "a"}, {"reasoning_content": "a"}, {"reasoning_content": "b"}) == "ab"


def test_the_same_reasoning_after_content_is_no_repetition():
    assert reasoning({"reasoning_content": "a"}, {"content": "x"}, {"reasoning_content": "a"}) == "aa"


def test_a_repeated_reasoning_delta_never_passes_the_relay_as_a_known_pattern():
    stream = ADAPTER.open_stream(request(stream=True), deployment("grok-4.3"))
    chunk = {
        "id": "x",
        "object": "chat.completion.chunk",
        "choices": [{"index": 0, "delta": {"reasoning_content": "a"}}],
    }
    frame = f"data: {json.dumps(chunk)}\n\n".encode()
    for _ in range(5):
        stream.feed(frame)
    assert stream.delivered_text() == "a"


@pytest.mark.parametrize(
    ("messages", "prefill"),
    [
        ([{"role": "assistant", "content": "Once"}], "Once"),
        ([{"role": "assistant", "content": ""}], None),
        ([{"role": "assistant", "content": [{"type": "text", "text": "x"}]}], None),
        ([{"role": "user", "content": "x"}], None),
        ([], None),
        (None, None),
    ],
)
def test_knows_what_the_client_left_to_be_continued(messages, prefill):
    assert prefill_of(request(messages=messages)) == prefill


def test_malformed_chunks_are_left_to_the_relay():
    habits = Habits()
    for chunk in ({}, {"choices": None}, {"choices": [None, {"delta": None}]}, {"choices": [], "citations": []}):
        assert habits(chunk) is False
