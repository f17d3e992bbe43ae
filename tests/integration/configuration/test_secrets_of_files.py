"""What files, dumps and differences show of secrets, and what is said where one is missing."""

import json
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from accounts.models import Price
from providers.models import Credential, Provider
from routing.configuration.loading import load_if_changed, read_file
from routing.configuration.problems import ConfigurationRefused
from routing.models import ConfigurationRevision
from routing.rollback import roll_back
from tests.integration.configuration.conftest import Load, dumped

pytestmark = pytest.mark.django_db(transaction=True)
PASTED = "gsk_0aB1cD2eF3gH4iJ5kL6mN7oP"


def provider(text: str = "", *, name: str = "p") -> str:
    return f"providers: [{{name: {name}, base_url: 'http://10.0.0.1', models: [m], {text}}}]"


def typed(name: str = "p", secret: str = "sk-typed-into-the-admin") -> None:
    row, _ = Credential.objects.get_or_create(provider=Provider.objects.get(name=name), name="typed")
    row.store(secret)
    row.save()


def command(*arguments: str) -> str:
    out, errors = StringIO(), StringIO()
    call_command(*arguments, stdout=out, stderr=errors)
    return out.getvalue() + errors.getvalue()


@pytest.mark.parametrize("style", ["yaml", "json"])
def test_a_dump_shows_no_header_and_loading_it_keeps_them(load: Load, style: str):
    load(provider("headers: {X-Gateway-Key: hidden-one, X-Empty: ''}"))
    out = StringIO()
    call_command("dump_config", "--format", style, stdout=out, stderr=StringIO())
    text = out.getvalue()

    assert "hidden-one" not in text
    assert "X-Gateway-Key" in text
    assert load(text, name=f"dump.{style}").sentences == ()
    assert Provider.objects.get().headers == {"X-Gateway-Key": "hidden-one", "X-Empty": ""}


def test_a_header_without_a_stored_value_is_not_sent_and_told_of(load: Load):
    load(provider("headers: {X-Old: kept}"))
    applied = load(provider("headers: {X-Old: null, X-New: null}"))

    assert applied.warnings == ("providers.p.headers.X-New: no value is stored, so it is not sent",)
    assert Provider.objects.get().headers == {"X-Old": "kept"}


def test_a_difference_tells_that_a_header_changed_and_not_to_what(load: Load, tmp_path: Path):
    load(provider("headers: {X-Key: hidden-one}"))
    path = tmp_path / "next.yaml"
    path.write_text(provider("headers: {X-Key: hidden-two, X-More: hidden-three}"))

    shown = command("load_config", str(path), "--dry-run")
    assert "~ providers.p.headers.X-Key: ••• → •••" in shown
    assert "+ providers.p.headers.X-More: •••" in shown
    shown += command("load_config", str(path), "--json")
    assert "hidden" not in shown


def test_a_variable_that_is_not_set_is_told_of_at_the_loading(load: Load, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("KEY_THAT_IS_SET", "sk-1")
    pool = "api_keys_env: [KEY_THAT_IS_SET, KEY_THAT_IS_NOT]"
    said = "providers.p.api_keys_env: no variable KEY_THAT_IS_NOT is set here, so it gives no key"

    assert load(provider(pool)).warnings == (said,)
    assert load(provider(f"{pool}, enabled: false")).warnings == ()
    assert load(provider("credentials: [{name: typed}]")).warnings == (
        "providers.p.credentials.typed: no secret is stored",
    )
    typed()
    assert load(provider("credentials: [{name: typed}]")).warnings == ()


def test_a_key_that_was_pasted_as_the_name_of_its_variable_is_shown_nowhere_whole(load: Load, tmp_path: Path):
    path = tmp_path / "pasted.yaml"
    path.write_text(provider(f"api_key_env: {PASTED}") + "\nteams: {red: {}}")

    shown = command("load_config", str(path), "--dry-run") + command("load_config", str(path), "--json")
    path.write_text(provider(f"credentials: [{{env: {PASTED}, name: a}}, {{env: other_{PASTED}, name: b}}]"))
    shown += command("load_config", str(path)) + json.dumps(ConfigurationRevision.objects.first().difference)
    with pytest.raises(ConfigurationRefused) as refused:
        load(f"api_keys: [{{env: {PASTED}}}]")

    assert "no variable gsk_… is set here" in shown
    assert PASTED not in shown + str(refused.value)


def test_a_provider_with_a_new_name_keeps_what_was_typed_in(load: Load, tmp_path: Path):
    followed = tmp_path / "followed.yaml"
    followed.write_text(provider("credentials: [{name: typed}], headers: {X-Key: a}", name="old"))
    load_if_changed(read_file(str(followed)))
    typed("old")
    row = Provider.objects.get()
    Price.objects.create(model="m", provider="old", input_nano_usd=1, output_nano_usd=1)
    renamed = provider("renamed_from: old, credentials: [{name: typed}], headers: {X-Key: null}", name="new")
    followed.write_text(renamed)
    applied = load_if_changed(read_file(str(followed)))

    assert applied is not None
    assert applied.warnings == ()
    assert (Provider.objects.get().pk, Provider.objects.get().name) == (row.pk, "new")
    assert Provider.objects.get().headers == {"X-Key": "a"}
    assert Credential.objects.get().reveal() == "sk-typed-into-the-admin"
    assert Price.objects.get().provider == "new"
    assert load(renamed).sentences == ()
    assert "renamed_from" not in dumped()
    roll_back(applied.revision - 1)
    assert (Provider.objects.get().name, Price.objects.get().provider) == ("old", "old")


def test_a_former_name_that_somebody_has_is_told_of(load: Load):
    load(provider("managed_by: admin", name="old"))
    load(provider(name="new"))

    assert load(provider("renamed_from: old", name="new")).warnings == (
        "providers.new.renamed_from: old is there beside it, and stays as it is",
    )
    assert Provider.objects.count() == 2


@pytest.mark.parametrize(
    "second", ["{name: b, renamed_from: a}", "{name: b, renamed_from: c}, {name: d, renamed_from: c}"]
)
def test_a_former_name_that_the_document_has_is_refused(load: Load, second: str):
    with pytest.raises(ConfigurationRefused, match=r"renamed_from: found . ?, which this document has"):
        load(f"providers: [{{name: a}}, {second}]")


def test_a_secret_that_pruning_takes_is_told_of_before_and_after(load: Load):
    load(provider())
    typed()
    said = "providers.p.credentials: typed leaves, and the secret that is stored for it"

    assert load(provider("weight: 2")).warnings == ()
    assert load(provider(), prune=True, dry_run=True).warnings[0].startswith(said)
    applied = load(provider(), prune=True)
    assert applied.warnings[0].startswith(said)
    assert not Credential.objects.exists()
    roll_back(applied.revision - 1)
    assert Credential.objects.get().reveal() == "sk-typed-into-the-admin"


def test_a_secret_that_leaves_with_its_provider_is_told_of_before_and_after(load: Load):
    load(provider("credentials: [{name: typed}]", name="old"))
    typed("old")
    new = provider("credentials: [{name: typed}]", name="new")
    said = "providers: old leaves, and the secret that is stored for it"

    assert load(new, prune=True, dry_run=True).warnings[-1].startswith(said)
    applied = load(new, prune=True)
    assert applied.warnings[-1].startswith(said)
    roll_back(applied.revision - 1)
    assert Credential.objects.get().reveal() == "sk-typed-into-the-admin"
