"""What one loading means for entries of other files, and for names that are left without a model."""

import json
from pathlib import Path

import pytest

from accounts.models import ApiKey, Team
from providers.models import Provider
from routing.configuration.apply import Applied
from routing.configuration.loading import load_if_changed, read_file
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias
from tests.integration.configuration.conftest import Load

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
    load(json.dumps(moved), name="other.json")
    applied = follow(tmp_path, "followed.json", json.dumps({"providers": [one]}))

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
