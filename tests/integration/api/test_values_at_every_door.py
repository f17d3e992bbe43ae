"""`/api/…` lets nothing in that a file could not say, that a call would fail over, or that would freeze the workers."""

import json
from typing import Any

import pytest
from django.test import Client

from accounts.key_source import SqlKeySource
from accounts.models import ApiKey
from accounts.provisioning import KeyOrder, create_key
from providers.models import Provider
from routing.discovery_settings import read_discovery_settings
from routing.models import GatewaySettings
from routing.table_loader import load_table

pytestmark = pytest.mark.django_db


def send(client: Client, path: str, status: int = 400, *, method: str = "post", **body: Any) -> Any:
    answer = getattr(client, method)(f"/api/{path}/", json.dumps(body), content_type="application/json")
    assert answer.status_code == status, (body, answer.content)
    return answer.json()["error"]["param"] if status == 400 else answer.json()


@pytest.fixture
def provider(db: None) -> Provider:
    return Provider.objects.create(name="first", base_url="https://a.example/v1")


@pytest.mark.parametrize(
    "words", [5, "tools", [{}], [5], [""], {"a": 1}, ["a", "a"], ["a\nb"], ["x" * 201], ["\ud800"]]
)
def test_capabilities_and_tags_are_lists_of_words(admin: Client, provider: Provider, words: Any) -> None:
    assert send(admin, "deployments", provider=provider.pk, model="m", capabilities=words) == "capabilities"
    assert send(admin, "deployments", provider=provider.pk, model="m", tags=words) == "tags"
    assert send(admin, f"providers/{provider.pk}", method="patch", tags=words) == "tags"


@pytest.mark.parametrize("secret", ["a\nb", "sk-abc def", "sk-…", "sk-é", "sk-\u200babc"])
def test_a_secret_that_no_header_carries_is_refused(admin: Client, provider: Provider, secret: str) -> None:
    assert send(admin, "credentials", provider=provider.pk, name="new", secret=secret) == "secret"
    stored = send(admin, "credentials", 201, provider=provider.pk, name="old", secret=" sk-abc ")
    assert send(admin, f"credentials/{stored['id']}", method="patch", secret=secret) == "secret"


@pytest.mark.parametrize(
    "options", [5, [1], "x", None, {"a": 1e400}, {"a": "\x00"}, {"\x00": 1}, {"a": ["\ud800"]}, {"a": 2**70}]
)
def test_options_are_an_object_that_can_be_stored(admin: Client, provider: Provider, options: Any) -> None:
    text = json.dumps({"options": options}).replace("Infinity", "1e400")
    for path in (f"providers/{provider.pk}", "deployments"):
        method = "post" if path == "deployments" else "patch"
        body = text[:-1] + f', "provider": {provider.pk}, "model": "m"}}' if method == "post" else text
        answer = getattr(admin, method)(f"/api/{path}/", body, content_type="application/json")
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, "options")


def test_options_as_deep_as_no_document_can_be_are_refused(admin: Client, provider: Provider) -> None:
    deep: Any = 1
    for _ in range(20):
        deep = {"a": deep}
    assert send(admin, f"providers/{provider.pk}", method="patch", options=deep) == "options"


def test_what_a_file_gave_for_the_process_is_left_to_the_file(admin: Client) -> None:
    for value in (5, [], {"port": "x"}):
        assert send(admin, "settings", 200, method="patch", process=value, file_keys=["host"])["process"] == {}
    assert GatewaySettings.load().file_keys == []
    load_table()


@pytest.mark.parametrize("name", ["DATABASE_URL", "redis_url", "PROXY_API_SECRET_KEY_FILE", "PROXY_API_METRICS_TOKEN"])
def test_a_credential_does_not_name_the_gateways_own_secret(admin: Client, provider: Provider, name: str) -> None:
    assert send(admin, "credentials", provider=provider.pk, environment_variable=name) == "environment_variable"


