"""Anthropic's Messages API by the official client against the real server process, whatever the provider speaks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import anthropic
import httpx
import pytest
from pydantic import BaseModel

from tests.e2e.every_kind import EVERY_KIND, server_of_every_kind
from tests.e2e.gateway_process import GatewayProcess, fresh_copy

WEATHER: dict[str, Any] = {
    "name": "get_weather",
    "description": "What the weather is like",
    "input_schema": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    "cache_control": {"type": "ephemeral"},
}
STREAMED = pytest.mark.parametrize("stream", [False, True])


class City(BaseModel):
    name: str
    country: str
    mayor: str | None = None
    """What may be absent, OpenAI takes in no schema that is strict."""


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with server_of_every_kind(
        fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("messages") / "data"), reasoning=True
    ) as server:
        yield server


@pytest.fixture
def client(server: GatewayProcess) -> Iterator[anthropic.Anthropic]:
    with anthropic.Anthropic(base_url=server.url, api_key=server.key, max_retries=0) as client:
        yield client


def answer(client: anthropic.Anthropic, *, stream: bool, **asked: Any) -> anthropic.types.Message:
    asked = {"max_tokens": 2000, **asked}
    if not stream:
        return client.messages.create(**asked)
    with client.messages.stream(**asked) as events:
        return events.get_final_message()


def said(text: str) -> list[Any]:
    return [{"role": "user", "content": text}]


@EVERY_KIND
@STREAMED
def test_answers_a_text(client: anthropic.Anthropic, model: str, *, stream: bool) -> None:
    system = [{"type": "text", "text": "Be short.", "cache_control": {"type": "ephemeral"}}]
    message = answer(
        client, stream=stream, model=model, system=system, messages=said("Hello!"), metadata={"user_id": "u" * 90}
    )
    assert message.id.startswith("msg_")
    assert (message.role, message.stop_reason) == ("assistant", "end_turn")
    assert message.content[-1].type == "text"
    assert "Hello!" in message.content[-1].text
    assert message.usage.input_tokens + (message.usage.cache_read_input_tokens or 0) > 0
    assert message.usage.output_tokens > 0


@EVERY_KIND
@STREAMED
def test_a_tool_is_called_and_its_result_answered(client: anthropic.Anthropic, model: str, *, stream: bool) -> None:
    conversation = said("What is the weather in Lisbon?")
    first = answer(client, stream=stream, model=model, messages=conversation, tools=[WEATHER])
    calls = [block for block in first.content if block.type == "tool_use"]
    assert first.stop_reason == "tool_use"
    assert "city" in calls[0].input
    results = [{"type": "tool_result", "tool_use_id": call.id, "content": '{"degrees": 21}'} for call in calls]
    conversation += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    second = answer(client, stream=stream, model=model, messages=conversation, tools=[WEATHER])
    assert "21" in second.content[-1].text  # type: ignore[union-attr]


@EVERY_KIND
def test_the_clients_tool_runner_sends_whole_conversations(client: anthropic.Anthropic, model: str) -> None:
    """It would have the server keep them."""

    @anthropic.beta_tool
    def get_weather(city: str) -> str:
        """What the weather is like"""
        return f"21 degrees in {city}"

    runner = client.beta.messages.tool_runner(
        model=model, max_tokens=2000, tools=[get_weather], messages=said("What is the weather in Lisbon?")
    )
    assert "21 degrees" in runner.until_done().content[-1].text  # type: ignore[union-attr]


@pytest.mark.parametrize("model", ["by-anthropic", "by-cohere", "by-openai_responses"])
@STREAMED
def test_thinking_comes_first_and_can_be_sent_back(client: anthropic.Anthropic, model: str, *, stream: bool) -> None:
    conversation = said("Think!")
    thinking = {"type": "enabled", "budget_tokens": 1024}
    asked: dict[str, Any] = {"model": model, "thinking": thinking, "tools": [WEATHER], "max_tokens": 5000}
    first = answer(client, stream=stream, messages=conversation, **asked)
    assert first.content[0].type == "thinking"
    results = [
        {"type": "tool_result", "tool_use_id": block.id, "content": "fine"}
        for block in first.content
        if block.type == "tool_use"
    ]
    assert results
    conversation += [{"role": "assistant", "content": first.content}, {"role": "user", "content": results}]
    assert answer(client, stream=stream, messages=conversation, **asked).stop_reason in ("end_turn", "tool_use")


@EVERY_KIND
@STREAMED
def test_what_claude_code_sends_is_taken_whoever_serves_it(server: GatewayProcess, model: str, *, stream: bool) -> None:
    """As version 2.1.197 writes it after it has looked for a tool."""
    mark = {"type": "ephemeral"}
    found = [{"type": "tool_reference", "tool_name": "get_weather"}]
    system = ["x-anthropic-billing-header: cc_version=2.1.197.df4; cc_entrypoint=sdk-cli;", "You are a Claude agent."]
    body = {
        "model": model,
        "max_tokens": 32_000,
        "thinking": {"type": "adaptive"},
        "context_management": {"edits": [{"type": "clear_thinking_20251015", "keep": "all"}]},
        "output_config": {"effort": "high"},
        "metadata": {"user_id": json.dumps({"device_id": "d" * 64, "account_uuid": "", "session_id": "s" * 36})},
        "system": [{"type": "text", "text": text, "cache_control": mark} for text in system],
        "tools": [{**WEATHER, "cache_control": mark, "defer_loading": True}],
        "messages": [
            {"role": "user", "content": [{"type": "text", "text": "Which tools are there?"}]},
            {"role": "system", "content": "Available agent types: claude."},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "call_1", "name": "get_weather", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "call_1", "content": found},
                    {"type": "text", "text": "Tool loaded.", "cache_control": mark},
                ],
            },
            {"role": "system", "content": "The task tools haven't been used recently."},
        ],
        "stream": stream,
    }
    headers = {"Authorization": f"Bearer {server.key}", "anthropic-version": "2023-06-01"}
    response = httpx.post(f"{server.url}/v1/messages?beta=true", json=body, headers=headers, timeout=30)
    assert response.status_code == 200, response.text
    assert any(f'"stop_reason":"{reason}"' in response.text for reason in ("tool_use", "end_turn"))


@EVERY_KIND
def test_an_answer_is_parsed_into_the_clients_model(client: anthropic.Anthropic, model: str) -> None:
    message = client.messages.parse(model=model, max_tokens=500, messages=said("Which city?"), output_format=City)
    assert isinstance(message.parsed_output, City)


@EVERY_KIND
def test_a_stream_begins_with_the_tokens_of_its_prompt(client: anthropic.Anthropic, model: str) -> None:
    asked = said("Hello there! " * 40)
    begun, *_ = client.messages.create(model=model, max_tokens=50, messages=asked, stream=True)
    assert begun.type == "message_start"
    assert 50 < begun.message.usage.input_tokens < 400


@STREAMED
def test_an_answer_that_was_cut_says_so(client: anthropic.Anthropic, *, stream: bool) -> None:
    long = said("Tell me everything. " * 20)
    assert answer(client, stream=stream, model="by-openai", messages=long, max_tokens=5).stop_reason == "max_tokens"


@STREAMED
@pytest.mark.parametrize(
    ("model", "told"), [("by-anthropic", ("stop_sequence", "e")), ("by-openai", ("end_turn", None))]
)
def test_which_sequence_ended_it_is_told_where_the_provider_says_so(
    client: anthropic.Anthropic, model: str, told: tuple[str, str | None], *, stream: bool
) -> None:
    message = answer(client, stream=stream, model=model, messages=said("Hello there!"), stop_sequences=["%%", "e"])
    assert (message.stop_reason, message.stop_sequence) == told


def test_tokens_are_counted_without_asking_a_provider(client: anthropic.Anthropic) -> None:
    few = client.messages.count_tokens(model="by-openai", messages=said("Hello!"))
    many = client.messages.count_tokens(model="by-openai", messages=said("Hello! " * 1000), tools=[WEATHER])
    assert 0 < few.input_tokens < 20
    assert many.input_tokens > 1000
    with pytest.raises(anthropic.NotFoundError):
        client.messages.count_tokens(model="nobody", messages=said("Hello!"))


@pytest.mark.parametrize("header", ["x-api-key", "authorization"])
def test_a_key_comes_in_either_header(server: GatewayProcess, header: str) -> None:
    """Clients before version 2 send the one, later ones the other."""
    key = server.key if header == "x-api-key" else f"Bearer {server.key}"
    body = {"model": "by-openai", "max_tokens": 9, "messages": said("Hello!")}
    response = httpx.post(f"{server.url}/v1/messages?beta=true", json=body, headers={header: key})
    assert response.status_code == 200
    assert response.headers["request-id"] == response.headers["x-request-id"]


def test_models_are_listed_in_the_clients_own_shape(client: anthropic.Anthropic, server: GatewayProcess) -> None:
    page = client.models.list(limit=2)
    names = [model.id for model in page]
    assert "by-cohere" in names
    assert (page.has_more, page.first_id, page.last_id) == (False, names[0], names[-1])
    model = client.models.retrieve("by-cohere")
    assert (model.type, model.display_name) == ("model", "by-cohere")
    assert model.created_at.tzinfo is not None
    with pytest.raises(anthropic.NotFoundError) as unknown:
        client.models.retrieve("nobody")
    assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    key = {"Authorization": f"Bearer {server.key}"}
    assert httpx.get(f"{server.url}/v1/models", headers=key).json()["object"] == "list"


def test_errors_are_the_clients_own(client: anthropic.Anthropic, server: GatewayProcess) -> None:
    with pytest.raises(anthropic.NotFoundError) as unknown:
        answer(client, stream=False, model="nobody", messages=said("x"))
    assert unknown.value.body["error"]["type"] == "not_found_error"  # type: ignore[index]
    assert unknown.value.request_id == unknown.value.body["request_id"]  # type: ignore[index]
    with pytest.raises(anthropic.BadRequestError, match=r"messages\[0\]\.content\[0\]\.type"):
        answer(client, stream=False, model="by-openai", messages=[{"role": "user", "content": [{"type": "tool_use"}]}])
    with pytest.raises(anthropic.AuthenticationError):
        answer(client.with_options(api_key="wrong"), stream=False, model="by-openai", messages=said("x"))
    with pytest.raises(anthropic.BadRequestError, match="prompt is too long"):
        answer(client, stream=False, model="by-openai", messages=said("x " * 40_000))


@STREAMED
def test_a_failure_before_the_first_token_has_its_own_status(client: anthropic.Anthropic, *, stream: bool) -> None:
    with pytest.raises(anthropic.APIStatusError) as caught:
        answer(client, stream=stream, model="failing", messages=said("x"))
    assert caught.value.status_code in (502, 503)


def test_a_stream_that_breaks_off_is_an_exception_and_what_came_before_is_there(client: anthropic.Anthropic) -> None:
    seen: list[str] = []
    stream = client.messages.create(model="cut", max_tokens=100, messages=said("x"), stream=True)
    with pytest.raises(anthropic.APIStatusError, match="ended too early") as caught:
        seen.extend(event.type for event in stream)
    assert "content_block_delta" in seen
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["request_id"] == stream.response.headers["request-id"]


def test_what_only_another_dialect_can_do_is_refused_by_name(client: anthropic.Anthropic) -> None:
    search: Any = {"type": "web_search_20250305", "name": "web_search"}
    with pytest.raises(anthropic.BadRequestError, match="web_search_20250305"):
        answer(client, stream=False, model="by-openai", messages=said("x"), tools=[search])


def test_the_record_and_the_metrics_have_the_endpoint(client: anthropic.Anthropic, server: GatewayProcess) -> None:
    raw = client.messages.with_raw_response.create(model="by-openai", max_tokens=9, messages=said("Hello!"))
    status, _, body = server.get(f"/requests/{raw.headers['request-id']}")
    assert status == 200
    assert json.loads(body)["model"] == "by-openai"
    _, _, metrics = server.get("/metrics")
    assert b'endpoint="messages"' in metrics
