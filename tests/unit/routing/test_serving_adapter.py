"""An attempt is made, and its answer read, in the dialect that serves its request."""

import time
from dataclasses import replace
from typing import Any

import pytest

from monitoring.upstream_state import UpstreamStates
from providers.specs import ProviderSpec
from providers.transport import Endpoint, UpstreamRequest
from providers.types import ClientRequest, JsonObject, Operation
from routing.attempts import Attempts
from tests.unit.routing.pools import credential, deployment
from tests.unit.routing.test_embedding_parts import Answer, call_for

TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}
RESPONSE = {
    "id": "r", "model": "m", "status": "completed",
    "output": [{"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "hello"}]}],
}  # fmt: skip
CHAT = {"id": "c", "model": "m", "choices": [{"index": 0, "message": {"content": "hello"}, "finish_reason": "stop"}]}


class Upstream:
    def __init__(self, answer: JsonObject) -> None:
        self.paths: list[str] = []
        self._answer = answer

    async def send(self, endpoint: Endpoint, request: UpstreamRequest, *, timeout_s: float) -> Answer:
        self.paths.append(request.path)
        return Answer(200, self._answer)


@pytest.mark.parametrize(
    ("kind", "host", "options", "more", "path", "answer"),
    [
        ("openai", "api.openai.com", {}, {"tools": [TOOL]}, "/v1/responses", RESPONSE),
        ("openai", "api.openai.com", {}, {}, "/v1/chat/completions", CHAT),
        ("perplexity", "api.perplexity.ai", {}, {}, "/v1/responses", RESPONSE),
        ("perplexity", "api.perplexity.ai", {"dialect": "sonar"}, {}, "/chat/completions", CHAT),
    ],
)
async def test_an_attempt_asks_and_reads_in_one_dialect(
    kind: str, host: str, options: JsonObject, more: dict[str, Any], path: str, answer: JsonObject
) -> None:
    endpoint = Endpoint(scheme="https", host=host, port=443)
    provider = ProviderSpec(
        id=1, name="p", kind=kind, endpoint=endpoint, base_path="", credentials=(credential(),), options=options
    )
    served = replace(deployment(of=provider), upstream_model="gpt-6")
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], **more}
    call = call_for(ClientRequest(operation=Operation.CHAT, model="m", body=body))
    upstream = Upstream(answer)
    states = UpstreamStates(time.monotonic, lambda: 0.5)
    won = await Attempts(transport=upstream, states=states, announce=lambda call, attempt: None).make(call, served)
    assert upstream.paths == [path]
    assert won.delivered is not None
    assert b'"hello"' in won.delivered.body
    assert b'"chat.completion"' in won.delivered.body or answer is CHAT
