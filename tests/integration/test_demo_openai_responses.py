"""The demo upstream speaks OpenAI's Responses API well enough for OpenAI's own client, over a real socket."""

import json
import math

import openai
import pytest

from providers.demo import create_app
from tests.integration.test_demo_dialects import (
    ANSWER,
    ANSWER_TOKENS,
    ARGUMENTS,
    FUNCTION,
    QUESTION,
    QUESTION_TOKENS,
    SCHEMA,
)
from tests.upstreams.servers import run_asgi

ASKED = {"model": "demo-small", "input": QUESTION[0]["content"]}
TOOLS = [{"type": "function", "strict": False, **FUNCTION}]


@pytest.fixture(scope="module")
def url():
    with run_asgi(create_app("openai_responses")) as url:
        yield f"{url}/v1"


@pytest.fixture
def client(url):
    with openai.OpenAI(base_url=url, api_key="any", max_retries=0) as client:
        yield client


def test_answers(client):
    response = client.responses.create(
        **ASKED, metadata={"a": "b"}, include=["message.output_text.logprobs"], top_logprobs=0
    )
    assert (response.output_text, response.status) == (ANSWER, "completed")
    assert (response.usage.input_tokens, response.usage.output_tokens) == (QUESTION_TOKENS, ANSWER_TOKENS)
    assert response.metadata == {"a": "b"}
    assert "".join(entry.token for entry in response.output[0].content[0].logprobs) == ANSWER
    assert response._request_id.startswith("req_demo")


@pytest.mark.parametrize("padded", [True, False])
def test_streams(client, padded):
    options = {} if padded else {"stream_options": {"include_obfuscation": False}}
    with client.responses.stream(**ASKED, **options) as stream:
        assert stream.get_final_response().output_text == ANSWER
    events = list(client.responses.create(**ASKED, **options, stream=True))
    deltas = [entry for entry in events if entry.type == "response.output_text.delta"]
    assert "".join(entry.delta for entry in deltas) == ANSWER
    assert all(("obfuscation" in entry.to_dict()) is padded for entry in deltas)
    assert events[-1].type == "response.completed"
    assert [entry.sequence_number for entry in events] == list(range(len(events)))


def test_says_when_it_was_cut(client):
    asked = {**ASKED, "input": "word " * 50, "max_output_tokens": 16}
    cut = client.responses.create(**asked)
    assert (cut.status, cut.incomplete_details.reason) == ("incomplete", "max_output_tokens")
    assert cut.usage.output_tokens == 16
    *_, last = client.responses.create(**asked, stream=True)
    assert (last.type, last.response.output_text) == ("response.incomplete", cut.output_text)


def test_calls_a_tool_and_speaks_of_its_result(client):
    with client.responses.stream(**ASKED, tools=TOOLS) as stream:
        events = list(stream)
        streamed = stream.get_final_response().output[0]
    call = client.responses.create(**ASKED, tools=TOOLS).output[0]
    assert (streamed.name, streamed.arguments) == (call.name, call.arguments)
    assert (call.name, json.loads(call.arguments)) == ("get_weather", ARGUMENTS)
    said = [entry.delta for entry in events if entry.type == "response.function_call_arguments.delta"]
    assert "".join(said) == call.arguments
    result = {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}
    history = [*QUESTION, call.to_dict(), result]
    answer = client.responses.create(model="demo-small", input=history, tools=TOOLS)
    assert answer.output_text.endswith("the tool returned sunny")


def test_calls_a_tool_of_free_text(client):
    tools = [*TOOLS, {"type": "custom", "name": "run", "description": "Runs it."}]
    choice = {"type": "allowed_tools", "mode": "required", "tools": [{"type": "custom", "name": "run"}]}
    asked = {**ASKED, "tools": tools, "tool_choice": choice}
    called = client.responses.create(**asked).output[0]
    assert (called.type, called.name, called.input) == ("custom_tool_call", "run", "{}")
    events = list(client.responses.create(**asked, stream=True))
    said = [entry.delta for entry in events if entry.type == "response.custom_tool_call_input.delta"]
    assert "".join(said) == called.input
    result = {"type": "custom_tool_call_output", "call_id": called.call_id, "output": "done"}
    history = [*QUESTION, called.to_dict(), result]
    answer = client.responses.create(model="demo-small", input=history, tools=tools)
    assert answer.output_text.endswith("the tool returned done")


def test_answers_in_the_schema_asked_for(client):
    schema = {**SCHEMA, "properties": {name: SCHEMA["properties"][name] for name in ("city", "days")}}
    wanted = {"format": {"type": "json_schema", "name": "w", "schema": schema, "strict": True}}
    response = client.responses.create(**ASKED, text=wanted)
    assert json.loads(response.output_text) == ARGUMENTS
    anything = {"model": "m", "input": "Some json", "text": {"format": {"type": "json_object"}}}
    response = client.responses.create(**anything)
    assert json.loads(response.output_text)["asked"] == "Some json"


def test_reasons_and_takes_its_own_reasoning_back(client):
    asked = {
        **ASKED,
        "reasoning": {"effort": "low", "summary": "auto"},
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    with client.responses.stream(**asked) as stream:
        events = list(stream)
        final = stream.get_final_response()
    assert [item.type for item in final.output] == ["reasoning", "message"]
    thought = "".join(entry.delta for entry in events if entry.type == "response.reasoning_summary_text.delta")
    assert final.output[0].summary[0].text == thought
    reasoned = final.usage.output_tokens_details.reasoning_tokens
    assert reasoned == math.ceil(len(thought) / 4)
    assert final.usage.output_tokens == ANSWER_TOKENS + reasoned
    whole = client.responses.create(**asked)
    again = [*QUESTION, *(item.to_dict() for item in whole.output), *QUESTION]
    client.responses.create(**{**asked, "input": again})
    again[1]["encrypted_content"] = "d3JpdHRlbiBlbHNld2hlcmU="
    with pytest.raises(openai.BadRequestError, match="could not be verified") as refused:
        client.responses.create(**{**asked, "input": again})
    assert refused.value.code == "invalid_encrypted_content"


def test_cites_when_it_searches(client):
    asked = {**ASKED, "tools": [{"type": "web_search"}]}
    response = client.responses.create(**asked)
    assert [item.type for item in response.output] == ["web_search_call", "message"]
    assert response.output[1].content[0].annotations[0].url == "https://example.com/demo"
    kinds = [entry.type for entry in client.responses.create(**asked, stream=True)]
    assert "response.web_search_call.searching" in kinds
    assert "response.output_text.annotation.added" in kinds


async def test_serves_the_asynchronous_client(url):
    async with openai.AsyncOpenAI(base_url=url, api_key="any", max_retries=0) as client:
        assert (await client.responses.create(**ASKED)).output_text == ANSWER
        async with client.responses.stream(**ASKED) as stream:
            assert (await stream.get_final_response()).output_text == ANSWER


def test_refuses_as_the_service_does(client):
    with pytest.raises(openai.BadRequestError, match=r"moved to 'text\.format'") as refused:
        client.responses.create(**ASKED, extra_body={"response_format": {"type": "text"}})
    assert (refused.value.param, refused.value.code) == ("response_format", "unsupported_parameter")
    long = {"model": "demo-small", "input": "word " * 8000}
    with pytest.raises(openai.BadRequestError) as refused:
        client.responses.create(**long)
    assert (refused.value.param, refused.value.code) == ("input", "context_length_exceeded")
    assert client.responses.create(**long, truncation="auto").usage.input_tokens == 8192
    with pytest.raises(openai.NotFoundError):
        client.responses.create(**ASKED, conversation="conv_1")
