"""What one loading means for entries of other files, and for names that are left without a model."""

import json
from pathlib import Path

import pytest

from accounts.models import ApiKey, Team
from providers.models import Provider
from routing.configuration.apply import Applied
from routing.configuration.loading import load_if_changed, read_file
from routing.configuration.problems import ConfigurationRefused
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias
from routing.rollback import roll_back
from tests.integration.configuration.conftest import Load, dumped

pytestmark = pytest.mark.django_db(transaction=True)


def follow(tmp_path: Path, name: str, text: str) -> Applied | None:
    path = tmp_path / name
    path.write_text(text)
    return load_if_changed(read_file(str(path)))


def test_what_moved_from_a_followed_file_into_another_stays(tmp_path: Path, load: Load):
    one, two = ({"name": name, "base_url": "http://10.0.0.1", "models": [name]} for name in ("one", "two"))
    everything = {"providers": [one, two], "teams": {"red": {}}, "rate_limit_rpm": 5, "api_keys": ["a-key-of-a-client"]}
    follow(tmp_path, "followed.json", json.dumps(everything))
    moved = {name: everything[name] for name in ("teams", "rate_limit_rpm", "api_keys")} | {"providers": [two]}
    taken = load(json.dumps(moved), name="other.json").warnings
    applied = follow(tmp_path, "followed.json", json.dumps({"providers": [one]}))

    assert "followed.json: 4 of its entries are in this file as well and belong to it now" in "".join(taken)
    assert applied is not None
    assert applied.revision == ConfigurationRevision.objects.first().pk
    assert [warning.partition(", as")[0] for warning in sorted(applied.warnings)] == [
        "providers: two stays", "settings: rate_limit_rpm stays", "teams: red stays"
    ]  # fmt: skip
    assert set(Provider.objects.values_list("name", flat=True)) == {"one", "two"}
    assert (GatewaySettings.load().rate_limit_rpm, Team.objects.get().enabled) == (5, True)
    assert not ApiKey.objects.get().enabled


def test_what_a_followed_file_took_back_leaves_with_it(tmp_path: Path, load: Load):
    provider = '{"providers": [{"name": "p", "base_url": "http://10.0.0.1"}]}'
    follow(tmp_path, "followed.json", provider)
    load(provider, name="other.json")
    follow(tmp_path, "followed.json", provider + " ")
    follow(tmp_path, "followed.json", '{"providers": []}')

    assert not Provider.objects.exists()


def test_a_team_that_only_a_key_names_is_told_of(load: Load):
    text = "api_keys: [{token: a-key-of-a-client, team: rde}]\nteams: {red: {rpm: 5}}"

    assert load(text).warnings == ("api_keys[0].team: there was no team rde; it is made, without limits and budgets",)
    assert load(text).warnings == ()


def test_names_that_a_loading_cuts_off_from_their_models_are_told_of(load: Load):
    both = "{name: p, base_url: 'http://10.0.0.1', models: [m1, m2]}"
    ModelAlias.objects.create(name="of-the-admin", targets=["m1", "p/m2"], fallbacks=["of-before"])
    assert load(f"providers: [{both}]\nmodel_aliases: {{smart: {{targets: [m1, mistyped]}}}}").warnings == (
        "model_aliases.smart.targets: nothing serves mistyped",
    )
    assert load("rate_limit_rpm: 5").warnings == ()
    assert load("providers: [{name: p, base_url: 'http://10.0.0.1', models: [m1]}]").warnings == (
        "model_aliases.of-the-admin.targets: nothing serves p/m2",
    )


def test_pruning_leaves_what_belongs_to_another_file(tmp_path: Path, load: Load):
    ours, theirs = ({"name": name, "base_url": "http://10.0.0.1", "models": [name]} for name in ("ours", "theirs"))
    follow(tmp_path, "followed.json", json.dumps({"providers": [theirs], "teams": {"red": {}}, "rate_limit_rpm": 5,
                                                  "api_keys": ["a-key-of-a-client"]}))  # fmt: skip
    load(json.dumps({"providers": [ours], "api_keys": ["a-key-of-another"], "max_attempts": 2}))
    applied = load('{"providers": []}', prune=True)

    assert [warning.partition(" stays, as")[0].partition(":")[0] for warning in applied.warnings] == [
        "providers", "teams", "settings", "api_keys"
    ]  # fmt: skip
    assert Provider.objects.get().name == "theirs"
    assert (GatewaySettings.load().rate_limit_rpm, GatewaySettings.load().max_attempts) == (5, 3)
    assert [key.enabled for key in ApiKey.objects.order_by("pk")] == [True, False]


