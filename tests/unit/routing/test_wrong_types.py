"""A value of a wrong type anywhere in a request is the client's mistake or the upstream's to judge, never one of ours."""

import copy
import json
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.adapters import REGISTRY, adapter_for
from providers.dialects.openai_responses.request import ASKED, PASSED_ON
from providers.dialects.perplexity_agent import FILTERS, OWN_FIELDS
from providers.errors import UpstreamError
from providers.specs import DeploymentSpec
from providers.types import ClientRequest, Operation
from routing.endpoints.decoding import decode
from routing.errors import RequestError
from routing.estimation import estimate, likely_context, may_fill_window, needs, prompt_tokens
from tests.unit.routing.pools import ENDPOINT, deployment, provider

# The last two are what JSON readers make of integers of more than 64 bits, which no JSON writer takes back as integers.
OTHERS = [None, True, -1, 1.5, "", [], [[]], {}, {"x": None}, [None], {"type": []}, 2**64 - 1, float(2**64), 1e300]
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


DATES = {"type": "object", "properties": {"on": {"type": "string", "format": "date"}}}
SCHEMA = {"type": "json_schema", "json_schema": {"name": "s", "schema": DATES}}
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
        {
            "model": "m",
            "prompt": ["a"],
            "max_tokens": 5,
            "max_completion_tokens": 5,
            "n": 1,
            "stop": ["x"],
            "echo": True,
        },
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


def at(kind: str, **fields: Any) -> DeploymentSpec:
    """With an endpoint and the options of its kind."""
    return deployment(of=replace(provider(), kind=kind, **fields))


# One of those that merely relay, and all that look into what they pass on. Claude 4 has no structured output.
RELAYING = ("openrouter", "blackbox", "azure")
DEPLOYMENTS = [
    *[at(kind) for kind in REGISTRY if kind not in RELAYING],
    replace(at("anthropic"), upstream_model="claude-sonnet-4-5"),
    replace(at("anthropic"), upstream_model="claude-sonnet-4-20250514"),
    at("perplexity", options={"dialect": "sonar"}),
    at("openai", options={"dialect": "mistral"}),
    at("openai", endpoint=replace(ENDPOINT, host="api.groq.com")),
]


def travels(operation: Operation, body: dict[str, Any], deployments: Iterable[DeploymentSpec]) -> int:
    """As far as a request gets before it is sent, to each deployment; at how many of them it would arrive."""
    try:
        request = decode(operation, body, raw=json.dumps(body).encode(), received_at_s=1)
    except RequestError:
        return 0
    return arrivals(request, deployments)


def arrivals(request: ClientRequest, deployments: Iterable[DeploymentSpec]) -> int:
    needs(request), may_fill_window(request), prompt_tokens(request)
    likely_context(request, estimate(request).likely_input)
    arrived = 0
    for each in deployments:
        try:
            adapter_for(each.provider.kind).serving(request, each).prepare(request, each, "secret")
            arrived += 1
        except UpstreamError:
            continue
    return arrived


@pytest.mark.parametrize("name", BODIES)
def test_no_wrong_type_anywhere_breaks_the_way_to_a_provider(name: str) -> None:
    operation, body = BODIES[name]
    assert travels(operation, body, DEPLOYMENTS) >= (0 if name == "everything" else 1)
    for path in places(body):
        for other in OTHERS:
            try:
                travels(operation, with_other(body, path, other), DEPLOYMENTS)
            except Exception as error:
                raise AssertionError(f"{path} = {other!r}") from error


