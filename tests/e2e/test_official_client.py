"""The official OpenAI client over real sockets against the real server process."""

import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.servers import run_asgi

HELLO = [{"role": "user", "content": "Hello!"}]
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
    },
}


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_asgi(create_app()) as demo_url:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("openai") / "data"))
        models = ["demo-small", {"model": "renamed", "upstream_model": "demo-large"}, "demo-embedding"]
        process.seed({"providers": [{"name": "first", "base_url": f"{demo_url}/v1", "models": models}]}).start()
        yield process
        process.end()


@pytest.fixture
def client(server: GatewayProcess) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        yield client


def test_answers_a_chat(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="demo-small", messages=HELLO)
    assert "DEMO" in (answer.choices[0].message.content or "")
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert (answer._request_id or "").startswith("req_")


def test_streams_a_chat_without_usage_unless_asked(client: openai.OpenAI) -> None:
    chunks = list(client.chat.completions.create(model="demo-small", messages=HELLO, stream=True))
    assert all(chunk.choices for chunk in chunks)
    assert all(chunk.usage is None for chunk in chunks)
    assert "DEMO" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_streams_usage_last_when_asked(client: openai.OpenAI) -> None:
    options = {"include_usage": True}
    chunks = list(
        client.chat.completions.create(model="demo-small", messages=HELLO, stream=True, stream_options=options)
    )
    assert chunks[-1].choices == []
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens > 0
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_answers_the_asynchronous_client(server: GatewayProcess) -> None:
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key, max_retries=0) as client:
        text = ""
        stream = await client.chat.completions.create(model="demo-small", messages=HELLO, stream=True)
        async for chunk in stream:
            text += chunk.choices[0].delta.content or ""
        assert "DEMO" in text


def test_passes_tools_through(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="demo-small", messages=HELLO, tools=[WEATHER])
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name == "get_weather"
    assert "city" in calls[0].function.arguments


def test_maps_the_model_name(client: openai.OpenAI, server: GatewayProcess) -> None:
    raw = client.chat.completions.with_raw_response.create(model="renamed", messages=HELLO)
    assert raw.headers["x-llm-proxy-model"] == "demo-large"
    assert raw.headers["x-llm-proxy-provider"] == "first"


def test_serves_text_completions(client: openai.OpenAI) -> None:
    answer = client.completions.create(model="demo-small", prompt="Say something", max_tokens=16)
    assert answer.object == "text_completion"
    assert answer.choices[0].text


def test_serves_embeddings_in_the_clients_base64_default(client: openai.OpenAI) -> None:
    answer = client.embeddings.create(model="demo-embedding", input=["one", "two"])
    assert [row.index for row in answer.data] == [0, 1]
    assert isinstance(answer.data[0].embedding[0], float)
    as_floats = client.embeddings.create(model="demo-embedding", input=["one", "two"], encoding_format="float")
    assert answer.data[0].embedding == pytest.approx(as_floats.data[0].embedding, abs=1e-6)


def test_lists_models(client: openai.OpenAI) -> None:
    assert {model.id for model in client.models.list()} == {"demo-small", "renamed", "demo-embedding"}
    assert client.models.retrieve("renamed").id == "renamed"
    assert all(abs(model.created - time.time()) < 3600 for model in client.models.list())


def test_reaches_one_providers_deployment_by_its_full_name(client: openai.OpenAI) -> None:
    assert client.chat.completions.create(model="first/demo-small", messages=HELLO).choices


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.chat.completions.create(model="nope", messages=HELLO)
    assert caught.value.code == "model_not_found"


def test_a_wrong_key_is_an_authentication_error(server: GatewayProcess) -> None:
    with openai.OpenAI(base_url=f"{server.url}/v1", api_key="llmp-wrong", max_retries=0) as client:
        with pytest.raises(openai.AuthenticationError) as caught:
            client.chat.completions.create(model="demo-small", messages=HELLO)
        assert caught.value.code == "invalid_api_key"


def test_an_upstreams_refusal_is_a_bad_request(client: openai.OpenAI) -> None:
    with pytest.raises(openai.BadRequestError):
        client.chat.completions.create(model="demo-small", messages=[{"role": "user", "content": "x " * 40_000}])


def test_a_client_may_use_the_other_key_header(server: GatewayProcess) -> None:
    status, _, _ = server.get("/v1/models", {"authorization": "", "x-api-key": server.key})
    assert status == 200
