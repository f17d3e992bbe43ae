"""OpenRouter's adapter where golden cases do not reach: odd shapes, the model list, what an error leads to."""

import orjson
import pytest

from providers.adapters.openrouter import OpenRouterAdapter, repair_answer
from providers.errors import ClientFault, ModelNotFound, Overloaded, QuotaExhausted, Unsupported, UpstreamError
from providers.specs import DeploymentSpec, ProviderSpec
from providers.transport import Endpoint
from providers.types import ClientRequest, JsonObject, Operation

ADAPTER = OpenRouterAdapter()


def deployment(base_path: str = "", **options: object) -> DeploymentSpec:
    endpoint = Endpoint(scheme="https", host="openrouter.ai", port=443)
    provider = ProviderSpec(
        id=1, name="openrouter", kind="openrouter", endpoint=endpoint, base_path=base_path, options=dict(options)
    )
    return DeploymentSpec(id=1, provider=provider, model="m", upstream_model="vendor/m")


def sent(body: JsonObject, operation: Operation = Operation.CHAT, base_path: str = "") -> tuple[str, JsonObject]:
    request = ClientRequest(operation=operation, model="m", body={"model": "m", **body})
    prepared = ADAPTER.prepare(request, deployment(base_path), "sk-or")
    return prepared.path, orjson.loads(prepared.body)


@pytest.mark.parametrize("base_path", ["", "/api", "/api/v1"])
def test_an_address_is_completed(base_path: str) -> None:
    assert sent({"messages": []}, base_path=base_path)[0] == "/api/v1/chat/completions"


@pytest.mark.parametrize("plugins", ["web", {"id": "web"}, 4])
def test_plugins_of_a_wrong_shape_are_left_to_openrouter(plugins: object) -> None:
    assert sent({"messages": [], "plugins": plugins})[1]["plugins"] == plugins


def test_the_clients_body_is_not_changed() -> None:
    plugins = [{"id": "web"}]
    sent({"messages": [], "plugins": plugins})
    assert plugins == [{"id": "web"}]


@pytest.mark.parametrize("operation", [Operation.COMPLETIONS, Operation.EMBEDDINGS])
def test_compression_is_only_of_chats(operation: Operation) -> None:
    assert "plugins" not in sent({"prompt": "x"}, operation)[1]


@pytest.mark.parametrize(
    "answer",
    [
        {},
        {"choices": None},
        {"choices": "None"},
        {"choices": [None, 4]},
        {"choices": [{"message": None}]},
        {"choices": [{"delta": {"reasoning": ""}}]},
        {"choices": [{"delta": {"reasoning": "x", "reasoning_content": "y"}}]},
        {"choices": [{"error": None, "message": {"content": "x"}}]},
    ],
)
def test_leaves_an_answer_alone_that_needs_no_repair(answer: JsonObject) -> None:
    before = orjson.dumps(answer)
    assert repair_answer(answer) is False
    assert orjson.dumps(answer) == before


def test_an_error_in_a_choice_is_raised_with_its_consequence() -> None:
    choice = {"error": {"code": 529, "message": "busy", "metadata": {"error_type": "provider_overloaded"}}}
    with pytest.raises(Overloaded, match="busy"):
        repair_answer({"choices": [choice]})


@pytest.mark.parametrize("body", [b"", b"{}", b'{"error":"x"}', b'{"error":{"metadata":null}}', b"[1]", b"<html>"])
def test_a_402_of_any_shape_is_an_exhausted_quota(body: bytes) -> None:
    assert type(ADAPTER.read_error(402, {}, body, provider="p")) is QuotaExhausted


@pytest.mark.parametrize(
    ("message", "kind", "param"),
    [
        ("No endpoints found that support tool use. Try disabling 'x'.", Unsupported, "tools"),
        ("No endpoints found that support the provided 'tool_choice' value.", Unsupported, "tool_choice"),
        ("No endpoints found that support image input", Unsupported, "messages"),
        ("No endpoints found for vendor/m.", ModelNotFound, "model"),
        ("No such page", ClientFault, None),
    ],
)
def test_a_404_says_what_is_missing(message: str, kind: type[UpstreamError], param: str | None) -> None:
    error = ADAPTER.read_error(404, {}, orjson.dumps({"error": {"code": 404, "message": message}}), provider="p")
    assert type(error) is kind
    assert error.param == param


def test_a_refusal_names_the_provider_as_operators_do() -> None:
    body = orjson.dumps({"error": {"code": 404, "message": "No endpoints found that support tool use."}})
    error = ADAPTER.read_error(404, {}, body, provider="router-main")
    assert error.message.startswith("Provider 'router-main' does not support 'tools'")


def test_the_model_list_has_sizes() -> None:
    row = {
        "id": "vendor/m",
        "context_length": 128000,
        "top_provider": {"max_completion_tokens": 4096},
        "pricing": {"prompt": "0.000001"},
    }
    (found,) = ADAPTER.read_models(orjson.dumps({"data": [row]}))
    assert (found.id, found.context_window, found.max_output_tokens) == ("vendor/m", 128000, 4096)
    assert found.raw["pricing"] == {"prompt": "0.000001"}
    request = ADAPTER.models_request(deployment().provider, "sk-or")
    assert request is not None
    assert request.path == "/api/v1/models"


def test_the_calling_application_is_named_only_when_configured() -> None:
    request = ClientRequest(operation=Operation.CHAT, model="m", body={"model": "m", "messages": []})
    named = dict(ADAPTER.prepare(request, deployment(app_title="Shop"), "sk-or").headers)
    assert named["x-openrouter-title"] == "Shop"
    assert "http-referer" not in named