def test_what_lost_files_brought_goes_when_that_is_asked_for(load: Load):
    load("teams: {red: {}}\napi_keys: [a-key-of-a-client]", name="lost.yaml")
    assert load("rate_limit_rpm: 5", prune_others=True).warnings == ()

    assert not Team.objects.exists()
    assert not ApiKey.objects.get().enabled


def test_a_key_is_withdrawn_by_any_file_that_had_it(tmp_path: Path, load: Load):
    load("api_keys: [a-key-of-a-client]")
    follow(tmp_path, "followed.json", '{"api_keys": ["a-key-of-a-client"]}')
    load("api_keys: []", prune=True)

    assert not ApiKey.objects.get().enabled


@pytest.mark.parametrize("aliases", ["{a: {targets: [b]}, b: {targets: [a]}}", "{a: {targets: [a]}}",
                                     "{a: {targets: [m, b]}, b: {targets: [m]}}"])  # fmt: skip
def test_an_alias_that_leads_to_an_alias_is_refused(load: Load, aliases: str):
    with pytest.raises(ConfigurationRefused, match=r"model_aliases.a.targets: found ., which is an alias and no model"):
        load(f"providers: [{{name: p, base_url: 'http://10.0.0.1', models: [m]}}]\nmodel_aliases: {aliases}")
    assert not Provider.objects.exists()


def test_an_alias_may_hide_the_model_it_leads_to_and_two_may_back_each_other_up(load: Load):
    assert not load("""
        providers: [{name: p, base_url: 'http://10.0.0.1', models: [m, n]}]
        model_aliases: {m: {targets: [m], fallbacks: [x]}, x: {targets: [n, m], fallbacks: [m]}}
    """).warnings


def test_a_circle_that_stands_already_keeps_no_document_out(load: Load):
    for name, target in (("a", "b"), ("b", "a")):
        ModelAlias.objects.create(name=name, targets=[target])

    load("rate_limit_rpm: 5")
    assert load(dumped()).sentences == ()


def test_what_a_roll_back_brought_back_leaves_with_the_next_change_of_the_file(tmp_path: Path):
    one, two = ({"name": name, "base_url": "http://10.0.0.1", "models": [name]} for name in ("one", "two"))
    everything = {"providers": [one, two], "rate_limit_rpm": 5, "max_attempts": 2, "teams": {"red": {}}}
    before = follow(tmp_path, "followed.json", json.dumps(everything))
    follow(tmp_path, "followed.json", json.dumps({"providers": [one]}))
    assert before is not None
    roll_back(before.revision or 0)
    row = GatewaySettings.load()
    row.file_keys, row.max_attempts = ["rate_limit_rpm"], 7
    row.save()
    assert Provider.objects.count() == 2
    follow(tmp_path, "followed.json", json.dumps({"providers": [one]}) + " ")

    assert Provider.objects.get().name == "one"
    assert not Team.objects.exists()
    assert (GatewaySettings.load().rate_limit_rpm, GatewaySettings.load().max_attempts) == (None, 7)


def test_what_left_a_followed_file_and_is_anothers_by_now_stays(tmp_path: Path, load: Load):
    text = '{"providers": [{"name": "p", "base_url": "http://10.0.0.1"}]}'
    follow(tmp_path, "followed.json", text)
    follow(tmp_path, "followed.json", '{"providers": []}')
    load(text, name="other.json")
    Provider.objects.create(name="of-the-admin", base_url="http://10.0.0.1")
    follow(tmp_path, "followed.json", '{"providers": [] }')

    assert Provider.objects.count() == 2
