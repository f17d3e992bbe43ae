"""What a LiteLLM file leaves to its surroundings: variables, keys that are none, headers, models of other endpoints."""

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command

from routing.litellm_import import translate
from tests.integration.configuration.test_litellm_meaning import loadable, model, translated


def provider_of(*models: dict[str, Any], **sections: Any) -> dict[str, Any]:
    found: dict[str, Any] = translated(*models, **sections).document["providers"][0]
    return found


def test_an_address_a_version_and_a_name_are_read_from_variables_that_are_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    entries = [
        model(
            "a",
            "azure/d",
            api_base="os.environ/AZ_BASE",
            api_key="os.environ/AZ_KEY",
            api_version="os.environ/AZ_VERSION",
        ),
        model("v", "hosted_vllm/llama"),
        model("n", "os.environ/A_NAME", api_base="http://10.0.0.7/v1"),
    ]
    path = tmp_path / "litellm.yaml"
    path.write_text(yaml.safe_dump({"model_list": entries, "environment_variables": {"AZ_VERSION": "2024-10-21"}}))
    monkeypatch.setenv("AZ_BASE", "https://x.openai.azure.com")
    monkeypatch.setenv("AZ_KEY", "a-secret-that-stays")
    monkeypatch.setenv("HOSTED_VLLM_API_BASE", "http://10.0.0.6:8000/v1")
    monkeypatch.setenv("A_NAME", "openai/llama")
    call_command("import_litellm", str(path), "--json")
    shown = capsys.readouterr().out
    azure, vllm, named = json.loads(shown)["document"]["providers"]

    assert (azure["base_url"], azure["api_version"], azure["api_key_env"]) == (
        "https://x.openai.azure.com",
        "2024-10-21",
        "AZ_KEY",
    )
    assert vllm["base_url"] == "http://10.0.0.6:8000/v1"
    assert named["models"] == [{"name": "n", "upstream": "llama"}]
    assert "model_list[0].litellm_params.api_base: taken from AZ_BASE, as it is set here" in shown
    assert "a-secret-that-stays" not in shown


def test_a_name_in_a_variable_that_is_not_set_is_said_to_be_there():
    found = translated(model("n", "os.environ/A_NAME", api_base="http://10.0.0.7/v1"))
    assert found.notes == [
        "model_list[0]: the variable A_NAME, which names its model, is not set here: set it, or write the name out; it was"
        " left out"
    ]


@pytest.mark.parametrize("word", ["EMPTY", "none", "not-needed", "sk-no-key-required"])
def test_a_word_for_no_key_is_none_at_a_server_of_ones_own(word: str):
    found = translated(model("m", "hosted_vllm/llama", api_base="http://10.0.0.7/v1", api_key=word))
    assert "api_key_env" not in found.document["providers"][0]
    assert not any("api_key" in note for note in found.notes)


def test_a_key_in_the_file_is_still_told_of_and_not_taken():
    found = translated(model("m", "hosted_vllm/llama", api_base="http://10.0.0.7/v1", api_key="sk-real-one"))
    assert any("a key in the file is not taken over" in note for note in found.notes)
    assert "sk-real-one" not in str(found)


def test_every_address_is_this_machine():
    found = translated(model("m", "openai/llama", api_base="http://0.0.0.0:4000/v1"))
    assert found.document["providers"][0]["base_url"] == "http://127.0.0.1:4000/v1"
    assert any("0.0.0.0" in note for note in found.notes)


