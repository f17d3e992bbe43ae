"""The same for a request of Anthropic's clients: whatever it holds, it is refused by name or arrives, and breaks nothing."""

import copy
import json
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from providers.dialects.json_limits import JsonRefusedError
from providers.types import Operation
from routing.endpoints.decoding import decode
from routing.endpoints.messages import count_message_tokens, read_message_request
from routing.errors import InvalidRequest
from tests.unit.routing.test_wrong_types import DEPLOYMENTS, JSON, OTHERS, arrivals, places, with_other

MARK = {"type": "ephemeral"}
SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}
FORMAT = {"type": "json_schema", "schema": SCHEMA}
PICTURE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "AA=="}}
PAGE = {"type": "base64", "media_type": "application/pdf", "data": "AA=="}
TOOLS = [{"name": "f", "description": "d", "input_schema": SCHEMA, "cache_control": MARK, "strict": True}]
PLAIN: dict[str, Any] = {"model": "m", "max_tokens": 5, "messages": [{"role": "user", "content": "x"}]}
SAID = {
    "user": [
        {"type": "text", "text": "hi", "cache_control": MARK},
        PICTURE,
        {"type": "image", "source": {"type": "url", "url": "https://a.example/a.png"}},
        {"type": "document", "title": "t", "citations": {"enabled": False}, "source": PAGE},
        {"type": "document", "title": "t", "source": {"type": "text", "media_type": "text/plain", "data": "abc"}},
        {"type": "tool_result", "tool_use_id": "t", "is_error": True, "content": [{"type": "text", "text": "r"}, PICTURE]},
    ],
    "assistant": [
        {"type": "thinking", "thinking": "t", "signature": "s"},
        {"type": "redacted_thinking", "data": "d"},
        {"type": "text", "text": "a"},
        {"type": "tool_use", "id": "t", "name": "f", "input": {"a": "b"}, "cache_control": MARK},
    ],
}  # fmt: skip
EVERYTHING: dict[str, Any] = {
    **PLAIN, "temperature": 1, "top_p": 1, "top_k": 5, "stream": True, "stop_sequences": ["x"], "service_tier": "auto",
    "system": [{"type": "text", "text": "s", "cache_control": MARK}], "metadata": {"user_id": "u"}, "tools": TOOLS,
    "thinking": {"type": "enabled", "budget_tokens": 1024}, "output_config": {"format": FORMAT},
    "tool_choice": {"type": "tool", "name": "f", "disable_parallel_tool_use": True},
    "messages": [
        {"role": "user", "content": SAID["user"][:-1]},
        {"role": "assistant", "content": SAID["assistant"]},
        {"role": "user", "content": SAID["user"][-1:]},
        {"role": "assistant", "content": "ok"},
        {"role": "user", "content": "x"},
    ],
}  # fmt: skip
"""All that every provider can be told."""
RARE: dict[str, Any] = {
    "container": {"id": "c"}, "mcp_servers": [{"type": "url", "url": "https://a.example", "name": "n"}], "cache_control": MARK,
    "inference_geo": "us", "speed": "fast", "context_management": {"edits": []}, "betas": ["x"],
    "output_config": {"effort": "low"},
    "output_format": FORMAT, "tools": [{"type": "web_search_20250305", "name": "web_search"}],
    "messages_api": {"top_k": 5}, "n": 1, "stream_options": {"include_usage": True}, "user": "u", "function_call": "auto",
}  # fmt: skip


def travel(body: dict[str, Any]) -> int:
    raw = json.dumps(body).encode()
    try:
        count_message_tokens(raw)
        request, _ = read_message_request(raw, "req_1")
    except (InvalidRequest, JsonRefusedError):
        return 0
    return arrivals(request, DEPLOYMENTS)


def bodies() -> Iterator[tuple[dict[str, Any], str]]:
    """Each with the field that is to be wrong: alone, so that nothing before it is refused."""
    for name in EVERYTHING:
        yield EVERYTHING, name
        yield {**PLAIN, "tools": TOOLS, name: EVERYTHING[name]}, name
    for name, value in RARE.items():
        yield {**PLAIN, name: value}, name
    for role, blocks in SAID.items():
        for block in blocks:
            yield {**PLAIN, "messages": [{"role": role, "content": [block]}]}, "messages"


def test_no_wrong_type_anywhere_breaks_the_way_to_a_provider() -> None:
    assert travel(EVERYTHING) > 5
    for body, name in bodies():
        for path in (path for path in places(body) if path[0] == name):
            for other in [*OTHERS, [{"type": "text"}], {"type": "x"}]:
                try:
                    travel(with_other(body, path, other))
                except Exception as error:
                    raise AssertionError(f"{path} = {other!r}") from error


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    changes=st.lists(st.tuples(st.sampled_from(list(places({**EVERYTHING, **RARE}))), JSON), min_size=1, max_size=4),
    keep=st.sets(st.sampled_from(sorted({**EVERYTHING, **RARE}))),
)
def test_nor_do_several_at_once(changes: list[tuple[tuple[Any, ...], Any]], keep: set[str]) -> None:
    body = copy.deepcopy({name: value for name, value in {**EVERYTHING, **RARE}.items() if name in keep | PLAIN.keys()})
    for path, other in changes:
        try:
            body = with_other(body, path, other)
        except (KeyError, IndexError, TypeError):
            # Another change has taken its place away.
            continue
    travel(body)


@pytest.mark.parametrize("budget", [-1, "many", 1.5, 2**64])
def test_a_budget_that_is_none_is_refused_by_its_name(budget: Any) -> None:
    with pytest.raises(InvalidRequest) as caught:
        read_message_request(
            json.dumps({**PLAIN, "thinking": {"type": "enabled", "budget_tokens": budget}}).encode(), "r"
        )
    assert caught.value.param == "thinking.budget_tokens"


@pytest.mark.parametrize("value", [5, {"top_k": 1}, None])
@pytest.mark.parametrize("operation", Operation)
def test_the_field_that_only_a_message_has_is_nobody_elses(operation: Operation, value: Any) -> None:
    """Who sends it in a chat would be taken for a client of Anthropic's."""
    asked = {"messages": [{"role": "user", "content": ["x"]}], "prompt": "x", "input": "x"}
    with pytest.raises(InvalidRequest) as caught:
        decode(operation, {"model": "m", **asked, "messages_api": value}, raw=b"{}", received_at_s=1)
    assert (caught.value.param, caught.value.code) == ("messages_api", "unknown_parameter")
    request, _ = read_message_request(json.dumps({**PLAIN, "messages_api": value}).encode(), "req_1")
    assert request.body["messages_api"] == {}
