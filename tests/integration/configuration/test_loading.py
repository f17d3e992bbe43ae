"""A file into the database: the given documents unchanged, all or nothing, twice the same as once."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command

from accounts import keys
from accounts.models import ApiKey, Budget, Limit, Team
from providers.models import Credential, Deployment, Provider
from routing.config_watch import load_at_start
from routing.configuration.loading import load_file, load_if_changed, read_file
from routing.configuration.problems import ConfigurationRefused
from routing.models import ConfigurationFile, ConfigurationRevision, GatewaySettings, ModelAlias
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Load, dumped
from tests.unit.routing.test_configuration_broken import BROKEN

pytestmark = pytest.mark.django_db
DOCUMENTS = Path(__file__).parent / "documents"


def command(name: str, *arguments: str) -> str:
    out = StringIO()
    call_command(name, *arguments, stdout=out, stderr=StringIO())
    return out.getvalue()


def test_the_documents_config_yaml_loads_unchanged():
    command("load_config", str(DOCUMENTS / "config.yaml"))

    table = load_table()
    assert {"gpt-4", "gpt-3.5-turbo", "openai_default/gpt-4"} <= set(table.routes)
    provider = table.providers["openai_default"]
    assert (provider.kind, provider.endpoint.host, provider.base_path) == ("openai", "api.openai.com", "/v1")
    assert (provider.first_token_timeout_s, provider.max_retries, provider.retry_delay_s) == (30, 3, 1.0)
    assert (provider.max_concurrency, provider.endpoint.keepalive_s) == (10, 30)
    assert table.policy.rate_limit_requests == 1000


def test_the_documents_health_worker_file_loads_unchanged():
    command("load_config", str(DOCUMENTS / "health_worker_providers.json"))

    assert dict(Provider.objects.values_list("name", "kind")) == {"openai": "openai", "anthropic": "anthropic"}
    variables = dict(Credential.objects.values_list("provider__name", "environment_variable"))
    assert variables == {"openai": "PROXY_API_OPENAI_API_KEY", "anthropic": "PROXY_API_ANTHROPIC_API_KEY"}
    assert "claude-3-sonnet" in load_table().routes


def test_one_file_leaves_alone_what_another_one_brought():
    command("load_config", str(DOCUMENTS / "config.yaml"))
    command("load_config", str(DOCUMENTS / "health_worker_providers.json"))

    assert Provider.objects.count() == 3
    assert GatewaySettings.load().rate_limit_rpm == 1000


def test_loading_twice_changes_nothing(load: Load):
    text = (DOCUMENTS / "config.yaml").read_text()
    first = load(text)
    second = load(text)

    assert first.revision is not None
    assert (second.revision, second.sentences) == (None, ())
    assert ConfigurationRevision.objects.count() == 1


def test_lists_in_a_teams_metadata_are_no_change_the_second_time(load: Load):
    text = "teams: {research: {metadata: {contacts: [a, {mail: [b]}]}}}"
    load(text)
    assert Team.objects.get().metadata == {"contacts": ["a", {"mail": ["b"]}]}
    assert load(text).sentences == ()
    assert load(dumped()).sentences == ()


def test_loading_the_dump_changes_nothing_and_takes_nothing_over(load: Load):
    provider = Provider.objects.create(name="by-hand", kind="cohere", base_url="https://api.cohere.com")
    credential = Credential(provider=provider, name="typed")
    credential.store("co-secret-of-the-operator")
    credential.save()
    Deployment.objects.create(provider=provider, model="command-a", input_nano_usd_per_mtok=2_500_000_001)
    ModelAlias.objects.create(name="smart", targets=["command-a"], strategy="cost")
    load((DOCUMENTS / "config.yaml").read_text())
    newest = ConfigurationRevision.objects.count()

    for style in ("yaml", "json"):
        text = command("dump_config", "--format", style)
        assert load(text, name=f"dump.{style}").sentences == ()

    assert ConfigurationRevision.objects.count() == newest
    assert Provider.objects.get(name="by-hand").source == "admin"


def test_a_teams_limit_keeps_its_window_over_a_dump(load: Load):
    team = Team.objects.create(name="research")
    Limit.objects.create(
        scope="team", team=team, requests=10, requests_window_s=3600, tokens=7, tokens_window_s=604_800
    )
    text = dumped()
    assert load(text).sentences == ()

    Team.objects.all().delete()
    load(text)
    limit = Limit.objects.get(team__name="research")
    assert (limit.requests, limit.requests_window_s, limit.tokens, limit.tokens_window_s) == (10, 3600, 7, 604_800)


def test_of_two_budgets_for_a_period_the_dump_means_the_one_in_force(load: Load):
    of_red = {"scope": "team", "team": Team.objects.create(name="red")}
    Budget.objects.create(**of_red, amount_nano_usd=1, enabled=False)
    Budget.objects.create(**of_red, amount_nano_usd=2)

    assert load(dumped()).sentences == ()


def test_a_limit_that_limits_nothing_and_short_forms_are_no_change(load: Load):
    Limit.objects.create(scope="team", team=Team.objects.create(name="red"), strict=True)
    GatewaySettings.objects.create(pk=1, discovery={"consul": {"url": "http://10.0.0.1:8500"}})

    assert load(dumped()).sentences == ()


def test_a_file_that_names_no_window_means_a_minute(load: Load):
    Limit.objects.create(scope="team", team=Team.objects.create(name="red"), requests=10, requests_window_s=3600)
    load("teams: {red: {rpm: 10}}")
    assert Limit.objects.get().requests_window_s == 60


def test_a_dump_holds_no_secret(load: Load):
    load(
        "providers: [{name: azure-one, kind: azure, base_url: 'https://x.openai.azure.com'}]\napi_keys: [my-own-long-key]"
    )
    credential = Credential(provider=Provider.objects.get(), name="typed")
    credential.store("az-very-secret-value")
    credential.save()

    text = dumped()
    assert "az-very-secret-value" not in text
    assert credential.ciphertext not in text
    assert "my-own-long-key" not in text
    assert ApiKey.objects.get().digest not in text


def test_a_stored_secret_survives_the_loading_of_its_reference(load: Load):
    load("providers: [{name: one, kind: openai, base_url: 'http://10.0.0.1/v1', credentials: [{name: typed}]}]")
    credential = Credential.objects.get(name="typed")
    credential.store("sk-typed-into-the-admin")
    credential.save()

    load("providers: [{name: one, kind: openai, base_url: 'http://10.0.0.2/v1', credentials: [{name: typed}]}]")

    assert Credential.objects.get(name="typed").reveal() == "sk-typed-into-the-admin"


def test_a_dry_run_shows_the_difference_and_changes_nothing(load: Load):
    load("rate_limit_rpm: 10")
    before = dumped()

    applied = load("rate_limit_rpm: 20\nproviders: [{name: openai}]", dry_run=True)

    described = [change.describe() for change in applied.changes]
    assert "~ rate_limit_rpm: 10 → 20" in described
    assert any(line.startswith("+ providers.openai: ") for line in described)
    assert dumped() == before
    assert ConfigurationRevision.objects.count() == 1


def test_nothing_is_changed_when_anything_is_wrong(load: Load):
    load("rate_limit_rpm: 10")
    before = dumped()

    with pytest.raises(ConfigurationRefused):
        load("rate_limit_rpm: 20\napi_keys: [{env: NO_SUCH_VARIABLE_ANYWHERE}]")

    assert dumped() == before


def test_no_broken_file_changes_anything(load: Load, tmp_path: Path):
    load("rate_limit_rpm: 10\nproviders: [{name: kept, base_url: 'http://10.0.0.1', models: [m]}]")
    before, revisions = dumped(), ConfigurationRevision.objects.count()

    for name, document, *_ in BROKEN:
        data = document if isinstance(document, bytes) else document.encode()
        path = tmp_path / ("config.json" if data.startswith(b"{") else "config.yaml")
        path.write_bytes(data)
        with pytest.raises(ConfigurationRefused):
            load_file(str(path), prune=True)
        assert dumped() == before, name

    assert ConfigurationRevision.objects.count() == revisions


def test_the_command_fails_with_file_line_and_remedy(tmp_path: Path):
    path = tmp_path / "broken.yaml"
    path.write_text("debug: false\nprovidrs: []\n")

    with pytest.raises(CommandError, match=r"broken\.yaml:2:1: providrs: found an unknown key; expected providers\?"):
        command("load_config", str(path))


def test_json_output_tells_changes_and_revision(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text('{"rate_limit_rpm": 7}')

    report = json.loads(command("load_config", str(path), "--json"))

    assert report["changes"] == [{"action": "change", "path": "rate_limit_rpm", "before": None, "after": 7}]
    assert report["revision"] == ConfigurationRevision.objects.get().pk


def test_as_many_changes_are_counted_as_lines_are_shown(tmp_path: Path):
    path = tmp_path / "config.json"
    path.write_text(
        '{"rate_limit_rpm": 7, "request_timeout": 50, "providers": [{"name": "a", "base_url": "http://10.0.0.1"}]}'
    )

    for options in (["--dry-run"], []):
        *lines, summary = command("load_config", str(path), *options).strip().splitlines()
        assert len(lines) > 1
        assert summary.startswith(f"{len(lines)} changes")


def test_pruning_removes_what_files_brought_and_nothing_else(load: Load):
    Provider.objects.create(name="by-hand", kind="openai", base_url="http://10.0.0.9/v1")
    load(
        "providers: [{name: a, base_url: 'http://10.0.0.1'}, {name: b, base_url: 'http://10.0.0.2'}]\nrate_limit_rpm: 5"
    )

    load("providers: [{name: a, base_url: 'http://10.0.0.1'}]", prune=True)

    assert set(Provider.objects.values_list("name", flat=True)) == {"a", "by-hand"}
    assert GatewaySettings.load().rate_limit_rpm is None


def test_models_that_left_the_file_leave_the_provider(load: Load):
    load("providers: [{name: a, base_url: 'http://10.0.0.1', models: [m1, m2]}]")
    Deployment.objects.create(provider=Provider.objects.get(), model="added-by-hand")

    load("providers: [{name: a, base_url: 'http://10.0.0.1', models: [m2]}]")

    assert set(Deployment.objects.values_list("model", flat=True)) == {"m2", "added-by-hand"}


def test_rows_of_a_file_are_marked_as_managed_by_it(load: Load):
    load(
        """
        providers: [{name: a, base_url: 'http://10.0.0.1', models: [m1]}]
        model_aliases: {smart: {targets: [m1]}}
        rate_limit_rpm: 5
        """
    )

    assert Provider.objects.get().source == "file"
    assert Deployment.objects.get().source == "file"
    assert ModelAlias.objects.get().source == "file"
    assert GatewaySettings.load().file_keys == ["rate_limit_rpm"]


def test_a_key_of_any_form_is_stored_as_a_hash_that_authenticates(load: Load, settings):
    applied = load("api_keys: [your-api-key-here]")

    key = ApiKey.objects.get()
    pepper = settings.KEY_PEPPER.encode()
    assert key.public_id == keys.identify("your-api-key-here", pepper)
    assert key.digest == keys.digest("your-api-key-here", pepper).hex()
    assert any("everybody knows" in warning for warning in applied.warnings)


def test_the_vendors_key_is_never_sent_to_another_host_unasked(load: Load):
    load("providers: [{name: openai, base_url: 'https://api.openai.com.evil.example/v1', models: [m]}]")

    assert not Credential.objects.exists()


PLACED = [
    ("debug: false\nproviders:\n  - name: a\n    base_url: http://169.254.169.254\n", 4, "providers[0].base_url"),
    ("debug: false\napi_keys:\n  - token: 12345678abc\n  - env: NO_SUCH_VARIABLE\n", 4, "api_keys[1].env"),
    ("teams:\n  blue: {}\n  red:\n    metadata:\n" + "%s: {a: 1}\n", 5, "teams.red.metadata"),
]


def nested(levels: int) -> str:
    return "\n".join("      " + "  " * level + "a:" for level in range(levels)) + "\n      " + "  " * levels + "a"


@pytest.mark.parametrize(("document", "line", "key"), PLACED)
def test_what_only_the_database_refuses_is_named_with_its_line(load: Load, document, line, key):
    with pytest.raises(ConfigurationRefused) as refused:
        load(document % nested(18) if "%s" in document else document)
    (problem,) = refused.value.problems
    assert (problem.at.line, problem.key) == (line, key)
    assert not Provider.objects.exists()


@pytest.mark.parametrize("number", ["1.0e+400", "-1.0e+400", "123456789012345678901"])
@pytest.mark.parametrize(
    "text", ['{"teams": {"red": {"metadata": {"a": [1, NUMBER]}}}}', "teams: {red: {metadata: {a: [1, NUMBER]}}}"]
)
def test_a_number_that_no_database_keeps_is_refused_with_its_key(load: Load, number, text):
    with pytest.raises(ConfigurationRefused, match=r"teams\.red\.metadata\.a\[1\]: found the number"):
        load(text.replace("NUMBER", number))


def test_a_file_refused_for_an_unset_variable_is_in_force_after_a_start_with_it(tmp_path: Path, monkeypatch):
    path = tmp_path / "config.json"
    path.write_text('{"api_keys": [{"env": "A_CLIENTS_KEY", "name": "client"}]}')
    monkeypatch.delenv("A_CLIENTS_KEY", raising=False)
    load_at_start(str(path))
    assert not ApiKey.objects.exists()

    monkeypatch.setenv("A_CLIENTS_KEY", "a-key-of-the-environment")
    assert load_if_changed(read_file(str(path))) is None, "a running worker says it once"
    load_at_start(str(path))
    assert ApiKey.objects.get().name == "client"
    assert ConfigurationFile.objects.get().refusal == ""


def test_a_start_takes_the_key_that_a_variable_holds_by_now_and_leaves_what_was_edited_since(tmp_path, monkeypatch):
    path = tmp_path / "config.json"
    path.write_text('{"api_keys": [{"env": "A_CLIENTS_KEY"}], "model_aliases": {"fast": {"targets": ["a"]}}}')
    monkeypatch.setenv("A_CLIENTS_KEY", "the-key-of-yesterday")
    load_at_start(str(path))
    (before,) = ApiKey.objects.all()
    ModelAlias.objects.update(targets=["b"])

    monkeypatch.setenv("A_CLIENTS_KEY", "the-key-of-today")
    load_at_start(str(path))
    before.refresh_from_db()
    assert (before.enabled, ApiKey.objects.filter(enabled=True).count()) == (False, 1)
    assert ModelAlias.objects.get().targets == ["b"]

    newest = ConfigurationRevision.objects.count()
    load_at_start(str(path))
    assert ConfigurationRevision.objects.count() == newest

    path.write_text('{"api_keys": []}')
    load_if_changed(read_file(str(path)))
    assert not ApiKey.objects.filter(enabled=True).exists(), "the file knows the key that it brought last"


def test_a_start_without_the_variable_of_a_key_keeps_the_key_and_says_so(tmp_path: Path, monkeypatch):
    path = tmp_path / "config.json"
    path.write_text('{"api_keys": [{"env": "A_CLIENTS_KEY"}]}')
    monkeypatch.setenv("A_CLIENTS_KEY", "a-key-of-the-environment")
    load_at_start(str(path))

    monkeypatch.delenv("A_CLIENTS_KEY")
    load_at_start(str(path))
    load_if_changed(read_file(str(path)))
    assert ApiKey.objects.get().enabled
    assert "no variable A_CLIENTS_KEY" in ConfigurationFile.objects.get().refusal

    monkeypatch.setenv("A_CLIENTS_KEY", "a-key-of-the-environment")
    load_at_start(str(path))
    assert ConfigurationFile.objects.get().refusal == ""


def test_a_file_that_is_as_it_was_before_a_mistake_is_refused_no_longer(tmp_path: Path):
    path = tmp_path / "config.json"
    good = '{"model_aliases": {}, "teams": {"one": {}}}'
    path.write_text(good)
    load_if_changed(read_file(str(path)))
    path.write_text(good[:-1])
    with pytest.raises(ConfigurationRefused):
        load_if_changed(read_file(str(path)))
    assert ConfigurationFile.objects.get().refusal

    path.write_text(good)
    assert load_if_changed(read_file(str(path))) is None
    assert ConfigurationFile.objects.get().refusal == ""


@pytest.mark.parametrize(
    ("keys", "needed"),
    [("api_key_env: NO_SUCH_VARIABLE", True), ("credentials: [{enabled: false}]", True), ("", False)],
)
def test_a_provider_of_any_kind_whose_key_is_not_there_is_not_called_without_one(load: Load, keys: str, needed: bool):
    load(f"providers:\n  - name: openai\n    base_url: http://10.0.0.1\n    models: [m]\n    {keys}\n")
    found = load_table().providers["openai"]
    assert (found.credentials, found.needs_credential) == ((), needed)
