"""What the gateway does around a chat it does around a message, too, and Anthropic's clients are told of it in their shape."""

import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from providers.demo import create_app
from tests.e2e import ledger
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.e2e.messages import MESSAGES, error_of, said, text_of
from tests.unit.providers.message_frames import read
from tests.upstreams.behaviours import expected_text
from tests.upstreams.counting import CountingUpstream
from tests.upstreams.faults import FaultUpstream, fault_upstream_in_thread
from tests.upstreams.servers import run_asgi

FAULTS = {
    "fine": "fault:none",
    "failing": "fault:status?status=500",
    "cut": "fault:cut?tokens=20&cut_at=1500&cut_with=clean",
    "hanging": "fault:hang_before_headers",
    "waiting": "fault:hang_mid_stream",
    "silent": "fault:none?delay_s=17",
    "long": "fault:none?tokens=20000",
}
SPENT = "fault:status?status=429&retry_after=7&retry_after_form=seconds"


@pytest.fixture(scope="module")
def faults() -> Iterator[FaultUpstream]:
    with fault_upstream_in_thread() as upstream:
        yield upstream


@pytest.fixture(scope="module")
def counting() -> CountingUpstream:
    return CountingUpstream()


class Anthropics:
    """The demo of its dialect, which notes the betas that it is asked for."""

    def __init__(self) -> None:
        self.betas: list[str | None] = []
        self._app = create_app(dialect="anthropic")

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http":
            found = dict(scope["headers"]).get(b"anthropic-beta")
            self.betas.append(None if found is None else found.decode())
        await self._app(scope, receive, send)


@pytest.fixture(scope="module")
def anthropics() -> Anthropics:
    return Anthropics()


@pytest.fixture(scope="module")
def server(
    migrated_data_dir: Path,
    tmp_path_factory: pytest.TempPathFactory,
    faults: FaultUpstream,
    counting: CountingUpstream,
    anthropics: Anthropics,
) -> Iterator[GatewayProcess]:
    with ExitStack() as stack:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("messages") / "data"))
        apps = {"openai": create_app(dialect="openai"), "anthropic": anthropics}
        at = {kind: stack.enter_context(run_asgi(app)) + "/v1" for kind, app in apps.items()}
        counted = stack.enter_context(run_asgi(counting)) + "/v1"
        never_out = {"circuit_breaker_threshold": 100_000, "max_retries": 0}

        def provider(name: str, url: str, models: dict[str, str], **more: Any) -> dict[str, Any]:
            served = [{"model": model, "upstream_model": target} for model, target in models.items()]
            return {"name": name, "base_url": url, "models": served, **never_out, **more}

        process.seed(
            {
                "providers": [
                    provider("faulty", f"{faults.url}/v1", FAULTS),
                    provider("spent", f"{faults.url}/v1", {"spent": SPENT}),
                    provider("counted", counted, {"m": "m", "tight": "window=600"}),
                    *[provider(kind, url, {f"by-{kind}": "demo-small"}, kind=kind) for kind, url in at.items()],
                ],
                "aliases": [
                    {"name": "first-fails", "targets": ["failing", "by-anthropic"]},
                ],
                "settings": {
                    "response_cache": {"enabled": True, "ttl": 60},
                    "payload_logging": {"enabled": True, "retention_days": 3},
                    "condensation": {"enabled": True},
                },
            }
        ).start()
        yield process
        process.stop()


@pytest.mark.parametrize("first", [False, True])
def test_an_answer_comes_back_from_the_cache_in_the_form_that_is_asked_for(
    server: GatewayProcess, counting: CountingUpstream, first: bool
) -> None:
    mark = f"cached {first}"
    fresh = server.post(MESSAGES, said(mark, stream=first))
    again = [server.post(MESSAGES, said(mark, stream=stream)) for stream in (False, True)]
    chat = server.post("/v1/chat/completions", {"model": "m", "messages": [{"role": "user", "content": mark}]})
    assert fresh[1]["x-llm-proxy-cache"] == "miss"
    assert [each[1]["x-llm-proxy-cache"] for each in again] == ["hit", "hit"]
    assert [text_of(each) for each in again] == [text_of(fresh)] * 2
    assert json.loads(chat[2])["object"] == "chat.completion"
    assert len(counting.asked(mark)) == 2


