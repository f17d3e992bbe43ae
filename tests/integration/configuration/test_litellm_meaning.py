"""What a LiteLLM configuration means stays what it means: who is called with which key, in what shares, how often, and
who steps in. What is compared with is LiteLLM 1.110."""

from typing import Any

import pytest
import yaml

from routing.configuration.document import Configuration
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.rendering import render_plain
from routing.configuration.schema import read
from routing.litellm_import import Imported, is_litellm, translate


def model(name: str, upstream: str, **params: Any) -> dict[str, Any]:
    return {"model_name": name, "litellm_params": {"model": upstream, **params}}


def translated(*models: dict[str, Any], **sections: Any) -> Imported:
    return translate({"model_list": list(models), **sections})


def loadable(*models: dict[str, Any], **sections: Any) -> Configuration:
    return read(render_plain(translated(*models, **sections).document).encode(), file="ours")


PROXY = {"api_base": "http://10.0.0.5:8000/v1"}


@pytest.mark.parametrize(
    ("params", "variable"),
    [
        (model("m", "openai/llama", api_base="os.environ/LOCAL", api_key="os.environ/K"), "LOCAL"),
        (model("m", "azure/m", api_base="os.environ/AZ"), "AZ"),
        (model("m", "azure/m"), "AZURE_API_BASE"),
        (model("m", "hosted_vllm/llama"), "HOSTED_VLLM_API_BASE"),
        (model("m", "litellm_proxy/gpt"), "LITELLM_PROXY_API_BASE"),
        (model("m", "lm_studio/gpt"), "LM_STUDIO_API_BASE"),
    ],
)
def test_a_server_whose_address_is_in_a_variable_is_never_the_vendor_instead(params: dict[str, Any], variable: str):
    found = translated(params)
    assert found.document["providers"][0]["models"]
    assert any(f"({variable})" in note for note in found.notes)
    with pytest.raises(ConfigurationRefused, match=f"os.environ/{variable}"):
        read(render_plain(found.document).encode(), file="ours")


def test_without_a_key_it_is_the_variable_that_litellm_reads_but_only_for_the_vendor_itself():
    wanted = loadable(model("a", "gpt-4o"), model("b", "anthropic/claude-sonnet-4-6"), model("c", "openai/x", **PROXY))
    assert [provider.api_key_env for provider in wanted.providers] == ["OPENAI_API_KEY", "ANTHROPIC_API_KEY", None]


def test_deployments_of_one_account_with_other_settings_keep_them():
    azure: dict[str, Any] = {"api_base": "https://x.openai.azure.com", "api_key": "os.environ/AZ"}
    document = yaml.safe_load("{a: 2024-06-01, b: 2024-06-01}")  # an unquoted date is one for YAML
    wanted = loadable(
        model("a", "azure/a", api_version=document["a"], **azure),
        model("b", "azure/b", api_version=document["b"], timeout=300, **azure),
        model("c", "azure/c", api_version="2025-01-01-preview", max_retries=0, **azure),
    )
    found = [(each.api_version, each.timeout, each.max_retries) for each in wanted.providers]
    assert found == [("2024-06-01", None, 3), ("2024-06-01", 300, 3), ("2025-01-01-preview", None, 1)]


def test_what_the_kind_has_no_option_for_is_left_out_and_said():
    other = {**model("m", "openai/llama", api_version="2024-06-01", **PROXY), "model_info": {"base_model": "gpt-4o"}}
    wanted = loadable(other)
    assert (wanted.providers[0].api_version, dict(wanted.providers[0].models[0].options)) == (None, {})
    notes = translated(other).notes
    assert "model_list[0].litellm_params.api_version: has no equivalent" in notes
    assert "model_list[0].model_info.base_model: has no equivalent" in notes


def test_the_model_behind_a_deployment_of_azure_is_kept():
    azure = model("m", "azure/mine", api_base="https://x.openai.azure.com", api_key="os.environ/AZ")
    wanted = loadable({**azure, "model_info": {"base_model": "azure/gpt-4o"}})
    assert dict(wanted.providers[0].models[0].options) == {"base_model": "gpt-4o"}


