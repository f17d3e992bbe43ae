"""An option that a provider's kind does not have is refused at each door, and a row that has one from before works on."""

import json
from io import StringIO
from typing import Any

import pytest
from django.core.management import call_command
from django.test import Client
from django.urls import reverse

from providers.admin.forms import DeploymentForm, ProviderForm
from providers.admin.wizard_forms import ConnectionForm
from providers.models import Deployment, Provider
from routing.configuration.dump import read_configuration
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.rendering import render
from routing.configuration.schema import read
from routing.table_loader import load_table
from tests.integration.api.conftest import client_for as client_for
from tests.integration.configuration.conftest import Load

pytestmark = pytest.mark.django_db
URL = "http://10.0.0.1/v1"


@pytest.fixture
def azure() -> Provider:
    return Provider.objects.create(name="a", kind="azure", base_url=URL, options={"api_verson": "2024-10-21"})


@pytest.fixture
def model(azure: Provider) -> Deployment:
    return Deployment.objects.create(provider=azure, model="m", options={"basemodel": "gpt-4o"})


@pytest.fixture
def api(client_for: Any) -> Client:
    return client_for("admin")  # type: ignore[no-any-return]


def send(api: Client, method: str, path: str, body: dict[str, Any]) -> tuple[int, Any]:
    answer = getattr(api, method)(f"/api/{path}/", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


# ---------------------------------------------------------------------------------------------------------------- file


@pytest.mark.parametrize(
    ("line", "key", "found", "expected"),
    [
        ("options: {api_verson: v1}", "options.api_verson", "an option that azure does not have", "api_version?"),
        ("options: {auth: sk-secret}", "options.auth", "a value that it cannot have", "one of api-key, bearer"),
        ("api_version: newest", "api_version", "a value that it cannot have", "a date such as 2024-10-21"),
        ("models: [{name: m, options: {basemodel: x}}]", "models[0].options.basemodel", "an option", "base_model?"),
        ("models: [{name: m, options: {base_model: 4}}]", "models[0].options.base_model", "a value", "a text"),
    ],
)
def test_a_document_is_refused_with_the_line_and_the_nearest_name(
    line: str, key: str, found: str, expected: str
) -> None:
    document = f"providers:\n  - name: a\n    kind: azure\n    base_url: {URL}\n    {line}\n"
    with pytest.raises(ConfigurationRefused) as refused:
        read(document.encode(), file="c.yaml")
    (problem,) = refused.value.problems
    assert (problem.key, problem.at.line) == (f"providers[0].{key}", 5)
    assert problem.found.startswith(found)
    assert problem.expected.startswith(expected)
    assert "sk-secret" not in str(refused.value)


def test_the_place_of_an_option_is_its_own_line() -> None:
    document = f"providers:\n  - name: a\n    base_url: {URL}\n    options:\n      region: eu\n      regoin: eu\n"
    with pytest.raises(ConfigurationRefused) as refused:
        read(document.encode(), file="c.yaml")
    assert [(each.at.line, each.expected) for each in refused.value.problems] == [(6, "region?")]


def test_a_version_of_a_kind_that_has_none_says_nothing() -> None:
    found = read(f"providers: [{{name: a, base_url: '{URL}', api_version: v1}}]".encode(), file="c.yaml")
    assert found.providers[0].api_version == "v1"


# ----------------------------------------------------------------------------------------------------------------- API


def test_the_api_refuses_it(api: Client, azure: Provider) -> None:
    body = {"name": "b", "base_url": URL, "kind": "azure", "options": {"api_verson": "v1", "auth": "sk-secret"}}
    status, said = send(api, "post", "providers", body)
    assert (status, said["error"]["param"]) == (400, "options")
    assert "'api_verson' of this kind; expected api_version?" in said["error"]["message"]
    assert "expected one of api-key, bearer" in said["error"]["message"]
    assert "sk-secret" not in said["error"]["message"]
    body = {"provider": azure.pk, "model": "m", "options": {"auth": "bearer"}}
    status, said = send(api, "post", "deployments", body)
    assert (status, said["error"]["param"]) == (400, "options")
    assert send(api, "post", "deployments", {**body, "options": {"base_model": "gpt-4o"}})[0] == 201


def test_what_is_stored_is_changed_elsewhere_and_sent_back_by_the_api(
    api: Client, azure: Provider, model: Deployment
) -> None:
    for path, change in ((f"providers/{azure.pk}", {"priority": 7}), (f"deployments/{model.pk}", {"weight": 7})):
        assert send(api, "patch", path, change)[0] == 200
        whole = api.get(f"/api/{path}/").json()
        assert send(api, "put", path, whole)[0] == 200
        assert send(api, "patch", path, {"options": {**whole["options"], "more": 1}})[0] == 400
        assert send(api, "patch", path, {"options": {}})[0] == 200


def test_another_kind_has_other_options(api: Client) -> None:
    row = Provider.objects.create(name="b", kind="openai", base_url=URL, options={"dialect": "mistral"})
    status, said = send(api, "patch", f"providers/{row.pk}", {"kind": "grok"})
    assert (status, said["error"]["param"]) == (400, "options")
    assert send(api, "patch", f"providers/{row.pk}", {"kind": "grok", "options": {}})[0] == 200


# --------------------------------------------------------------------------------------------------------------- admin


def typed(form: Any, **changes: Any) -> dict[str, Any]:
    """What a browser sends of a form that was not touched, and the changes."""
    sent = {name: form[name].value() for name in form.fields}
    values = {name: json.dumps(value) if isinstance(value, dict) else value for name, value in sent.items()}
    return {name: value for name, value in {**values, **changes}.items() if value is not None}


def test_forms_refuse_it_and_take_what_was_stored(azure: Provider, model: Deployment) -> None:
    for kind, row in ((ProviderForm, azure), (DeploymentForm, model)):
        untouched = typed(kind(instance=row), weight=9, headers="")
        assert kind(untouched, instance=row).is_valid(), kind(untouched, instance=row).errors
        touched = kind({**untouched, "options": '{"api_verson": "v1"}'}, instance=row)
        assert "api_verson" in str(touched.errors["options"])
    other = ProviderForm(typed(ProviderForm(instance=azure), kind="openai", headers=""), instance=azure)
    assert "options" in other.errors
    wizard = {"name": "b", "base_url": URL, "secret": "sk-12345678", "options": '{"api_verson": "v1"}'}
    assert "api_version?" in str(
        ConnectionForm(wizard, instance=Provider(kind="azure"), kind="azure").errors["options"]
    )


def test_pages_tell_which_options_there_are(admin_client: Client, azure: Provider, model: Deployment) -> None:
    pages = {
        reverse("admin:providers_provider_change", args=[azure.pk]): (["auth", "region"], ["app_url"]),
        reverse("admin:providers_provider_add"): (["auth", "app_url", "region"], ["base_model"]),
        reverse("admin:providers_provider_wizard_create", args=["cohere"]): (["client_name"], ["auth"]),
        reverse("admin:providers_deployment_change", args=[model.pk]): (["base_model"], ["auth"]),
        reverse("admin:providers_deployment_add"): (["base_model", "traits"], ["auth"]),
    }
    for address, (shown, not_shown) in pages.items():
        text = admin_client.get(address).content.decode()
        assert [name for name in shown if f">{name}</code>" not in text] == [], address
        assert [name for name in not_shown if f">{name}</code>" in text] == [], address


# -------------------------------------------------------------------------------------------------------- stored before


def test_a_row_of_before_is_served_and_named_by_validate_env(azure: Provider, model: Deployment) -> None:
    table = load_table()
    assert (table.left_out, list(table.routes)) == ((), ["m", "a/m"])
    out = StringIO()
    call_command("validate_env", "--json", stdout=out)
    found = {each["key"]: each for each in json.loads(out.getvalue())["findings"]}
    assert found["provider a: options"]["level"] == found["deployment a/m: options"]["level"] == "warning"
    assert "api_version?" in found["provider a: options"]["problem"]


def test_its_dump_can_be_loaded(azure: Provider, model: Deployment, load: Load) -> None:
    Provider.objects.filter(pk=azure.pk).update(options={"api_verson": "v1", "region": "eu", "auth": "bearer"})
    text = render(read_configuration(), style="yaml")
    assert "api_verson" not in text
    load(text)
    azure.refresh_from_db()
    assert azure.options == {"region": "eu", "auth": "bearer"}


def test_a_file_is_loaded_beside_it(azure: Provider, model: Deployment, load: Load) -> None:
    load(f"providers: [{{name: other, base_url: '{URL}', models: [n]}}]")
    azure.refresh_from_db()
    assert azure.options == {"api_verson": "2024-10-21"}