@pytest.mark.parametrize("price", [-1, 10**15 + 1])
def test_a_price_is_not_negative_and_no_typing_error(admin: Client, provider: Provider, price: int) -> None:
    for kind in ("input", "output", "cached_input", "cache_write"):
        column = f"{kind}_nano_usd_per_mtok"
        assert send(admin, "deployments", provider=provider.pk, model="m", **{column: price}) == column
    for kind in ("input", "output", "cached_input", "cache_write", "reasoning"):
        column = f"{kind}_nano_usd"
        body = {"model": "m", "input_nano_usd": 1, "output_nano_usd": 1, column: price}
        assert send(admin, "prices", **body) == column


SECTIONS = [
    ("condensation", {"adaptive_factor": 5}, "adaptive_factor"),
    ("condensation", {"factor": 0.5}, "factor"),
    ("condensation", 5, "a mapping"),
    ("response_cache", {"ttl": -1}, "ttl"),
    ("payload_logging", {"retention_days": "x"}, "retention_days"),
    ("payload_logging", [], "a mapping"),
    ("discovery", {"registy": "https://a.example"}, "registry?"),
    ("discovery", {"consul": {"tag": "x"}}, "consul.url"),
    ("discovery", {"allow_env": ["DATABASE_URL"]}, "own secrets"),
]


@pytest.mark.parametrize(("name", "value", "complaint"), SECTIONS)
def test_a_section_that_no_file_could_say_is_refused_with_the_reason(
    admin: Client, name: str, value: Any, complaint: str
) -> None:
    answer = admin.patch("/api/settings/", json.dumps({name: value}), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
    assert complaint in answer.json()["error"]["message"]


def test_a_section_that_a_file_could_say_is_taken(admin: Client) -> None:
    section = {"registry": "https://a.example/list.json", "auto_approve": ["a*"], "drain_seconds": 1.5}
    assert send(admin, "settings", 200, method="patch", discovery=section)["discovery"] == section
    assert read_discovery_settings().drain_seconds == 1.5


@pytest.mark.parametrize("header", ["Authorization", "cookie", "host", "content-length", "x key", "x:y", "é", "x\r\ny"])
def test_the_key_header_is_one_that_is_not_taken(admin: Client, header: str) -> None:
    assert send(admin, "settings", method="patch", api_key_header=header) == "api_key_header"


@pytest.mark.parametrize("origins", [["app.example.com"], ["https://a.example/x"], ["*", "*"], [5], "*", {"*": 1}])
def test_origins_are_what_the_browser_sends(admin: Client, origins: Any) -> None:
    assert send(admin, "settings", method="patch", cors_origins=origins) == "cors_origins"


@pytest.mark.parametrize("tags", [5, "x", {"a": 1}, [5], ["a", "a"]])
def test_tags_of_a_key_are_words(admin: Client, tags: Any) -> None:
    assert send(admin, "api-keys", name="app", tags=tags) == "tags"


@pytest.mark.parametrize("metadata", [5, [1], "x", {"a": "\x00"}, {"a": 2**70}])
def test_metadata_of_a_team_is_an_object(admin: Client, metadata: Any) -> None:
    assert send(admin, "teams", name="red", metadata=metadata) == "metadata"


@pytest.mark.parametrize("stored", [5, "x", {"a": 1}, [5]])
def test_a_key_works_whatever_is_stored_as_its_tags(stored: Any) -> None:
    key = create_key(KeyOrder(name="app")).key
    ApiKey.objects.filter(pk=key.pk).update(tags=stored)
    assert SqlKeySource().read((key.public_id,))[key.public_id].tags == ()


def test_a_key_that_would_be_refused_at_once_is_not_made(admin: Client) -> None:
    assert send(admin, "api-keys", name="old", expires_at="2020-01-01") == "expires_at"
    made = send(admin, "api-keys", 201, name="new", expires_at="2099-01-01")
    send(admin, f"api-keys/{made['id']}", 200, method="patch", expires_at="2020-01-01")