@pytest.mark.parametrize(
    ("given", "shares"),
    [
        ([{"weight": 0.7}, {"weight": 0.3}], [(7, None), (3, None)]),
        ([{"weight": 0.125}, {"weight": 0.875}], [(125, None), (875, None)]),
        ([{"rpm": 900}, {"rpm": 6}], [(900, None), (6, None)]),
        ([{"weight": 2, "rpm": 1}, {"weight": 1, "rpm": 9}], [(2, None), (1, None)]),
        ([{"weight": 2}, {"weight": 0}, {}], [(2, None), (1, 2), (1, 2)]),
        ([{}, {}], [(1, None), (1, None)]),
        ([{"order": 0}, {"order": 1}], [(1, 0), (1, 1)]),
        ([{"weight": "x"}, {"weight": float("nan")}], [(1, None), (1, None)]),
    ],
)
def test_shares_are_those_of_simple_shuffle(given: list[dict[str, Any]], shares: list[tuple[int, int | None]]):
    wanted = loadable(*(model("m", f"openai/{n}", **params) for n, params in enumerate(given)))
    assert [(each.weight, each.priority) for each in wanted.providers[0].models] == shares


def test_simple_shuffle_heeds_the_order():
    wanted = loadable(model("m", "openai/a"), router_settings={"routing_strategy": "simple-shuffle"})
    assert wanted.default_strategy == "priority"


@pytest.mark.parametrize(
    ("upstream", "kind", "name"),
    [
        ("openai/responses/gpt-5", "openai_responses", "gpt-5"),
        ("azure/o_series/mine", "azure", "mine"),
        ("azure/responses/mine", "azure", "mine"),
        ("azure_ai/claude-sonnet-4-6", "anthropic", "claude-sonnet-4-6"),
        ("command-r-plus", "cohere", "command-r-plus"),
        ("openrouter/openai/gpt-4o", "openrouter", "openai/gpt-4o"),
    ],
)
def test_what_only_litellm_reads_of_a_models_name_is_not_sent(upstream: str, kind: str, name: str):
    provider = loadable(model("m", upstream, api_base="https://x.example.com")).providers[0]
    assert (provider.kind, provider.models[0].upstream) == (kind, name)


@pytest.mark.parametrize("upstream", ["gemini-2.0-flash", "us.anthropic.claude-sonnet-4-5-20250929-v1:0"])
def test_another_vendors_model_without_a_prefix_is_not_asked_of_openai(upstream: str):
    found = translated(model("m", upstream))
    assert found.document["providers"] == []
    assert "has no adapter here" in found.notes[0]


def test_the_provider_is_the_one_that_custom_llm_provider_names():
    assert loadable(model("m", "claude-x", custom_llm_provider="openrouter")).providers[0].kind == "openrouter"


def test_modes_tell_who_only_embeds_and_who_cannot_be_served():
    embeds, draws = model("e", "text-embedding-3-small"), model("d", "dall-e-3")
    embeds["model_info"], draws["model_info"] = {"mode": "embedding"}, {"mode": "image_generation"}
    found = translated(embeds, draws)
    assert [each["capabilities"] for each in found.document["providers"][0]["models"]] == [["embeddings"]]
    assert any("image_generation" in note for note in found.notes)


@pytest.mark.parametrize(
    ("upstream", "name", "address", "variable"),
    [
        ("groq/llama-3.3-70b", "llama-3.3-70b", "https://api.groq.com/openai/v1", "GROQ_API_KEY"),
        ("mistral/mistral-large", "mistral-large", "https://api.mistral.ai/v1", "MISTRAL_API_KEY"),
        ("fireworks_ai/qwen3", "accounts/fireworks/models/qwen3", "https://api.fireworks.ai/inference/v1",
         "FIREWORKS_AI_API_KEY"),
        ("ollama/llama3.2:3b", "llama3.2:3b", "http://localhost:11434", None),
    ],
)  # fmt: skip
def test_who_speaks_openais_dialect_elsewhere_is_asked_there(
    upstream: str, name: str, address: str, variable: str | None
):
    wanted = loadable(model("m", upstream)).providers[0]
    assert (wanted.kind, wanted.name) == ("openai", upstream.partition("/")[0])
    assert (wanted.models[0].upstream, wanted.base_url, wanted.api_key_env) == (name, address, variable)


def test_an_ollama_of_ones_own_is_asked_where_it_is_and_without_a_key():
    found = translated(model("a", "ollama/a", api_base="http://gpu:11434"), model("b", "ollama_chat/b"))
    assert [(each["name"], each["base_url"]) for each in found.document["providers"]] == [
        ("ollama", "http://gpu:11434"), ("ollama-2", "http://localhost:11434")
    ]  # fmt: skip
    patience = [note for note in found.notes if "waits 20 s" in note]
    assert len(patience) == 2
    assert [("OpenAI's" in note, "OLLAMA_API_BASE" in note) for note in found.notes if note not in patience] == [
        (True, False), (True, False), (False, True)
    ]  # fmt: skip


