"""What a model thought before it called a tool is sent back with the result, as its server wants it: by either door, from a
whole answer and from a stream."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import orjson
import pytest
from openai.lib.streaming._deltas import accumulate_delta

from providers.adapters import REGISTRY
from providers.adapters.base import Adapter
from providers.dialects.served_responses import ServedStream, opening, to_chat
from providers.specs import DeploymentSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, JsonObject, Operation
from routing.endpoints.decoding import decode
from tests.contract.asking import SECRET, WEATHER, deployed, values
from tests.contract.exchanges import data, named

THOUGHT = ("Let me ", "see.")
WHOLE = "".join(THOUGHT)
USER = {"role": "user", "content": "Rome?"}
ARGUMENTS = '{"city":"Rome"}'


@dataclass(frozen=True, kw_only=True)
class Thinker:
    kind: str
    answer: JsonObject
    events: list[bytes]
    back: Callable[[JsonObject], Any]
    """What of the next request upstream tells the thought."""
    wanted: Any
    model: str = ""
    host: str = "up.test"
    asked: JsonObject = field(default_factory=dict)
    wanted_of_responses: Any = None
    """Where an item of the Responses API has no place for all of it."""

    @property
    def adapter(self) -> Adapter:
        return REGISTRY[self.kind]

    @property
    def deployment(self) -> DeploymentSpec:
        usual = deployed(self.adapter)
        provider = replace(usual.provider, endpoint=Endpoint(scheme="https", host=self.host, port=443))
        return replace(usual, provider=provider, upstream_model=self.model or usual.upstream_model)


def openai(message: JsonObject, deltas: list[JsonObject], calls: JsonObject | None = None, **facts: Any) -> Thinker:
    names = {"id": "c-1", "created": 1790000000, "model": "up"}
    call = {
        "id": "call_a",
        "type": "function",
        "function": {"name": "get_weather", "arguments": ARGUMENTS},
        **(calls or {}),
    }
    said = {"role": "assistant", "content": None, **message, "tool_calls": [call]}
    choices = [{"index": 0, "message": said, "finish_reason": "tool_calls"}]

    def chunk(delta: JsonObject, finish: str | None = None) -> bytes:
        return data({**names, "choices": [{"index": 0, "delta": delta, "finish_reason": finish}]})

    last: list[JsonObject] = [{"tool_calls": [{"index": 0, **call}]}]
    events = [chunk({"role": "assistant", "content": ""}), *map(chunk, deltas + last), chunk({}, "tool_calls")]
    return Thinker(answer={**names, "choices": choices}, events=[*events, data("[DONE]")], **facts)


def assistant(body: JsonObject) -> JsonObject:
    said: JsonObject = next(each for each in body["messages"] if each["role"] == "assistant")
    return said


def thought_of(*names: str) -> Callable[[JsonObject], Any]:
    return lambda body: {name: assistant(body).get(name) for name in names}


def anthropic() -> Thinker:
    redacted = {"type": "redacted_thinking", "data": "UkVE"}
    thinking = {"type": "thinking", "thinking": WHOLE, "signature": "c2ln"}
    use = {"type": "tool_use", "id": "call_a", "name": "get_weather", "input": {"city": "Rome"}}
    message = {"type": "message", "id": "m", "role": "assistant", "model": "up"}
    start = {"type": "message_start", "message": {**message, "content": [], "usage": {"input_tokens": 9}}}
    events: list[JsonObject] = [
        start,
        {"type": "content_block_start", "index": 0, "content_block": {**thinking, "thinking": "", "signature": ""}},
        *(
            {"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": text}}
            for text in THOUGHT
        ),
        {"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "c2ln"}},
        {"type": "content_block_stop", "index": 0},
        {"type": "content_block_start", "index": 1, "content_block": redacted},
        {"type": "content_block_stop", "index": 1},
        {"type": "content_block_start", "index": 2, "content_block": {**use, "input": {}}},
        {"type": "content_block_delta", "index": 2, "delta": {"type": "input_json_delta", "partial_json": ARGUMENTS}},
        {"type": "content_block_stop", "index": 2},
        {"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 9}},
        {"type": "message_stop"},
    ]
    return Thinker(
        kind="anthropic",
        answer={**message, "content": [thinking, redacted, use], "stop_reason": "tool_use"},
        events=[named(event) for event in events],
        asked={"reasoning_effort": "low"},
        back=lambda body: assistant(body)["content"],
        wanted=[thinking, redacted, use],
    )


def openai_responses() -> Thinker:
    summary = [{"type": "summary_text", "text": WHOLE}]
    thought = {"type": "reasoning", "id": "rs_1", "summary": summary, "encrypted_content": "ZW5j"}
    call = {"type": "function_call", "id": "fc_1", "call_id": "call_a", "name": "get_weather", "arguments": ARGUMENTS}
    response = {"id": "resp_1", "object": "response", "created_at": 1790000000, "model": "up"}
    done = {**response, "status": "completed", "output": [thought, call]}
    at = {"item_id": "rs_1", "output_index": 0, "summary_index": 0}
    events: list[JsonObject] = [
        {"type": "response.created", "response": {**response, "status": "in_progress", "output": []}},
        {"type": "response.output_item.added", "output_index": 0, "item": {**thought, "summary": []}},
        *({"type": "response.reasoning_summary_text.delta", **at, "delta": text} for text in THOUGHT),
        {"type": "response.output_item.done", "output_index": 0, "item": thought},
        {"type": "response.output_item.added", "output_index": 1, "item": {**call, "arguments": ""}},
        {"type": "response.output_item.done", "output_index": 1, "item": call},
        {"type": "response.completed", "response": done},
    ]
    return Thinker(
        kind="openai_responses",
        answer=done,
        events=[named(event) for event in events],
        asked={"reasoning_effort": "low"},
        back=lambda body: [item for item in body["input"] if item["type"] == "reasoning"],
        # The summary is for people; what is sent back is what the model reads.
        wanted=[{"type": "reasoning", "summary": [], "encrypted_content": "ZW5j"}],
    )


def cohere() -> Thinker:
    call = {"id": "call_a", "type": "function", "function": {"name": "get_weather", "arguments": ARGUMENTS}}
    content = [{"type": "thinking", "thinking": WHOLE}]
    message = {"role": "assistant", "content": content, "tool_calls": [call]}

    def event(kind: str, said: JsonObject, index: int = 0) -> bytes:
        return named({"type": kind, "index": index, "delta": {"message": said}})

    return Thinker(
        kind="cohere",
        answer={"id": "c", "finish_reason": "TOOL_CALL", "message": message},
        events=[
            event("message-start", {"role": "assistant"}),
            event("content-start", {"content": {"type": "thinking", "thinking": ""}}),
            *(event("content-delta", {"content": {"thinking": text}}) for text in THOUGHT),
            event("tool-call-start", {"tool_calls": call}),
            event("tool-call-end", {}),
            named({"type": "message-end", "delta": {"finish_reason": "TOOL_CALL"}}),
        ],
        back=lambda body: assistant(body).get("content"),
        wanted=content,
    )


DETAIL = {"type": "reasoning.text", "text": WHOLE, "signature": "c2ln", "format": "anthropic-claude-v1", "index": 0}
SIGNED = {"extra_content": {"google": {"thought_signature": "c2ln"}}}


def pieces_of_detail() -> list[JsonObject]:
    """As OpenRouter streams it: the signature comes last, alone. It repeats the format in each, which whoever adds up its
    pieces has to know: OpenAI's client, which is asked here, does not."""
    rest = {name: DETAIL[name] for name in ("type", "index")}
    texts = [{"reasoning": text, "reasoning_details": [{**rest, "text": text}]} for text in THOUGHT]
    return [*texts, {"reasoning_details": [{**rest, "signature": "c2ln", "format": DETAIL["format"]}]}]


