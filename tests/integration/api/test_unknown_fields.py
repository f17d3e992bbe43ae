"""A field that there is not is refused wherever something is written: a typing error in a restriction would lift it."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.models import ApiKey
from accounts.provisioning import KeyOrder, create_key
from providers.models import Deployment, Provider
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy
from tests.integration.api.test_document import document as document
from tests.integration.api.test_document import validator

pytestmark = pytest.mark.django_db

BODIES: dict[str, dict[str, Any]] = {
    "teams": {"name": "red"}, "api-keys": {"name": "app"}, "limits": {"scope": "default", "requests": 5},
    "budgets": {"scope": "all", "tokens": 5}, "prices": {"model": "m", "input_nano_usd": 1, "output_nano_usd": 2},
    "providers": {"name": "other", "base_url": "https://a.example"}, "credentials": {"environment_variable": "OWN_KEY"},
    "deployments": {"model": "m"}, "model-aliases": {"name": "fast", "targets": ["m"]}, "route-policies": {"name": "all"},
}  # fmt: skip
ACTIONS = ("api-keys/{}/rotate", "providers/{}/test", "providers/{}/adopt-models", "history/{}/rollback")


def send(client: Client, method: str, path: str, body: Any) -> tuple[int, dict[str, Any]]:
    answer = getattr(client, method)(f"/api/{path}/", json.dumps(body), content_type="application/json")
    return answer.status_code, answer.json()


@pytest.fixture
def provider(db: None) -> Provider:
    return Provider.objects.create(name="first", base_url="https://a.example/v1")


@pytest.mark.parametrize("name", BODIES)
def test_a_row_is_neither_made_nor_changed(admin: Client, provider: Provider, name: str) -> None:
    body = {**BODIES[name], **({"provider": provider.pk} if name in ("credentials", "deployments") else {})}
    status, said = send(admin, "post", name, {**body, "of_my_own": 1})
    assert (status, said["error"]["param"], said["error"]["type"]) == (400, "of_my_own", "invalid_request_error")
    if name == "model-aliases":
        Deployment.objects.create(provider=provider, model="m")
    status, made = send(admin, "post", name, body)
    assert status == 201, made
    for method in ("patch", "put"):
        status, said = send(admin, method, f"{name}/{made['id']}", {**body, "of_my_own": 1})
        assert (status, said["error"]["param"]) == (400, "of_my_own"), method
    # What was read can be sent back, with what is only read.
    again = {field: value for field, value in made.items() if field != "key"}
    assert send(admin, "put", f"{name}/{made['id']}", again)[0] == 200


def test_a_restriction_that_was_mistyped_makes_no_key_and_the_right_name_is_told(admin: Client) -> None:
    before = ApiKey.objects.count()
    status, said = send(admin, "post", "api-keys", {"name": "app", "allowed_model": ["gpt-4o-mini"]})
    assert (status, said["error"]["param"]) == (400, "allowed_model")
    assert "did you mean 'allowed_models'?" in said["error"]["message"]
    assert ApiKey.objects.count() == before


@pytest.mark.parametrize("action", ACTIONS)
def test_an_action_is_not_begun(admin: Client, provider: Provider, action: str) -> None:
    rows = {
        "api-keys": create_key(KeyOrder(name="app")).key.pk,
        "providers": provider.pk,
        "history": ConfigurationRevision.objects.latest("pk").pk,
    }
    status, said = send(admin, "post", action.format(rows[action.partition("/")[0]]), {"of_my_own": 1})
    assert (status, said["error"]["param"]) == (400, "of_my_own")


def test_settings_are_not_changed(admin: Client) -> None:
    for method in ("patch", "put"):
        status, said = send(admin, method, "settings", {"max_attempt": 5, "app_name": "other"})
        assert (status, said["error"]["param"]) == (400, "max_attempt")
    assert "max_attempts" in said["error"]["message"]
    assert GatewaySettings.load().app_name != "other"


def test_options_of_a_policy_have_the_names_that_mean_something(admin: Client) -> None:
    status, said = send(admin, "post", "route-policies", {"name": "all", "options": {"hedge_afer": 2}})
    assert (status, said["error"]["param"]) == (400, "options")
    assert "hedge_after?" in said["error"]["message"]
    assert not RoutePolicy.objects.exists()


@pytest.mark.parametrize("name", ["\ud800", "x" * 100_000, "", "non_field_errors", "\x00"])
def test_names_that_nobody_means_are_refused_as_well(admin: Client, name: str) -> None:
    status, said = send(admin, "post", "model-aliases", {"name": "fast", "targets": ["m"], name: 1})
    assert status == 400
    assert len(said["error"]["message"]) < 300
    assert not ModelAlias.objects.exists()


def test_the_document_says_so_of_every_body(document: dict[str, Any]) -> None:
    for path, methods in document["paths"].items():
        for method in {"post", "put", "patch"} & methods.keys():
            for content in methods[method].get("requestBody", {}).get("content", {}).values():
                if path.startswith("/api/"):
                    assert not validator(document, content["schema"]).is_valid({"of_my_own": 1}), (method, path)
                    name = content["schema"]["$ref"].rpartition("/")[2]
                    assert document["components"]["schemas"][name]["additionalProperties"] is False, name
