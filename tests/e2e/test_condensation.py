"""A conversation that does not fit is shortened and answered, and everybody can see what was done to it."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.counting import CountingUpstream, count
from tests.upstreams.servers import run_asgi

CHAT = "/v1/chat/completions"
MODELS: list[dict[str, Any]] = [
    {"model": "small", "upstream_model": "window=600", "tags": ["near"]},
    {"model": "known", "upstream_model": "window=600;known", "context_window": 600},
    {"model": "large", "upstream_model": "window=5000;large", "context_window": 5000, "tags": ["far"]},
    {"model": "foreign", "upstream_model": "window=600;words=the_box_is_full"},
    {"model": "strange", "upstream_model": "window=600;words=no_idea_what_is_wrong"},
    {"model": "summariser", "upstream_model": "s"},
    {"model": "broken", "upstream_model": "fail=99", "context_window": 50_000},
]
SYSTEM = {"role": "system", "content": "Always answer in French. FACT-1"}


@pytest.fixture(scope="module")
def upstream() -> CountingUpstream:
    return CountingUpstream()


@pytest.fixture(scope="module")
def url(upstream: CountingUpstream) -> Iterator[str]:
    with run_asgi(upstream) as url:
        yield url


def gateway(directory: Path, template: Path, url: str, **condensation: Any) -> GatewayProcess:
    process = GatewayProcess(fresh_copy(template, directory / "data"))
    process.seed(
        {
            "providers": [{"name": "only", "base_url": f"{url}/v1", "models": MODELS}],
            "settings": {"condensation": condensation},
            "aliases": [
                {"name": "untouched", "targets": ["small"], "condensation_enabled": False},
                {"name": "uneven", "targets": ["known", "broken"]},
                {"name": "tagged", "targets": ["small", "large"]},
            ],
            "policies": [{"name": "wide", "pattern": "known", "context_fallbacks": ["large"]}],
        }
    )
    return process.start()


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, url: str) -> Iterator[GatewayProcess]:
    process = gateway(
        tmp_path_factory.mktemp("condensing"),
        migrated_data_dir,
        url,
        error_keywords=["box is full"],
        notice=True,
        cache_ttl=60,
    )
    yield process
    process.end()


def long_conversation(mark: str, turns: int = 12) -> list[dict[str, Any]]:
    messages: list[dict[str, Any]] = [SYSTEM]
    for turn in range(turns):
        calls = [{"id": f"c{turn}", "type": "function", "function": {"name": "f", "arguments": "{}"}}]
        messages += [
            {"role": "user", "content": f"{mark} question {turn} " + "word " * 30},
            {"role": "assistant", "content": None, "tool_calls": calls},
            {"role": "tool", "tool_call_id": f"c{turn}", "content": "output " * 20},
            {"role": "assistant", "content": f"answer {turn} " + "word " * 30},
        ]
    return [*messages, {"role": "user", "content": f"{mark} FACT-2"}]


def ask(server: GatewayProcess, model: str, messages: list[dict[str, Any]], **more: Any) -> tuple[int, dict, Any]:
    headers = more.pop("headers", None)
    status, got, body = server.post(CHAT, {"model": model, "messages": messages, **more}, headers)
    return status, got, body if more.get("stream") else json.loads(body)


def followed(server: GatewayProcess, headers: dict[str, str]) -> list[tuple[str, str | None]]:
    """Of each attempt, its outcome and what the decision says that the gateway did then."""
    _, _, body = server.get(f"/requests/{headers['x-request-id']}")
    return [(attempt["outcome"], attempt["then"]) for attempt in json.loads(body)["attempts"]]


def receipt(headers: dict[str, str]) -> dict[str, str]:
    return dict(part.split("=", 1) for part in headers["x-llm-proxy-condensed"].split(";"))


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize("model", ["small", "foreign"])
def test_a_refused_conversation_is_shortened_and_answered(
    server: GatewayProcess, upstream: CountingUpstream, model: str, stream: bool
) -> None:
    mark = f"refused {model} {stream}"
    messages = long_conversation(mark)
    status, headers, body = ask(server, model, messages, stream=stream)
    assert status == 200, body
    told = receipt(headers)
    assert int(told["after"]) < int(told["before"])
    assert told["steps"].startswith("drop_turns:")
    first, *between, second = upstream.asked(f"{mark} FACT-2")
    assert len(between) == (model == "foreign"), "without numbers it takes two rounds"
    assert first["messages"] == messages
    assert second["messages"][0] == SYSTEM
    assert second["messages"][-1] == messages[-1]
    assert "left out" in second["messages"][1]["content"]
    assert count(second) <= 600
    assert headers["x-llm-proxy-attempts"] == str(2 + len(between))


def test_the_next_turn_starts_from_the_short_form(server: GatewayProcess, upstream: CountingUpstream) -> None:
    messages = long_conversation("again")
    ask(server, "small", messages)
    following = [*messages, {"role": "assistant", "content": "x"}, {"role": "user", "content": "again FACT-3"}]
    status, headers, _ = ask(server, "small", following)
    assert status == 200
    assert headers["x-llm-proxy-attempts"] == "1"
    assert receipt(headers)["steps"] == "remembered"
    (sent,) = upstream.asked("again FACT-3")
    assert sent["messages"][-3:] == following[-3:]


def test_where_it_fits_by_its_tags_nothing_is_left_out_because_it_was_elsewhere(server: GatewayProcess) -> None:
    messages = long_conversation("tagged")
    _, near, _ = ask(server, "tagged", messages, headers={"x-llm-proxy-tags": "near"})
    assert receipt(near)["steps"].startswith("drop_turns:")
    status, far, _ = ask(server, "tagged", messages, headers={"x-llm-proxy-tags": "far"})
    assert (status, far["x-llm-proxy-model"]) == (200, "window=5000;large")
    assert "x-llm-proxy-condensed" not in far


def test_a_larger_window_is_tried_before_anything_is_left_out(
    server: GatewayProcess, upstream: CountingUpstream
) -> None:
    messages = long_conversation("wide")
    status, headers, _ = ask(server, "known", messages)
    assert status == 200
    assert "x-llm-proxy-condensed" not in headers
    assert headers["x-llm-proxy-model"] == "window=5000;large"
    (sent,) = upstream.asked("wide FACT-2")
    assert sent["messages"] == messages


def test_what_no_window_holds_is_shortened_for_the_widest(server: GatewayProcess, upstream: CountingUpstream) -> None:
    status, headers, _ = ask(server, "known", long_conversation("wider", turns=60))
    assert status == 200
    assert int(receipt(headers)["after"]) <= 2500
    (sent,) = upstream.asked("wider FACT-2")
    assert sent["messages"][0] == SYSTEM


def test_an_alias_or_a_foreign_error_leaves_the_conversation_alone(server: GatewayProcess) -> None:
    status, headers, body = ask(server, "untouched", long_conversation("off"))
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    assert "x-llm-proxy-condensed" not in headers
    assert followed(server, headers) == [("context_overflow", "stop")]
    status, headers, body = ask(server, "strange", long_conversation("strange"))
    assert status == 400
    assert body["error"]["message"] == "no idea what is wrong"
    assert "x-llm-proxy-condensed" not in headers


def test_a_failure_where_it_fits_leaves_nothing_out_for_a_smaller_window(
    server: GatewayProcess, upstream: CountingUpstream
) -> None:
    status, headers, body = ask(server, "uneven", long_conversation("uneven"))
    assert (status, body["error"]["type"]) == (502, "upstream_error")
    assert "x-llm-proxy-condensed" not in headers
    assert {request["model"] for request in upstream.asked("uneven FACT-2")} == {"fail=99"}


def test_a_question_too_long_by_itself_is_refused_as_the_provider_does(server: GatewayProcess) -> None:
    status, headers, body = ask(server, "small", [SYSTEM, {"role": "user", "content": "word " * 2000}])
    assert (status, body["error"]["code"]) == (400, "context_length_exceeded")
    assert followed(server, headers)[-1] == ("context_overflow", "stop")


def test_a_question_that_no_known_window_holds_is_refused_in_the_same_way(
    server: GatewayProcess, upstream: CountingUpstream
) -> None:
    status, headers, body = ask(server, "known", [SYSTEM, {"role": "user", "content": "alone " * 20_000}])
    assert (status, body["error"]["code"], body["error"]["param"]) == (400, "context_length_exceeded", "messages")
    assert body["error"]["message"].startswith("This model's maximum context length is 5000 tokens.")
    assert headers["x-should-retry"] == "false"
    assert not upstream.asked("alone alone")


def test_the_decision_tells_what_was_done(server: GatewayProcess) -> None:
    _, headers, _ = ask(server, "small", long_conversation("told"), headers={"x-request-id": "told-1"})
    status, _, body = server.get("/requests/told-1")
    assert status == 200
    told = json.loads(body)
    assert told["condensed"]["steps"] == receipt(headers)["steps"].split(",")
    assert followed(server, headers) == [("context_overflow", "condense"), ("success", None)]


def test_a_summary_takes_the_place_of_what_is_dropped(
    migrated_data_dir: Path, tmp_path: Path, url: str, upstream: CountingUpstream
) -> None:
    server = gateway(
        tmp_path, migrated_data_dir, url, summary_model="summariser", adaptive_factor=0.9, max_tokens_default=60
    )
    try:
        messages = long_conversation("sum")
        status, headers, _ = ask(server, "small", messages)
        assert status == 200
        assert receipt(headers)["steps"].endswith("summarise:1")
        (asked,) = [request for request in upstream.requests if request["model"] == "s"]
        assert asked["max_tokens"] == 60
        assert "sum question 0" in asked["messages"][1]["content"]
        sent = upstream.asked("sum FACT-2")[-1]
        assert sent["messages"][1]["content"].startswith("Summary of earlier messages")
        # Nine tenths of the window and a small answer leave room for more than the half of the other tests.
        assert 300 < count(sent) <= 600
    finally:
        server.stop()