THINKERS = {
    "anthropic": anthropic(),
    "openai_responses": openai_responses(),
    "cohere": cohere(),
    "openrouter": openai(
        {"reasoning": WHOLE, "reasoning_details": [DETAIL]},
        pieces_of_detail(),
        kind="openrouter",
        back=thought_of("reasoning_details"),
        wanted={"reasoning_details": [DETAIL]},
        wanted_of_responses={"reasoning_details": [{name: DETAIL[name] for name in DETAIL if name != "index"}]},
    ),
    "gemini": openai(
        {},
        [],
        SIGNED,
        kind="openai",
        host="generativelanguage.googleapis.com",
        model="gemini-3-pro",
        back=lambda body: assistant(body)["tool_calls"][0]["extra_content"],
        wanted=SIGNED["extra_content"],
    ),
    "deepseek": openai(
        {"reasoning_content": WHOLE},
        [{"reasoning_content": text} for text in THOUGHT],
        kind="openai",
        host="api.deepseek.com",
        back=thought_of("reasoning_content"),
        wanted={"reasoning_content": WHOLE},
    ),
    "vllm": openai(
        {"reasoning": WHOLE},
        [{"reasoning": text} for text in THOUGHT],
        kind="openai",
        back=thought_of("reasoning_content"),
        wanted={"reasoning_content": WHOLE},
    ),
    "cerebras": openai(
        {"reasoning": WHOLE},
        [{"reasoning": text} for text in THOUGHT],
        kind="openai",
        host="api.cerebras.ai",
        back=thought_of("reasoning", "reasoning_content"),
        wanted={"reasoning": WHOLE, "reasoning_content": None},
    ),
    "groq": openai(
        {"reasoning": WHOLE},
        [{"reasoning": text} for text in THOUGHT],
        kind="openai",
        host="api.groq.com",
        back=thought_of("reasoning", "reasoning_content"),
        wanted={"reasoning": None, "reasoning_content": None},
    ),
    "mistral": openai(
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": WHOLE}]}]},
        [{"content": [{"type": "thinking", "thinking": [{"type": "text", "text": text}]}]} for text in THOUGHT],
        kind="openai",
        host="api.mistral.ai",
        back=lambda body: sorted(assistant(body).keys() - {"content"}),
        wanted=["role", "tool_calls"],
    ),
    "grok": openai(
        {"reasoning_content": WHOLE},
        [{"reasoning_content": text} for text in THOUGHT],
        kind="grok",
        back=thought_of("reasoning_content"),
        wanted={"reasoning_content": WHOLE},
    ),
}


