"""A LiteLLM proxy's configuration becomes a document of ours; what does not fit is left out and named, nothing crashes."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from routing.configuration.schema import read
from routing.litellm_import import translate

LITELLM = """
model_list:
  - model_name: gpt-4o
    litellm_params: {model: azure/gpt-4o-eu, api_base: https://my.openai.azure.com/, api_key: os.environ/AZ, rpm: 6}
  - model_name: gpt-4o
    litellm_params: {model: openai/gpt-4o, api_key: os.environ/OPENAI_API_KEY, weight: 2, input_cost_per_token: 2.5e-06}
  - model_name: claude
    litellm_params: {model: claude-sonnet-4-6, api_key: sk-literal-key}
  - model_name: gem
    litellm_params: {model: vertex_ai/gemini-pro}
router_settings: {routing_strategy: least-busy, num_retries: 2, fallbacks: [{gpt-4o: [claude]}], redis_host: x}
general_settings: {master_key: os.environ/MASTER}
"""


def test_a_litellm_configuration_becomes_ours(tmp_path: Path):
    path = tmp_path / "litellm.yaml"
    path.write_text(LITELLM)
    out, notes = StringIO(), StringIO()
    call_command("import_litellm", str(path), stdout=out, stderr=notes)
    wanted = read(out.getvalue().encode(), file="ours.yaml")

    providers = {entry.name: entry for entry in wanted.providers}
    assert (providers["azure"].api_key_env, providers["openai"].api_key_env) == ("AZ", "OPENAI_API_KEY")
    assert providers["azure"].models[0].upstream == "gpt-4o-eu"
    assert providers["openai"].models[0].input_usd_per_mtok == 2_500_000_000
    assert providers["openai"].models[0].weight == 2
    assert (wanted.default_strategy, wanted.max_attempts) == ("least_busy", 3)
    assert wanted.route_policies[0].fallbacks == ("claude",)
    assert wanted.api_keys[0].env == "MASTER"
    assert "sk-literal-key" not in out.getvalue() + notes.getvalue()
    for said in ("rpm", "gemini", "redis_host", "api_key"):
        assert said in notes.getvalue()


def test_something_that_is_no_litellm_configuration_is_refused(tmp_path: Path):
    path = tmp_path / "x.yaml"
    path.write_text("providers: []\n")
    with pytest.raises(CommandError, match="no model_list"):
        call_command("import_litellm", str(path))


def test_nothing_in_a_litellm_list_crashes_the_import():
    found = translate({"model_list": [None, 5, {}, {"litellm_params": 3}, {"litellm_params": {"model": "x/y"}}]})
    assert found.document["providers"] == []
    assert len(found.notes) == 5


def imported(tmp_path: Path, text: str) -> tuple[str, str]:
    """The document, and what was said of it."""
    path = tmp_path / "litellm.yaml"
    path.write_text(text)
    out, said = StringIO(), StringIO()
    try:
        call_command("import_litellm", str(path), stdout=out, stderr=said)
    except CommandError as error:
        said.write(str(error))
    return out.getvalue(), said.getvalue()


GOOD = "{model_name: good, litellm_params: {model: openai/gpt-4o, api_key: os.environ/K}}"


@pytest.mark.parametrize(
    ("name", "model"),
    [
        ("'*'", "openai/gpt-4o"),
        ("'openai/*'", "'openai/*'"),
        ("two words", "openai/gpt-4o"),
        ("x", "'openai/two words'"),
    ],
)
def test_a_name_that_no_model_can_have_here_is_left_out_and_named(tmp_path: Path, name: str, model: str):
    bad = f"{{model_name: {name}, litellm_params: {{model: {model}, api_key: os.environ/K}}}}"
    document, said = imported(tmp_path, f"model_list: [{GOOD}, {bad}]\n")
    assert [item.name for item in read(document.encode(), file="ours").providers[0].models] == ["good"]
    assert "model_list[1]: '" in said


def test_what_cannot_be_loaded_is_written_all_the_same_with_the_places_to_look_at(tmp_path: Path):
    text = f"model_list: [{GOOD.replace('api_key', 'timeout: -3, api_key')}]\n"
    document, said = imported(tmp_path, text)
    assert "name: good" in document
    line = next(number for number, each in enumerate(document.splitlines(), start=1) if "timeout" in each)
    assert f"the document:{line}:" in said
    assert "needs your hand" in said
    out = StringIO()
    with pytest.raises(CommandError, match="needs your hand"):
        call_command("import_litellm", str(tmp_path / "litellm.yaml"), "--json", stdout=out)
    shown = json.loads(out.getvalue())
    assert shown["document"]["providers"][0]["models"] == [{"name": "good", "upstream": "gpt-4o"}]
    assert "timeout" in shown["problems"][0]


def test_a_group_alias_is_an_alias(tmp_path: Path):
    settings = "{model_group_alias: {short: good, hid: {model: good, hidden: true}, lost: nowhere, 'a b': good}}"
    document, said = imported(tmp_path, f"model_list: [{GOOD}]\nrouter_settings: {settings}\n")
    aliases = read(document.encode(), file="ours").model_aliases
    assert {name: alias.targets for name, alias in aliases.items()} == {"short": ("good",), "hid": ("good",)}
    for part in ("hid.hidden", "lost: no model nowhere", "'a b'"):
        assert part in said


def test_an_alias_of_a_group_that_became_an_alias_leads_to_its_models():
    entries = [{"model_name": "m", "litellm_params": {"model": f"openai/{name}"}} for name in "ab"]
    document = translate({"model_list": entries, "router_settings": {"model_group_alias": {"n": "m"}}}).document
    assert document["model_aliases"]["n"] == document["model_aliases"]["m"] == {"targets": ["openai/m", "openai/m-2"]}


def test_what_stands_elsewhere_here_is_pointed_to(tmp_path: Path):
    settings = (
        "litellm_settings: {max_budget: 9, drop_params: true, fancy: 1}\n"
        "router_settings: {redis_host: cache}\ngeneral_settings: {database_url: x}\n"
    )
    priced = GOOD.replace("}}", "}, model_info: {input_cost_per_token: 0.000003}}")
    document, said = imported(tmp_path, f"model_list: [{priced}]\n{settings}")
    assert "input_usd_per_mtok: 3\n" in document
    for part in (
        "max_budget: not taken over: budgets belong to teams",
        "drop_params: no switch",
        "fancy: has no equivalent",
        "redis_host: not in the document: with REDIS_URL",
        "database_url: not in the document: DATABASE_URL",
    ):
        assert part in said


@pytest.mark.django_db
def test_who_loads_litellms_own_file_is_told_of_the_import(tmp_path: Path):
    path = tmp_path / "litellm.yaml"
    path.write_text(f"model_list: [{GOOD}]\n")
    with pytest.raises(CommandError, match=r"`manage\.py import_litellm` turns it into a document"):
        call_command("load_config", str(path))


def test_no_retries_are_one_attempt_and_the_routers_own_settings_win(tmp_path: Path):
    settings = "router_settings: {num_retries: 0, timeout: 7}\nlitellm_settings: {num_retries: 4, request_timeout: 9}\n"
    document, said = imported(tmp_path, f"model_list: [{GOOD}]\n{settings}")
    wanted = read(document.encode(), file="ours")
    assert (wanted.max_attempts, wanted.request_timeout) == (1, 7)
    assert "has no equivalent" not in said


def test_more_attempts_than_are_possible_are_told_of(tmp_path: Path):
    retries = GOOD.replace("api_key", "max_retries: 50, api_key")
    document, said = imported(tmp_path, f"model_list: [{retries}]\nlitellm_settings: {{num_retries: 99}}\n")
    wanted = read(document.encode(), file="ours")
    assert (wanted.max_attempts, wanted.providers[0].max_retries) == (20, 20)
    assert "num_retries: 99 is more" in said
    assert "max_retries: 50 is more" in said


@pytest.mark.parametrize(
    "text",
    ["model_list: 5", "model_list: {a: b}", *(f"model_list: []\n{name}: 5" for name in
     ("router_settings", "litellm_settings", "general_settings")), "model_list: [2020-99-99]"],
)  # fmt: skip
def test_a_section_of_another_type_is_refused_by_name(tmp_path: Path, text: str):
    document, said = imported(tmp_path, text)
    assert document == ""
    assert text.splitlines()[-1].partition(":")[0] in said or "plain data" in said


def test_fallbacks_to_names_that_no_model_can_have_are_left_out(tmp_path: Path):
    fallbacks = "[{'*': [good]}, {good: [two words, good]}, {two words: [good]}]"
    document, said = imported(tmp_path, f"model_list: [{GOOD}]\nrouter_settings: {{fallbacks: {fallbacks}}}\n")
    policies = read(document.encode(), file="ours").route_policies
    assert [(policy.pattern, policy.fallbacks) for policy in policies] == [("*", ("good",)), ("good", ("good",))]
    assert said.count("two words") == 2