def test_headers_and_the_organization_go_with_every_call(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    more = {"extra_headers": {"X-Team": "blue", "X-Secret": "os.environ/X"}, "organization": "org-1"}
    entries = [model("a", "gpt-4o", **more), model("b", "gpt-4o-mini", **more), model("c", "gpt-4o")]
    path = tmp_path / "litellm.yaml"
    path.write_text(yaml.safe_dump({"model_list": entries}))
    call_command("import_litellm", str(path), "--json")
    shown = json.loads(capsys.readouterr().out)
    with_headers, without = shown["document"]["providers"]

    assert with_headers["headers"] == {"X-Team": "blue", "openai-organization": "org-1"}
    assert [each["name"] for each in with_headers["models"]] == ["a", "b"]
    assert "headers" not in without
    assert any("extra_headers.X-Secret: a value from a variable" in note for note in shown["notes"])


def test_a_credential_that_is_not_in_the_list_is_told_of():
    found = translated(model("m", "openai/llama", litellm_credential_name="gone"))
    assert "model_list[0].litellm_params.litellm_credential_name: no gone is in credential_list" in found.notes


@pytest.mark.parametrize(
    "upstream", ["openai/tts-1", "whisper-1", "azure/dall-e-3", "cohere/rerank-english-v3.0", "openai/gpt-image-1"]
)
def test_a_model_of_another_endpoint_is_left_out_by_its_name(upstream: str):
    found = translated(model("m", upstream, api_base="http://10.0.0.7/v1"))
    assert found.document["providers"] == []
    assert any("is served by no endpoint here" in note for note in found.notes)


@pytest.mark.parametrize(
    ("upstream", "address", "variable"),
    [
        ("zai/glm-4.7", "https://api.z.ai/api/paas/v4", "ZAI_API_KEY"),
        ("dashscope/qwen-max", "https://dashscope.aliyuncs.com/compatible-mode/v1", "DASHSCOPE_API_KEY"),
        ("volcengine/ep-1", "https://ark.cn-beijing.volces.com/api/v3", "VOLCENGINE_API_KEY"),
    ],
)
def test_more_who_speak_openais_dialect(upstream: str, address: str, variable: str):
    provider = loadable(model("m", upstream)).providers[0]
    assert (provider.base_url, provider.api_key_env) == (address, variable)


def test_who_signs_in_with_entra_is_told_what_to_give():
    found = translate({"model_list": [model("m", "azure/d", api_base="https://x.openai.azure.com", tenant_id="t")]})
    assert any("tenant_id: not taken over: give a key" in note for note in found.notes)


def test_fallbacks_of_what_was_left_out_are_told_of():
    chains = [{"nova": ["claude"]}, {"claude": ["nova", "gpt-4o"]}, {"gone": ["claude"]}]
    found = translated(
        model("claude", "anthropic/claude-sonnet-4-6"),
        model("nova", "bedrock/amazon.nova-pro-v1:0"),
        model("gpt-*", "openai/gpt-*"),
        router_settings={"fallbacks": chains},
    )
    assert [note for note in found.notes if note.startswith("fallbacks")] == [
        "fallbacks: nova falls back, but no model of that name was taken over: nothing serves it",
        "fallbacks: gone falls back, but no model of that name was taken over: nothing serves it",
    ]


def test_who_loads_models_when_asked_is_told_how_long_a_stream_waits():
    own = {"api_base": "http://10.0.0.7:11434"}
    assert any("20 s" in note for note in translated(model("m", "ollama_chat/llama", **own)).notes)
    assert not any("20 s" in note for note in translated(model("m", "ollama_chat/llama", timeout=300, **own)).notes)


def test_a_model_that_reasons_is_waited_for():
    entry = model("m", "deepseek/deepseek-reasoner") | {"model_info": {"supports_reasoning": True}}
    assert loadable(entry).providers[0].models[0].reasoning


def test_whoever_may_speak_openais_dialect_is_told_how_to_be_taken_over():
    entries = model("m", "zhipu/glm-4", api_base="https://glm.example/v4"), model("n", "bedrock/amazon.nova-pro-v1:0")
    assert translated(*entries).notes == [
        "model_list[0]: the provider zhipu has no adapter here, which zhipu/glm-4 needs (if that address speaks OpenAI's"
        " dialect, write openai/glm-4); it was left out",
        "model_list[1]: the provider bedrock has no adapter here, which bedrock/amazon.nova-pro-v1:0 needs; it was left out",
    ]


def test_where_the_server_listens_is_not_taken_for_redis():
    found = translated(model("m", "gpt-4o"), general_settings={"host": "0.0.0.0", "port": 4000, "salt_key": "s"})
    assert [note for note in found.notes if "REDIS" in note] == []
    assert any("general_settings.port" in note for note in found.notes)
    assert "general_settings.salt_key: not in the document: PROXY_API_ENCRYPTION_KEYS in the environment" in found.notes


def test_what_stands_in_litellms_database_is_said_to_stay_there():
    general = {"database_url": "os.environ/DATABASE_URL", "store_model_in_db": True}
    notes = translated(model("m", "gpt-4o"), general_settings=general).notes
    assert any("keys and teams in LiteLLM's are not taken over" in note for note in notes)
    assert any("models that stand in LiteLLM's database alone" in note for note in notes)