def test_a_credential_by_name_is_what_it_stands_for():
    named = [{"credential_name": "mine", "credential_values": {"api_key": "os.environ/MINE", **PROXY}}]
    provider = loadable(model("m", "openai/x", litellm_credential_name="mine"), credential_list=named).providers[0]
    assert (provider.api_key_env, provider.base_url) == ("MINE", PROXY["api_base"])


def test_prices_of_the_cache_are_prices():
    prices = {"cache_read_input_token_cost": "1.25e-7", "cache_creation_input_token_cost": 2e-6}
    priced = loadable(model("m", "gpt-4o", **prices)).providers[0].models[0]
    assert (priced.cached_input_usd_per_mtok, priced.cache_write_usd_per_mtok) == (125_000_000, 2_000_000_000)


def test_the_fallback_of_whatever_has_none_hides_no_other():
    router = {
        "fallbacks": [{"*": ["b"]}, {"gpt": ["c"]}, {"a/b": ["b"]}, {"a-b": ["c"]}],
        "context_window_fallbacks": [{"*": ["big"]}, {"gpt": ["huge"]}],
    }
    policies = loadable(model("b", "gpt-4o"), router_settings=router).route_policies
    in_turn = sorted(policies, key=lambda policy: (policy.position, policy.name))
    assert [(each.pattern, each.fallbacks, each.context_fallbacks) for each in in_turn] == [
        ("a/b", ("b",), ("big",)),
        ("a-b", ("c",), ("big",)),
        ("gpt", ("c",), ("huge",)),
        ("*", ("b",), ("big",)),
    ]


def test_default_fallbacks_are_everybodys():
    policies = loadable(model("b", "gpt-4o"), litellm_settings={"default_fallbacks": ["b"]}).route_policies
    assert [(each.pattern, each.fallbacks) for each in policies] == [("*", ("b",))]


@pytest.mark.parametrize("given", [{"a": ["b"]}, [{"a": "b"}], ["b"]])
def test_fallbacks_of_another_form_are_told_of(given: Any):
    notes = translated(router_settings={"fallbacks": given}).notes
    assert any(note.startswith("fallbacks: ") for note in notes)


def test_retries_come_before_the_attempts_and_failures_before_the_one_too_many():
    settings = {"num_retries": 5, "allowed_fails": 0}
    wanted = loadable(model("m", "gpt-4o"), model("n", "openai/x", max_retries=1, **PROXY), litellm_settings=settings)
    assert (wanted.max_attempts, wanted.circuit_breaker_threshold) == (6, 1)
    assert [each.max_retries for each in wanted.providers] == [6, 2]


def test_a_setting_of_another_type_is_told_of():
    router = {"num_retries": "os.environ/N", "timeout": "30s", "cooldown_time": 0}
    found = translated(router_settings=router)
    assert found.document == {"providers": []}
    assert len(found.notes) == 3


def test_the_cache_stays_on_and_checks_keep_their_interval():
    wanted = loadable(
        litellm_settings={"cache": True, "cache_params": {"type": "redis", "ttl": 60}},
        general_settings={"background_health_checks": True, "health_check_interval": 90},
    )
    assert (wanted.response_cache.enabled, wanted.response_cache.ttl, wanted.health_check_interval) == (True, 60, 90)
    off = {"cache": True, "cache_params": {"mode": "default_off"}}
    assert loadable(litellm_settings=off).response_cache.enabled is False


def test_a_file_that_includes_its_models_is_litellms_and_says_what_else_to_import():
    assert is_litellm({"include": ["models.yaml"]})
    assert "import these files too" in translate({"include": ["models.yaml"]}).notes[0]


@pytest.mark.parametrize(
    ("fees", "price", "noted"),
    [
        ({f"search_context_size_{size}": 0.01 for size in ("low", "medium", "high")}, 10_000_000_000, False),
        ({"search_context_size_low": 0.006, "search_context_size_medium": 0.01}, 10_000_000_000, True),
        ({"search_context_size_high": "0.0140000000015"}, 14_000_000_002, False),
        (0.005, 5_000_000_000, False),
        ({}, None, False),
        ({"search_context_size_medium": "dear"}, None, False),
    ],
)
def test_what_a_search_costs_is_taken_over(fees: Any, price: int | None, noted: bool):
    given = {**model("m", "gpt-4o"), "model_info": {"search_context_cost_per_query": fees}}
    assert loadable(given).providers[0].models[0].search_usd_per_thousand == price
    notes = translated(given).notes
    assert any("that of medium was taken" in note for note in notes) == noted
    assert not any("no equivalent" in note for note in notes)
