"""The official client, made for Azure OpenAI or with an address that is not quite right, against the real server process."""

import json
import time
from collections.abc import Iterator
from pathlib import Path

import openai
import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.upstreams.servers import run_asgi

HELLO = [{"role": "user", "content": "Hello!"}]
VERSION = "2024-10-21"


@pytest.fixture(scope="module")
def server(migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    with run_asgi(create_app()) as demo_url:
        process = GatewayProcess(fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("azure") / "data"))
        models = ["demo-small", {"model": "deployed", "upstream_model": "demo-large"}, "demo-embedding"]
        process.seed({"providers": [{"name": "first", "base_url": f"{demo_url}/v1", "models": models}]}).start()
        yield process
        process.stop()


def azure(server: GatewayProcess, **options: object) -> openai.AzureOpenAI:
    given = {"api_key": server.key, "api_version": VERSION, "max_retries": 0, "azure_endpoint": server.url, **options}
    return openai.AzureOpenAI(**given)  # type: ignore[call-overload, no-any-return]


@pytest.fixture
def client(server: GatewayProcess) -> Iterator[openai.AzureOpenAI]:
    with azure(server) as client:
        yield client


@pytest.mark.parametrize("model", ["demo-small", "first/demo-small"])
def test_azures_client_names_the_model(client: openai.AzureOpenAI, model: str) -> None:
    raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO)
    assert "DEMO" in (raw.parse().choices[0].message.content or "")
    assert raw.headers["x-llm-proxy-model"] == "demo-small"
    assert raw.headers["x-request-id"].startswith("req_")


def test_the_deployment_of_azures_client_decides(server: GatewayProcess) -> None:
    with azure(server, azure_deployment="deployed") as client:
        for model in ("gpt-4o", "demo-small"):
            raw = client.chat.completions.with_raw_response.create(model=model, messages=HELLO)
            assert raw.headers["x-llm-proxy-model"] == "demo-large"
        # What has no address of a deployment's goes past it.
        assert "DEMO" in client.responses.create(model="demo-small", input="Hello!").output_text


def test_azures_client_streams(client: openai.AzureOpenAI) -> None:
    stream = client.chat.completions.create(
        model="demo-small", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    assert "DEMO" in "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
    assert chunks[-1].usage is not None


async def test_azures_asynchronous_client_is_answered(server: GatewayProcess) -> None:
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=f"{server.url}/", azure_ad_token=server.key, api_version=VERSION, max_retries=0
    ) as client:
        answer = await client.chat.completions.create(model="demo-small", messages=HELLO)
        assert "DEMO" in (answer.choices[0].message.content or "")
        text = ""
        async for chunk in await client.chat.completions.create(model="demo-small", messages=HELLO, stream=True):
            text += chunk.choices[0].delta.content or ""
        assert "DEMO" in text


def test_azures_client_has_all_that_is_served(client: openai.AzureOpenAI) -> None:
    assert client.completions.create(model="demo-small", prompt="Say", max_tokens=9).choices[0].text
    assert len(client.embeddings.create(model="demo-embedding", input=["one", "two"]).data) == 2
    assert "DEMO" in client.responses.create(model="demo-small", input="Hello!").output_text
    assert {model.id for model in client.models.list()} == {"demo-small", "deployed", "demo-embedding"}
    assert client.models.retrieve("deployed").id == "deployed"


def test_azures_client_raises_what_openais_does(client: openai.AzureOpenAI, server: GatewayProcess) -> None:
    with pytest.raises(openai.NotFoundError) as unknown:
        client.chat.completions.create(model="nope", messages=HELLO)
    assert (unknown.value.code, unknown.value.param) == ("model_not_found", "model")
    assert (unknown.value.request_id or "").startswith("req_")
    with pytest.raises(openai.NotFoundError, match="under /v1 are chat/completions") as elsewhere:
        client.images.generate(model="demo-small", prompt="a gateway")
    assert elsewhere.value.code == "not_found"
    with azure(server, api_key="llmp-wrong") as stranger, pytest.raises(openai.AuthenticationError) as refused:
        stranger.chat.completions.create(model="demo-small", messages=HELLO)
    assert refused.value.code == "invalid_api_key"


def test_a_keys_models_hold_for_the_model_in_the_path(server: GatewayProcess) -> None:
    status, _, body = server.post("/api/api-keys/", {"name": "one-model", "allowed_models": ["demo-small"]})
    assert status == 201
    key = json.loads(body)["key"]

    def ask(model: str) -> int:
        path = f"/openai/deployments/{model}/chat/completions"
        asked = {"model": "demo-small", "messages": HELLO}
        return server.post(path, asked, {"authorization": "", "api-key": key})[0]

    deadline = time.monotonic() + 5
    # A new key is known within two seconds.
    while ask("demo-small") == 401 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert ask("demo-small") == 200
    assert ask("deployed") == 404


def test_an_idempotency_key_is_for_one_deployment(server: GatewayProcess) -> None:
    def ask(model: str) -> tuple[int, dict[str, str], bytes]:
        path = f"/openai/deployments/{model}/chat/completions?api-version={VERSION}"
        return server.post(path, {"messages": HELLO}, {"idempotency-key": "once"})

    assert ask("demo-small")[0] == 200
    assert ask("demo-small")[1]["idempotent-replayed"] == "true"
    assert ask("deployed")[0] == 422


@pytest.mark.parametrize("base", ["", "/", "/v1/", "//v1", "/v1//", "/v1/v1", "/openai/v1", "/openai"])
def test_a_base_url_that_can_mean_one_thing_only_is_served(server: GatewayProcess, base: str) -> None:
    with openai.OpenAI(base_url=f"{server.url}{base}", api_key=server.key, max_retries=0) as client:
        answer = client.chat.completions.create(model="demo-small", messages=HELLO)
        assert "DEMO" in (answer.choices[0].message.content or "")
        assert client.models.retrieve("demo-small").id == "demo-small"


@pytest.mark.parametrize("base", ["/v1/chat/completions", "/api/v1", "/V1"])
def test_another_base_url_is_answered_with_the_right_one(server: GatewayProcess, base: str) -> None:
    with (
        openai.OpenAI(base_url=f"{server.url}{base}", api_key=server.key, max_retries=0) as client,
        pytest.raises(openai.NotFoundError, match="base_url is this gateway's address and /v1"),
    ):
        client.chat.completions.create(model="demo-small", messages=HELLO)
