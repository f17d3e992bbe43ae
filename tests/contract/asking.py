"""Requests for an adapter under test, and what its answers amount to."""

import copy
import json
from typing import Any

from providers.adapters.base import Adapter
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, JsonObject, Operation

SECRET = "sk-contract-0123456789abcdef"
MODELS = {"anthropic": "claude-sonnet-4-5", "perplexity": "perplexity/sonar", "cohere": "command-a-03-2025"}
WEATHER = {
    "type": "function",
    "function": {"name": "get_weather", "parameters": {"type": "object", "properties": {"city": {"type": "string"}}}},
}
BODIES: dict[Operation, JsonObject] = {
    Operation.CHAT: {"messages": [{"role": "user", "content": "Hi"}], "tools": [WEATHER], "max_tokens": 50},
    Operation.COMPLETIONS: {"prompt": "Once", "max_tokens": 50},
    Operation.EMBEDDINGS: {"input": "Hi"},
}


def asked(
    operation: Operation = Operation.CHAT, *, stream: bool = False, include_usage: bool = False, **more: Any
) -> ClientRequest:
    body: JsonObject = {"model": "m", **copy.deepcopy(BODIES[operation]), **more}
    if stream:
        body |= {"stream": True}
    if include_usage:
        body |= {"stream_options": {"include_usage": True}}
    return ClientRequest(
        operation=operation,
        model="m",
        body=body,
        stream=stream,
        include_usage=include_usage,
        received_at_s=1_790_000_000,
    )


def deployed(adapter: Adapter, base_path: str = "") -> DeploymentSpec:
    provider = ProviderSpec(
        id=1,
        name="the-provider",
        kind=adapter.kind,
        endpoint=Endpoint(scheme="https", host="up.test", port=443),
        base_path=base_path,
        headers=(("x-configured", "yes"),),
    )
    model = MODELS.get(adapter.kind, "up")
    return DeploymentSpec(id=1, provider=provider, model="m", upstream_model=model, max_output_tokens=4096)


def served(adapter: Adapter) -> list[Operation]:
    return [operation for operation in Operation if operation in adapter.operations]


def values(data: bytes) -> list[Any]:
    found = [part.removeprefix("data: ") for part in data.decode().split("\n\n") if part]
    return [part if part == "[DONE]" else json.loads(part) for part in found]


def fold(chunks: list[Any]) -> tuple[str, list[tuple[str, str, str]], list[str], list[str]]:
    """What a client library makes of the chunks."""
    text, roles, reasons = "", [], []
    calls: dict[int, list[str]] = {}
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice["delta"]
            text += delta.get("content") or ""
            roles += [delta["role"]] if delta.get("role") else []
            reasons += [choice["finish_reason"]] if choice["finish_reason"] else []
            for call in delta.get("tool_calls") or ():
                assert call["index"] <= len(calls)
                known = calls.setdefault(call["index"], ["", "", ""])
                known[0] += call.get("id") or ""
                known[1] += call["function"].get("name") or ""
                known[2] += call["function"].get("arguments") or ""
    return text, [(call[0], call[1], call[2]) for call in calls.values()], roles, reasons