def test_a_repetition_is_answered_from_the_record(server: GatewayProcess, counting: CountingUpstream) -> None:
    key = {"idempotency-key": "one", "x-llm-proxy-no-cache": "1"}
    first, second = (server.post(MESSAGES, said("once"), key) for _ in range(2))
    assert second[1]["idempotent-replayed"] == "true"
    assert first[2] == second[2]
    assert len(counting.asked("once")) == 1
    other = error_of(server.post(MESSAGES, said("twice"), key), 422)
    assert other["code"] == "idempotency_mismatch"


@pytest.mark.parametrize(
    ("model", "status", "kind"), [("failing", 502, "api_error"), ("spent", 429, "rate_limit_error")]
)
def test_a_failure_with_an_idempotency_key_has_anthropics_shape(
    server: GatewayProcess, model: str, status: int, kind: str
) -> None:
    answer = server.post(MESSAGES, said("x", model), {"idempotency-key": f"fails {model}"})
    assert error_of(answer, status)["type"] == kind


def test_what_a_limit_or_a_budget_refuses_says_when_to_come_back(server: GatewayProcess) -> None:
    slow = server.manage("create_api_key", "slow", "--rpm", "1").split()[0]
    poor = server.manage("create_api_key", "poor", "--budget-tokens", "1").split()[0]
    answers = [server.post(MESSAGES, said("x"), {"authorization": f"Bearer {slow}"}) for _ in range(2)]
    assert error_of(answers[1], 429)["code"] == "rate_limit_exceeded"
    assert answers[1][1]["retry-after"]
    refused = server.post(MESSAGES, said("x", "by-openai"), {"authorization": f"Bearer {poor}"})
    error = error_of(refused, 429)
    assert (error["type"], error["code"]) == ("rate_limit_error", "insufficient_quota")
    assert refused[1]["x-should-retry"] == "false"


@pytest.mark.parametrize("stream", [False, True])
def test_another_answers_when_the_first_fails(server: GatewayProcess, stream: bool) -> None:
    """With a history in which either has thought and called."""
    history = [
        {"role": "user", "content": "hi"},
        {"role": "assistant", "content": [
            {"type": "thinking", "thinking": "Hm.", "signature": "c2ln"},
            {"type": "tool_use", "id": "functions.f:0", "name": "f", "input": {"a": "b"}},
        ]},
        {"role": "user", "content": [{"type": "tool_result", "tool_use_id": "functions.f:0", "content": "42"}]},
    ]  # fmt: skip
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    for model, provider in (("first-fails", "anthropic"), ("by-openai", "openai")):
        asked = said("x", model, stream=stream, messages=history, tools=tools)
        answer = server.post(MESSAGES, asked, {"x-llm-proxy-no-cache": "1"})
        assert text_of(answer)
        assert answer[1]["x-llm-proxy-provider"] == provider


