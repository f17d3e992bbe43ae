"""OpenAI's Responses API by the official client against the real server process, whatever the provider speaks."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from pydantic import BaseModel

from tests.e2e.every_kind import EVERY_KIND, server_of_every_kind
from tests.e2e.gateway_process import GatewayProcess, fresh_copy

WEATHER: dict[str, Any] = {
    "type": "function",
    "name": "get_weather",
    "description": "What the weather is like",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}


class City(BaseModel):
    name: str
    country: str


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with server_of_every_kind(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("responses") / "data")) as server:
        yield server


@pytest.fixture
def client(server: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        yield client


@EVERY_KIND
def test_answers_a_text(client: openai.OpenAI, model: str) -> None:
    raw = client.responses.with_raw_response.create(
        model=model, instructions="Be short.", input="Hello!", max_output_tokens=200, metadata={"a": "b"}
    )
    response = raw.parse()
    assert raw.headers["x-llm-proxy-provider"] == model.removeprefix("by-")
    assert response.id.startswith("resp_")
    assert response.status == "completed"
    assert "Hello!" in response.output_text
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens > 0
    assert (response.store, response.metadata, response.instructions) == (False, {"a": "b"}, "Be short.")


@EVERY_KIND
def test_streams_a_text(client: openai.OpenAI, model: str) -> None:
    events = list(client.responses.create(model=model, input="Hello!", stream=True))
    kinds = [event.type for event in events]
    assert kinds[:4] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
        "response.content_part.added",
    ]
    assert kinds[-4:] == [
        "response.output_text.done",
        "response.content_part.done",
        "response.output_item.done",
        "response.completed",
    ]
    assert [event.sequence_number for event in events] == list(range(len(events)))
    said = "".join(event.delta for event in events if event.type == "response.output_text.delta")
    last = events[-1]
    assert last.type == "response.completed"
    assert "Hello!" in said
    assert last.response.output_text == said
    assert last.response.usage is not None
    assert last.response.usage.output_tokens > 0


@EVERY_KIND
def test_the_clients_own_stream_takes_every_event(client: openai.OpenAI, model: str) -> None:
    with client.responses.stream(model=model, input="Hello!", tools=[WEATHER]) as stream:
        for _ in stream:
            pass
        call = stream.get_final_response().output[-1]
    assert call.type == "function_call"
    assert call.parsed_arguments is not None


@EVERY_KIND
def test_an_answer_is_parsed_into_the_clients_model(client: openai.OpenAI, model: str) -> None:
    response = client.responses.parse(model=model, input="Which city?", text_format=City)
    assert isinstance(response.output_parsed, City)


@EVERY_KIND
@pytest.mark.parametrize("stream", [False, True])
def test_a_tool_is_called_and_its_result_answered(client: openai.OpenAI, model: str, *, stream: bool) -> None:
    conversation: list[Any] = [{"role": "user", "content": "What is the weather in Lisbon?"}]
    first = respond(client, stream=stream, model=model, input=conversation, tools=[WEATHER])
    calls = [item for item in first.output if item.type == "function_call"]
    assert calls
    assert "city" in json.loads(calls[0].arguments)
    conversation += first.output
    conversation += [
        {"type": "function_call_output", "call_id": call.call_id, "output": '{"degrees": 21}'} for call in calls
    ]
    second = respond(client, stream=stream, model=model, input=conversation, tools=[WEATHER])
    assert "21" in second.output_text


def respond(client: openai.OpenAI, *, stream: bool, **asked: Any) -> Any:
    if not stream:
        return client.responses.create(**asked)
    *_, last = client.responses.create(stream=True, **asked)
    return last.response


@pytest.mark.parametrize("model", ["by-anthropic", "by-cohere", "by-openai_responses"])
@pytest.mark.parametrize("stream", [False, True])
def test_reasoning_comes_first_and_can_be_sent_back(client: openai.OpenAI, model: str, *, stream: bool) -> None:
    conversation: list[Any] = [{"role": "user", "content": "Think!"}]
    thought = {"model": model, "reasoning": {"effort": "low"}, "tools": [WEATHER], "max_output_tokens": 5000}
    first = respond(client, stream=stream, input=conversation, **thought)
    assert first.output[0].type == "reasoning"
    assert first.output[-1].type == "function_call"
    conversation += first.output
    conversation += [
        {"type": "function_call_output", "call_id": item.call_id, "output": "fine"}
        for item in first.output
        if item.type == "function_call"
    ]
    assert respond(client, stream=stream, input=conversation, **thought).status == "completed"


def test_an_answer_that_was_cut_says_so(client: openai.OpenAI) -> None:
    asked: dict[str, Any] = {"model": "by-openai", "input": "Tell me everything. " * 20, "max_output_tokens": 16}
    for response in (client.responses.create(**asked), respond(client, stream=True, **asked)):
        assert response.status == "incomplete"
        assert response.incomplete_details.reason == "max_output_tokens"


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id"),
        ({"background": True}, "background"),
        ({"tools": [{"type": "file_search", "vector_store_ids": ["v"]}]}, "tools[0].type"),
        ({"input": [{"type": "item_reference", "id": "msg_1"}]}, "input[0].type"),
        ({"temperature": 9}, "temperature"),
        ({"max_output_tokens": 0}, "max_output_tokens"),
        ({"input": []}, "input"),
        ({"extra_body": {"messages": []}}, "messages"),
    ],
)
def test_what_cannot_be_done_is_refused_by_name(client: openai.OpenAI, asked: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(**{"model": "by-openai", "input": "x", **asked})
    assert caught.value.param == param


def test_an_error_of_the_provider_names_the_field_as_the_client_knows_it(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.responses.create(model="by-openai", input="x " * 40_000)
    assert caught.value.code == "context_length_exceeded"
    assert caught.value.param == "input"


def test_a_stream_that_breaks_off_is_an_exception_and_what_came_before_is_there(client: openai.OpenAI) -> None:
    seen: list[str] = []
    stream = client.responses.create(model="cut", input="x", stream=True)
    with pytest.raises(openai.APIError, match="ended too early") as caught:
        seen.extend(event.type for event in stream)
    assert "response.output_text.delta" in seen
    assert isinstance(caught.value.body, dict)
    assert caught.value.body["request_id"] == stream.response.headers["x-request-id"]


def test_a_failure_before_the_first_token_has_its_own_status(client: openai.OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.responses.create(model="failing", input="x", stream=True)
    assert caught.value.status_code in (502, 503)


def test_the_ledger_has_the_endpoint_and_the_tokens(client: openai.OpenAI, server: GatewayProcess) -> None:
    raw = client.responses.with_raw_response.create(model="by-openai", input="Hello!")
    status, _, body = server.get(f"/requests/{raw.headers['x-request-id']}")
    assert status == 200
    assert json.loads(body)["model"] == "by-openai"
    _, _, metrics = server.get("/metrics")
    assert b'endpoint="responses"' in metrics


def test_the_same_idempotency_key_is_answered_with_the_same_response(client: openai.OpenAI) -> None:
    headers = {"Idempotency-Key": "one-response"}
    first = client.responses.with_raw_response.create(model="by-openai", input="Once", extra_headers=headers)
    again = client.responses.with_raw_response.create(model="by-openai", input="Once", extra_headers=headers)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.parse().id == first.parse().id


def test_nothing_that_was_answered_can_be_asked_for_later(client: openai.OpenAI) -> None:
    response = client.responses.create(model="by-openai", input="Hello!")
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(response.id)
