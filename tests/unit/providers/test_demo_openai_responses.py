"""The adapter of OpenAI's Responses API against the demo that speaks it."""

import json
from pathlib import Path

import httpx
import pytest

from providers.adapters.openai_responses import OpenAIResponsesAdapter
from providers.demo import create_app
from providers.demo.openai_responses_checks import THINKING, encrypted
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, Operation

GOLDEN = Path(__file__).parents[2] / "golden" / "openai_responses"
CASES = sorted(path.parent for path in GOLDEN.glob("*/upstream_request.json"))
ADAPTER = OpenAIResponsesAdapter()
PROVIDER = ProviderSpec(
    id=1, name="p", kind="openai_responses", endpoint=Endpoint(scheme="http", host="demo", port=80), base_path="/v1"
)
DEPLOYMENT = DeploymentSpec(id=1, provider=PROVIDER, model="demo-small", upstream_model="demo-small")
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "look", "parameters": SCHEMA, "strict": True}}
OTHER = {"type": "function", "function": {"name": "other"}}
CUSTOM = {"type": "custom", "custom": {"name": "run"}}


def demo() -> httpx.AsyncClient:
    transport = httpx.ASGITransport(create_app("openai_responses"))
    return httpx.AsyncClient(transport=transport, base_url="http://demo", headers={"authorization": "Bearer key"})


def request(text, *, stream, **more):
    body = {"model": "demo-small", "messages": [{"role": "user", "content": text}], "stream": stream, **more}
    return ClientRequest(operation=Operation.CHAT, model="demo-small", body=body, stream=stream, include_usage=stream)


async def ask(asked):
    sent = ADAPTER.prepare(asked, DEPLOYMENT, "key")
    async with demo() as client:
        answer = await client.post(sent.path, headers=dict(sent.headers), content=sent.body)
    assert answer.status_code == 200, answer.text
    return answer.content


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
async def test_every_request_of_the_golden_cases_is_taken_by_the_strict_demo(case):
    """What the clients of these cases get wrong themselves is put right: their schemas, their words."""
    text = (case / "upstream_request.json").read_text().replace("ENC0", encrypted(THINKING))
    sent = json.loads(text.replace('"strict": true', '"strict": false').replace('"Hi"', '"Hi, json"'))
    async with demo() as client:
        answer = await client.post(sent["path"], json=sent["body"])
    assert answer.status_code == 200, answer.text


@pytest.mark.parametrize(
    ("asked", "finish"),
    [
        ({}, "stop"),
        ({"max_tokens": 16}, "length"),
        ({"tools": [TOOL, OTHER]}, "tool_calls"),
        ({"tools": [TOOL, OTHER], "tool_choice": {"type": "function", "function": {"name": "other"}}}, "tool_calls"),
        ({"tools": [CUSTOM]}, "tool_calls"),
        ({"response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA, "strict": True}}}, "stop"),
        ({"reasoning_effort": "low", "reasoning": {"summary": "auto"}}, "stop"),
        ({"web_search_options": {}}, "stop"),
    ],
)  # fmt: skip
async def test_answers_and_streams_agree(asked, finish):
    text = "Say it 🌍 and use look and other, at some length so that it can be cut off."
    plain, streamed = request(text, stream=False, **asked), request(text, stream=True, **asked)
    delivered = ADAPTER.read_answer(plain, DEPLOYMENT, {}, await ask(plain))
    stream = ADAPTER.open_stream(streamed, DEPLOYMENT)
    frames = stream.feed(await ask(streamed))
    stream.close()
    assert stream.ended
    assert (stream.usage, stream.finish_reason) == (delivered.usage, delivered.finish_reason)
    assert delivered.finish_reason == finish
    whole = json.loads(delivered.body)["choices"][0]["message"]
    assert gathered(frames) == {name: told(whole, name) for name in gathered(frames)}


def told(message, name):
    if name != "calls":
        return message.get(name) or ""
    return [list(call[call["type"]].values()) for call in message.get("tool_calls") or ()]


def gathered(frames):
    """What the stream's deltas say, put together."""
    chunks = [json.loads(line[6:]) for line in frames.decode().split("\n") if line.startswith("data: {")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks if chunk["choices"]]
    calls = []
    for call in (call for delta in deltas for call in delta.get("tool_calls") or ()):
        part = call.get(call.get("type")) or call.get("function") or call.get("custom") or {}
        text = part.get("arguments", part.get("input", ""))
        if call["index"] == len(calls):
            calls.append([part["name"], text])
        else:
            calls[call["index"]][1] += text
    texts = {name: "".join(delta.get(name) or "" for delta in deltas) for name in ("content", "reasoning_content")}
    return {**texts, "calls": calls}
