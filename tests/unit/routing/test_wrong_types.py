"""A value of a wrong type anywhere in a request is the client's mistake or the upstream's to judge, never one of ours."""

import copy
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from providers.adapters import REGISTRY, adapter_for
from providers.errors import UpstreamError
from providers.types import Operation
from routing.endpoints.decoding import decode
from routing.errors import RequestError
from routing.estimation import estimate, likely_context, may_fill_window, needs, prompt_tokens
from tests.unit.routing.pools import deployment, provider

OTHERS = [None, True, -1, 1e300, "", [], [[]], {}, {"x": None}, [None]]
CALL = {"id": "call_1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA==", "detail": "low"}}
FILE = {"type": "file", "file": {"file_data": "data:application/pdf;base64,AA==", "filename": "x.pdf"}}
AUDIO = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
TOOL = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}, "strict": True}}


def chat(*parts: Any, **more: Any) -> dict[str, Any]:
    messages = [
        {"role": "system", "content": "be brief"},
        {"role": "user", "content": [{"type": "text", "text": "hi"}, *parts], "name": "n"},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "call_1", "content": "42"},
        {"role": "assistant", "content": [{"type": "text", "text": "so"}]},
        {"role": "user", "content": "x"},
    ]
    choice = {"type": "function", "function": {"name": "f"}}
    return {"model": "m", "messages": messages, "tools": [TOOL], "tool_choice": choice, **more}


SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": {"type": "object"}}}
EVERYTHING = {
    "response_format": SCHEMA, "stop": ["x"], "seed": 1, "user": "u", "metadata": {"a": "b"}, "n": 1, "top_p": 1,
    "logit_bias": {"50256": 1}, "stream": True, "stream_options": {"include_usage": True}, "temperature": 1,
    "max_completion_tokens": 5, "safety_identifier": "s", "modalities": ["text"], "reasoning_effort": "low",
    "logprobs": True, "top_logprobs": 2, "presence_penalty": 0, "thinking": {"type": "enabled", "budget_tokens": 1024},
    "web_search_options": {"user_location": {"type": "approximate"}}, "prediction": {"type": "content", "content": "x"},
    "verbosity": "low", "parallel_tool_calls": True,
}  # fmt: skip
BODIES = {
    "everything": (Operation.CHAT, chat(IMAGE, AUDIO, FILE, **EVERYTHING)),
    # Every dialect can say this one, so that its encoder is reached.
    "the common": (Operation.CHAT, chat(IMAGE, max_completion_tokens=5, stop=["x"], response_format=SCHEMA)),
    "completions": (
        Operation.COMPLETIONS,
        {"model": "m", "prompt": ["a"], "max_tokens": 5, "stop": ["x"], "echo": True},
    ),
    "embeddings": (Operation.EMBEDDINGS, {"model": "m", "input": ["a"], "dimensions": 5, "encoding_format": "float"}),
}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to everything inside a JSON value."""
    entries = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, inner in entries:
        yield (*path, name)
        yield from places(inner, (*path, name))


def with_other(value: Any, path: tuple[Any, ...], other: Any) -> Any:
    changed = copy.deepcopy(value)
    inner = changed
    for name in path[:-1]:
        inner = inner[name]
    inner[path[-1]] = other
    return changed


def travels(operation: Operation, body: dict[str, Any], kinds: list[str]) -> int:
    """As far as a request gets before it is sent, to each kind of provider; at how many of them it would arrive."""
    try:
        request = decode(operation, body, raw=json.dumps(body).encode(), received_at_s=1)
    except RequestError:
        return 0
    needs(request), may_fill_window(request), prompt_tokens(request)
    likely_context(request, estimate(request).likely_input)
    arrived = 0
    for kind in kinds:
        try:
            adapter_for(kind).prepare(request, deployment(of=replace(provider(), kind=kind)), "secret")
            arrived += 1
        except UpstreamError:
            continue
    return arrived


@pytest.mark.parametrize("name", BODIES)
def test_no_wrong_type_anywhere_breaks_the_way_to_a_provider(name: str) -> None:
    operation, body = BODIES[name]
    # One of those that merely relay is enough: they share the code.
    kinds = [kind for kind in REGISTRY if kind not in ("grok", "openrouter", "blackbox", "azure")]
    assert travels(operation, body, kinds) >= (0 if name == "everything" else 1)
    for path in places(body):
        for other in OTHERS:
            try:
                travels(operation, with_other(body, path, other), kinds)
            except Exception as error:
                raise AssertionError(f"{path} = {other!r}") from error