def test_a_beta_that_the_client_asks_for_reaches_anthropic(server: GatewayProcess, anthropics: Anthropics) -> None:
    asked = said("x", "by-anthropic")
    body = {**asked, "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]}}
    server.post(MESSAGES, body, {"anthropic-beta": "context-management-2025-06-27, oauth-2025-04-20"})
    server.post(MESSAGES, asked, {"x-llm-proxy-no-cache": "1"})
    assert anthropics.betas[-2:] == ["context-management-2025-06-27", None]


def test_who_cannot_serve_it_is_not_asked(server: GatewayProcess) -> None:
    search = [{"type": "web_search_20250305", "name": "web_search"}]
    error = error_of(server.post(MESSAGES, said("x", "by-openai", tools=search)), 400)
    assert error["param"] == "tools"
    assert "web_search_20250305" in error["message"]
    hosts = [{"type": "url", "url": "https://a.example/mcp", "name": "n"}]
    error = error_of(server.post(MESSAGES, said("x", "by-openai", mcp_servers=hosts)), 400)
    assert error["param"] == "mcp_servers"


def test_a_stream_that_breaks_off_ends_with_an_error_that_has_the_requests_id(server: GatewayProcess) -> None:
    status, headers, body = server.post(MESSAGES, said("x", "cut", stream=True))
    *_, last = read(body)
    assert (status, last["type"], last["request_id"]) == (200, "error", headers["request-id"])


@pytest.mark.parametrize("stream", [False, True])
def test_the_clients_own_deadline_holds(server: GatewayProcess, stream: bool) -> None:
    answer = server.post(MESSAGES, said("x", "hanging", stream=stream), {"x-llm-proxy-timeout": "0.5"})
    assert error_of(answer, 504)["type"] == "timeout_error"


@pytest.mark.parametrize("model", ["hanging", "waiting"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_upstream_call_ends_with_its_client_and_is_booked(
    server: GatewayProcess, faults: FaultUpstream, model: str, stream: bool
) -> None:
    faults.forget()
    mark = f"left-{model}-{stream}"
    body = json.dumps(said("x", model, stream=stream)).encode()
    head = f"POST {MESSAGES} HTTP/1.1\r\nhost: x\r\nx-api-key: {server.key}\r\nx-request-id: {mark}"
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as client:
        client.sendall(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        deadline = time.monotonic() + 10
        while not faults.hits and time.monotonic() < deadline:
            time.sleep(0.01)
        client.settimeout(0.5)
        until = time.monotonic() + 0.5
        with contextlib.suppress(TimeoutError):
            while time.monotonic() < until:
                client.recv(65536)
    deadline = time.monotonic() + 5
    while faults.in_flight and time.monotonic() < deadline:
        time.sleep(0.01)
    assert faults.in_flight == 0
    (row,) = ledger.rows_of(server, mark)
    assert row["endpoint"] == "messages"
    assert (row["output_tokens"] > 0) is (stream and model == "waiting")


def streamed(server: GatewayProcess, model: str, pause_s: float = 0.0) -> bytes:
    """What a client reads that takes nothing for a while."""
    body = json.dumps(said("x", model, stream=True)).encode()
    with socket.socket() as client:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.settimeout(60)
        client.connect(("127.0.0.1", server.port))
        head = f"POST {MESSAGES} HTTP/1.0\r\nhost: x\r\nx-api-key: {server.key}\r\nx-llm-proxy-no-cache: 1"
        client.sendall(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(pause_s)
        told = b""
        while piece := client.recv(65536):
            told += piece
    return told.partition(b"\r\n\r\n")[2]


def test_a_slow_reader_loses_nothing(server: GatewayProcess) -> None:
    answer = streamed(server, "long", pause_s=1.0)
    assert len(answer) > 2_000_000
    assert text_of((200, {"content-type": "text/event-stream"}, answer)) == expected_text(20000)


@pytest.mark.slow
def test_comments_keep_a_silent_stream_alive(server: GatewayProcess) -> None:
    answer = streamed(server, "silent")
    assert answer.startswith(b": ")
    assert text_of((200, {"content-type": "text/event-stream"}, answer)) == expected_text(8)


def test_a_conversation_that_does_not_fit_is_shortened(server: GatewayProcess) -> None:
    turns: list[dict[str, Any]] = []
    for turn in range(12):
        call = {"type": "tool_use", "id": f"toolu_{turn}", "name": "f", "input": {}}
        result = {"type": "tool_result", "tool_use_id": f"toolu_{turn}", "content": "output " * 30, "is_error": False}
        turns += [
            {"role": "user", "content": f"question {turn} " + "word " * 30},
            {"role": "assistant", "content": [call]},
            {"role": "user", "content": [result]},
            {
                "role": "assistant",
                "content": [{"type": "text", "text": "word " * 30, "cache_control": {"type": "ephemeral"}}],
            },
        ]
    tools = [{"name": "f", "input_schema": {"type": "object", "properties": {}}}]
    asked = said(
        "x", "tight", system="Be brief.", tools=tools, messages=[*turns, {"role": "user", "content": "And now?"}]
    )
    answer = server.post(MESSAGES, asked)
    assert text_of(answer).strip() == "answer to And now?"
    assert answer[1]["x-llm-proxy-condensed"]
    refused = server.post(MESSAGES, said("far too long " * 2000, "tight"))
    assert error_of(refused, 400)["message"].startswith("prompt is too long: ")


def test_what_was_said_is_stored_without_secrets_and_exported(server: GatewayProcess) -> None:
    secret = "write to ana@example.com with sk-abcdefghijklmnopqrstuvwx"
    for stream in (False, True):
        body = said(secret, "by-anthropic", stream=stream, system="stored", top_k=3)
        assert server.post(MESSAGES, body)[0] == 200
    deadline = time.monotonic() + 20
    found: list[dict[str, Any]] = []
    while len(found) < 2 and time.monotonic() < deadline:
        time.sleep(0.1)
        found = ledger.query(server, "SELECT * FROM routing_payloadrecord WHERE request LIKE '%\"stored\"%'")
    assert [row["endpoint"] for row in found] == ["messages", "messages"]
    for row in found:
        request = json.loads(row["request"])
        assert request["messages"][-1]["content"] == "write to [email] with [secret]"
        assert request["messages_api"] == {"top_k": 3}
        assert json.loads(row["response"])["object"] == "chat.completion"
    stored = server.data_dir / "set.jsonl"
    server.manage("export_dataset", str(stored), "--dedupe", "--json")
    assert "ana@" not in stored.read_text()
    assert "messages_api" not in stored.read_text()


def test_a_message_can_be_followed(server: GatewayProcess) -> None:
    trace = "4bf92f3577b34da6a3ce929d0e0e4736"
    _, headers, _ = server.post(MESSAGES, said("followed"), {"traceparent": f"00-{trace}-00f067aa0ba902b7-01"})
    mine = headers["request-id"]
    status, _, body = server.get(f"/requests/{mine}")
    assert status == 200
    assert json.loads(body)["request_id"] == mine
    (row,) = ledger.rows_of(server, mine)
    assert (row["endpoint"], row["output_tokens"] > 0) == ("messages", True)
    deadline = time.monotonic() + 5
    lines: list[str] = []
    while not lines and time.monotonic() < deadline:
        time.sleep(0.1)
        lines = [line for line in server.log.read_text().splitlines() if mine in line and trace in line]
    assert any("messages" in line for line in lines)
    _, _, metrics = server.get("/metrics")
    assert b'endpoint="messages"' in metrics


def test_a_process_that_stops_ends_its_streams_in_order(
    migrated_data_dir: Path, tmp_path: Path, faults: FaultUpstream
) -> None:
    process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path / "data"))
    slow = {"model": "slow", "upstream_model": "fault:none?tokens=20&interval_s=0.05"}
    process.seed({"providers": [{"name": "only", "base_url": f"{faults.url}/v1", "models": [slow]}]}).start()
    try:
        body = json.dumps(said("x", "slow", stream=True)).encode()
        with socket.create_connection(("127.0.0.1", process.port), timeout=10) as client:
            head = f"POST {MESSAGES} HTTP/1.0\r\nhost: x\r\nx-api-key: {process.key}"
            client.sendall(f"{head}\r\ncontent-length: {len(body)}\r\n\r\n".encode() + body)
            told = client.recv(65536)
            process.signal(signal.SIGTERM)
            while piece := client.recv(65536):
                told += piece
        answer = told.partition(b"\r\n\r\n")[2]
        assert text_of((200, {"content-type": "text/event-stream"}, answer)) == expected_text(20)
    finally:
        process.stop()
