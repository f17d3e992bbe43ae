"""LiteLLM's wildcards (`openai/*`) are what discovery finds of a provider, under the names that clients use already; and the
import says what it took over, and where it took something like what was asked for."""

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command

from providers.discovery.looking import discover
from routing.configuration.rendering import render_plain
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Load
from tests.integration.configuration.test_litellm_meaning import PROXY, loadable, model, translated
from tests.unit.providers.test_discovery_sources import Source
from tests.upstreams.servers import run_asgi


def test_a_wildcard_becomes_its_provider_and_a_rule_for_what_it_lists():
    wanted = loadable(model("openai/*", "openai/*"), model("claude-*", "anthropic/claude-*", api_key="os.environ/A"))
    assert [(each.name, each.api_key_env, each.models) for each in wanted.providers] == [
        ("openai", "OPENAI_API_KEY", ()), ("anthropic", "A", ())
    ]  # fmt: skip
    assert (wanted.discovery.model_lists, wanted.discovery.auto_approve) == (True, ("openai/*", "anthropic/claude-*"))
    assert translated(model("m", "gpt-4o")).document.get("discovery") is None


@pytest.mark.django_db(transaction=True)
def test_what_a_wildcard_stands_for_is_called_as_before_once_it_is_found_and_stays(load: Load):
    source = Source()
    source.answers["/v1/models"] = {"data": [{"id": "llama", "object": "model"}, {"id": "qwen", "object": "model"}]}
    with run_asgi(source) as url:
        server: dict[str, Any] = {"api_base": f"{url}/v1", "api_key": "os.environ/PATH"}
        named = translated(model("vllm/*", "hosted_vllm/*", **server), model("mine", "openai/own", **server))
        load(render_plain(named.document))
        discover()
        load(render_plain(named.document) + "request_timeout: 9\n", prune=True)
    assert {"vllm/llama", "vllm/qwen", "llama", "qwen", "mine"} <= set(load_table().routes)


@pytest.mark.parametrize(
    ("public", "provider"),
    [("xai/*", "xai"), ("mine/*", "mine"), ("*", "grok"), ("a/b/*", "grok"), ("grok-*", "grok")],
)
def test_the_provider_of_a_wildcard_is_called_as_clients_call_it(public: str, provider: str):
    assert translated(model(public, "xai/*")).document["providers"][0]["name"] == provider


def test_other_names_than_clients_use_are_told():
    notes = translated(model("my-*", "openai/gpt-*"), model("x/*", "openai/*"), model("*", "openai/*")).notes
    assert "called 'gpt-*' and 'openai/gpt-*'" in notes[0]
    assert "called '*' and 'openai/*'" in notes[1]
    assert "called" not in notes[2]


def test_a_wildcard_of_whom_nobody_can_ask_for_a_list_says_so():
    found = translated(model("azure/*", "azure/*", api_base="https://x.openai.azure.com", api_key="os.environ/K"))
    assert [each["models"] for each in found.document["providers"]] == [[]]
    assert "discovery" not in found.document
    assert found.notes == ["model_list[0]: 'azure/*' stands for any name; but azure has no list of its models to ask: write "
                           "them down"]  # fmt: skip


def test_a_wildcard_of_every_provider_is_left_out_with_the_remedy():
    found = translated(model("*", "*"))
    assert found.document == {"providers": []}
    assert "what names a provider, such as 'openai/*', is taken over" in found.notes[0]


def test_what_a_wildcard_says_of_each_of_its_models_is_told_of():
    notes = translated(model("openai/*", "openai/*", rpm=5, timeout=9, **PROXY)).notes
    assert [note for note in notes if "equivalent" in note] == [
        "model_list[0].litellm_params.rpm: has no equivalent for models that are found"
    ]


@pytest.mark.parametrize("strategy", ["usage-based-routing", "usage-based-routing-v2"])
def test_a_strategy_that_is_only_like_the_one_asked_for_is_told_of(strategy: str):
    found = translated(router_settings={"routing_strategy": strategy})
    assert found.document["default_strategy"] == "least_busy"
    assert f"{strategy} prefers who had the fewest tokens" in found.notes[0]
    assert translated(router_settings={"routing_strategy": "least-busy"}).notes == []


def test_the_import_says_what_it_took_over(tmp_path: Path):
    path = tmp_path / "litellm.yaml"
    path.write_text(
        "model_list:\n- {model_name: 'openai/*', litellm_params: {model: 'openai/*'}}\n"
        "- {model_name: llama, litellm_params: {model: ollama_chat/llama3.2, api_base: 'http://gpu:11434'}}\n"
        "router_settings: {model_group_alias: {small: llama, big: openai/gpt-4o, lost: anthropic/x}, num_retries: 1,\n"
        "  fallbacks: [{llama: [openai/gpt-4o]}]}\n"
    )
    said = StringIO()
    call_command("import_litellm", str(path), stdout=StringIO(), stderr=said)
    *notes, last = said.getvalue().splitlines()
    assert last == (
        "Taken over: providers (2), model_aliases (2), route_policies (1), models (1), max_attempts, discovery."
    )
    assert [note for note in notes if "alias" in note] == [
        "router_settings.model_group_alias.lost: no model anthropic/x was taken over; it was left out"
    ]
