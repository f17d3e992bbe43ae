"""A client's request is answered by the model of its deployment, whatever fields of the vendor's it has."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from providers.adapters import REGISTRY, adapter_for
from providers.errors import Unsupported
from providers.specs import DeploymentSpec
from providers.types import ClientRequest, JsonObject, Operation
from tests.unit.routing.pools import deployment, provider

RELAYING = ("openai", "azure", "grok", "openrouter", "blackbox")
WITH_SERVER_TOOLS = ("openrouter", "blackbox", "anthropic", "openai_responses", "perplexity")


def at(kind: str, **options: Any) -> DeploymentSpec:
    return deployment(of=replace(provider(), kind=kind, options=options))


def sent(to: DeploymentSpec, **more: Any) -> JsonObject:
    body = {"model": "m", "messages": [{"role": "user", "content": "x"}], **more}
    request = ClientRequest(operation=Operation.CHAT, model="m", body=body)
    found: JsonObject = orjson.loads(
        adapter_for(to.provider.kind).serving(request, to).prepare(request, to, "key").body
    )
    return found


@pytest.mark.parametrize("kind", [kind for kind in REGISTRY if kind not in RELAYING])
@pytest.mark.parametrize("field", ["fallbacks", "route"])
def test_what_is_not_relayed_tells_no_provider_of_other_models(kind: str, field: str) -> None:
    assert "other/model" not in str(sent(at(kind), **{field: ["other/model"]}))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        *[(kind, ("models", "fallbacks")) for kind in RELAYING],
        ("openrouter", ("preset", "route")),
        ("blackbox", ("preset", "route")),
        ("perplexity", ("models", "preset")),
    ],
)
def test_what_chooses_a_model_is_refused_by_name(kind: str, fields: tuple[str, ...]) -> None:
    for field in fields:
        with pytest.raises(Unsupported) as refused:
            sent(at(kind), **{field: "xhigh"})
        assert (refused.value.param, refused.value.code, refused.value.status) == (field, "unsupported_parameter", 400)


@pytest.mark.parametrize("kind", REGISTRY)
@pytest.mark.parametrize("nothing", [None, [], ""])
def test_a_field_without_a_value_chooses_nothing(kind: str, nothing: Any) -> None:
    body = sent(at(kind), models=nothing, fallbacks=nothing)
    assert not {"models", "fallbacks"} & body.keys()


def test_a_chat_that_becomes_a_response_is_told_of_no_other_models() -> None:
    openai = at("openai")
    endpoint = replace(openai.provider.endpoint, host="api.openai.com")
    thinking = replace(openai, upstream_model="gpt-6", provider=replace(openai.provider, endpoint=endpoint))
    tool = {"type": "function", "function": {"name": "f"}}
    assert "input" in sent(thinking, tools=[tool], models=[])
    with pytest.raises(Unsupported, match="models"):
        sent(thinking, tools=[tool], models=["other/model"])


def test_sonars_chat_is_told_of_no_other_models() -> None:
    with pytest.raises(Unsupported, match="models"):
        sent(at("perplexity", dialect="sonar"), models=["other/model"])


def test_an_operator_still_chooses_the_preset() -> None:
    assert sent(at("perplexity", preset="low"))["preset"] == "low"


@pytest.mark.parametrize("kind", WITH_SERVER_TOOLS)
@pytest.mark.parametrize(
    "tool",
    [
        {"type": "openrouter:advisor", "parameters": {"model": "other/model"}},
        {"type": "openrouter:fusion"},
        {"type": "advisor_20260301", "name": "advisor", "model": "other-model"},
        {"type": "image_generation", "model": "other-model"},
    ],
)
def test_a_server_tool_puts_no_other_model_to_work(kind: str, tool: JsonObject) -> None:
    with pytest.raises(Unsupported) as refused:
        sent(at(kind), tools=[tool])
    assert str(refused.value.param).startswith("tools")


@pytest.mark.parametrize("kind", ["openrouter", "blackbox"])
@pytest.mark.parametrize(
    "plugin", [{"id": "fusion"}, {"id": "auto-router", "allowed_models": ["other/*"]}, {"id": "web", "model": "other"}]
)
def test_a_plugin_puts_no_other_model_to_work(kind: str, plugin: JsonObject) -> None:
    with pytest.raises(Unsupported, match="plugins"):
        sent(at(kind), plugins=[{"id": "web"}, plugin])


def test_a_clients_own_tool_may_have_models_for_arguments() -> None:
    tool = {"type": "function", "function": {"name": "f", "parameters": {"properties": {"model": {}}}}, "model": "x"}
    assert sent(at("openrouter"), tools=[tool])["tools"] == [tool]


@pytest.mark.parametrize("odd", ["x", 5, [5], [{"id": ["fusion"], "type": {}}], [{"parameters": 5}]])
def test_what_has_no_shape_chooses_nothing(odd: Any) -> None:
    body = sent(at("openrouter"), tools=odd, plugins=odd)
    assert body["tools"] == odd