@pytest.fixture(params=sorted(THINKERS))
def thinker(request: pytest.FixtureRequest) -> Thinker:
    return THINKERS[request.param]


def read(thinker: Thinker, body: JsonObject) -> ClientRequest:
    return decode(Operation.CHAT, body, raw=orjson.dumps(body), received_at_s=0)


def sent(thinker: Thinker, body: JsonObject) -> JsonObject:
    request = read(thinker, body)
    adapter = thinker.adapter.serving(request, thinker.deployment)
    upstream: JsonObject = json.loads(adapter.prepare(request, thinker.deployment, SECRET).body)
    return upstream


def chat(thinker: Thinker, *more: JsonObject, stream: bool = False) -> JsonObject:
    body = {"model": "m", "messages": [USER, *more], "tools": [WEATHER], **thinker.asked}
    return {**body, "stream": True} if stream else body


def whole(thinker: Thinker, body: JsonObject) -> bytes:
    answer = orjson.dumps(thinker.answer)
    return thinker.adapter.read_answer(read(thinker, body), thinker.deployment, {}, answer).body


def streamed(thinker: Thinker, body: JsonObject) -> bytes:
    stream = thinker.adapter.open_stream(read(thinker, body), thinker.deployment)
    frames = b"".join(map(stream.feed, thinker.events)) + stream.close()
    assert stream.ended, stream.failure
    return frames


def message_of(frames: bytes) -> JsonObject:
    """As OpenAI's own client adds deltas up."""
    message: dict[Any, Any] = {}
    for value in values(frames):
        for choice in value["choices"] if value != "[DONE]" else ():
            message = accumulate_delta(message, choice["delta"])
    for call in message["tool_calls"]:
        del call["index"]
    return message


@pytest.mark.parametrize("stream", [False, True])
def test_in_a_chat(thinker: Thinker, stream: bool) -> None:
    body = chat(thinker, stream=stream)
    message = (
        message_of(streamed(thinker, body)) if stream else json.loads(whole(thinker, body))["choices"][0]["message"]
    )
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "21"}
    assert thinker.back(sent(thinker, chat(thinker, message, result))) == thinker.wanted


@pytest.mark.parametrize("stream", [False, True])
def test_by_the_responses_api(thinker: Thinker, stream: bool) -> None:
    asked = {"model": "m", "input": [USER], "tools": [{"type": "function", **WEATHER["function"]}], "store": False}
    if thinker.asked:
        asked["reasoning"] = {"effort": thinker.asked["reasoning_effort"]}
    begun = opening(asked, response_id="resp_1", created_at=1790000000)
    if stream:
        served = ServedStream(begun, logprobs=False)
        frames = served.feed(streamed(thinker, to_chat({**asked, "stream": True}))) + served.close()
        response = json.loads(frames.rstrip().rpartition(b"data: ")[2])["response"]
    else:
        response = ServedStream(begun, logprobs=False).whole(whole(thinker, to_chat(asked)))
    call_id = next(item["call_id"] for item in response["output"] if item["type"] == "function_call")
    result = {"type": "function_call_output", "call_id": call_id, "output": "21"}
    again = to_chat({**asked, "input": [USER, *json.loads(json.dumps(response["output"])), result]})
    assert thinker.back(sent(thinker, again)) == (thinker.wanted_of_responses or thinker.wanted)