OWN: dict[str, Any] = {
    "functions": [{"name": "f", "parameters": {}}], "function_call": {"name": "f"}, "top_k": 1, "k": 1, "safety_mode": "OFF",
    "documents": [{"data": {"t": "x"}}], "citation_options": {"mode": "OFF"}, "priority": 1, "strict_tools": True,
    "cache_control": {"type": "ephemeral"}, "container": "c", "diagnostics": {}, "inference_geo": "us", "mcp_servers": [],
    "output_config": {"effort": "low"}, "speed": "fast", "include": ["x"], "reasoning": {"effort": "low"}, "store": True,
    "reasoning_effort": "low", "logit_bias": {"5": 1}, "top_logprobs": 2, "seed": 1, "input_type": "search_query",
    "truncate": "END", "encoding_format": "float", "dimensions": 5, "best_of": 1, "echo": False, "suffix": "x",
    "disable_search": True, "search_mode": "web", "return_images": False, "return_related_questions": False,
    "plugins": [{"id": "x"}], "transforms": [], "max_tokens": 5, "response_format": SCHEMA, "stop": "x", "tools": [TOOL],
    "web_search_options": {"user_location": {"approximate": {"city": "x"}}}, "tool_choice": {"type": "function"},
    "safety_identifier": "s", "stream_options": {"include_usage": True}, "thinking": {"type": "enabled"}, "messages": [],
}  # fmt: skip
"""Fields that some dialect reads by itself, each with a value it takes somewhere."""

KNOWN = {
    **dict.fromkeys([*ASKED, *PASSED_ON, *OWN_FIELDS, *FILTERS]),
    **{name: None for each in REGISTRY.values() for name in (*each.quirks.refused, *each.quirks.dropped)},
    **OWN,
}
PLAIN: dict[Operation, dict[str, Any]] = {
    Operation.CHAT: {"model": "m", "messages": [{"role": "user", "content": "x"}]},
    Operation.COMPLETIONS: {"model": "m", "prompt": "x"},
    Operation.EMBEDDINGS: {"model": "m", "input": ["a"]},
}


@pytest.mark.parametrize("operation", Operation)
def test_no_wrong_type_of_a_field_that_only_some_dialect_knows_does_either(operation: Operation) -> None:
    plain = PLAIN[operation]
    for name, value in KNOWN.items():
        body = {**plain, name: value}
        for path in (path for path in places(body) if path[0] == name):
            for other in OTHERS:
                try:
                    travels(operation, with_other(body, path, other), DEPLOYMENTS)
                except Exception as error:
                    raise AssertionError(f"{path} = {other!r}") from error


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(["", "x", "auto", "function", "json_schema", "text", "none", "END"]),
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(
        st.sampled_from(["type", "name", "function", "json_schema", "schema", "format", "tools", "mode", "text", "role"]),
        inner,
        max_size=4,
    ),
    max_leaves=10,
)  # fmt: skip


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(operation=st.sampled_from(Operation), fields=st.dictionaries(st.sampled_from(sorted(KNOWN)), JSON, max_size=3))
def test_nor_does_any_value_that_json_can_hold(operation: Operation, fields: dict[str, Any]) -> None:
    travels(operation, {**PLAIN[operation], **fields}, DEPLOYMENTS)


def test_messages_of_a_text_completion_are_nobodys() -> None:
    body = {**PLAIN[Operation.COMPLETIONS], "messages": [5], "metadata": {"kind": "file"}}
    assert travels(Operation.COMPLETIONS, body, [at("openai")]) == 1


@pytest.mark.parametrize("count", [2**53 + 1, float(2**64), 1e308])
def test_a_count_beyond_what_numbers_hold_is_refused_and_a_seed_of_64_bits_is_not(count: float) -> None:
    body = {**PLAIN[Operation.CHAT], "logprobs": True, "top_logprobs": count}
    assert travels(Operation.CHAT, body, [at("openai_responses")]) == 0
    assert travels(Operation.CHAT, {**PLAIN[Operation.CHAT], "seed": 2**63 - 1}, [at("cohere")]) == 1


@pytest.mark.parametrize("value", [["search_query"], {"search_query": 1}, 5, True, "no such"])
@pytest.mark.parametrize("field", ["input_type", "truncate"])
def test_a_choice_of_coheres_embeddings_that_is_no_word_is_refused(field: str, value: Any) -> None:
    assert travels(Operation.EMBEDDINGS, {**PLAIN[Operation.EMBEDDINGS], field: value}, [at("cohere")]) == 0
