"""What one door lets in, every other lets out: whatever the API takes can be dumped, and the dump loaded again."""

import json
from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from accounts.models import Team
from providers.models import Deployment, Provider
from routing.configuration.dump import read_configuration
from routing.configuration.loading import load_file
from routing.configuration.rendering import render
from routing.models import ModelAlias
from routing.table_loader import load_table

pytestmark = pytest.mark.django_db
P = {"name": "second", "base_url": "https://b.example/v1"}
TAKEN = [
    ("providers", {**P, "priority": 0}),
    ("providers", {**P, "kind": "azure", "options": {"api_version": "", "region": "x" * 70, "paths": {}}}),
    ("providers", {**P, "kind": "anthropic", "options": {"beta": ["a", "b"], "list_prices": False}}),
    ("providers", {**P, "headers": {"x-a": "", "x-b": "é"}, "timeout_s": 0.001, "retry_delay_s": 60, "max_retries": 0}),
    ("providers", {**P, "weight": 2**31 - 1, "max_connections": 100_000, "request_timeout_s": 86_400}),
    (
        "deployments",
        {"model": "m", "priority": 0, "context_window": 1, "tags": ["a b"], "capabilities": ["yes", "null"]},
    ),
    ("deployments", {"model": "m", "upstream_model": "org/m:1", "input_nano_usd_per_mtok": 10**15}),
    ("model-aliases", {"name": "yes", "targets": ["served/m", "1"], "fallbacks": ["<<"]}),
    ("route-policies", {"name": "For <b>us</b>, & them", "pattern": "gpt-*[a", "options": {"price": 0.5}}),
    ("budgets", {"scope": "team", "tokens": 0}),
    ("budgets", {"scope": "team", "amount_nano_usd": 10**18}),
    ("limits", {"scope": "team", "tokens": 9 * 10**15, "requests": 2**31 - 1}),
    ("teams", {"name": "odd", "metadata": {"text": "a\nb\tc", "n": [1.5, -(2**63)]}}),
    ("teams", {"name": "null: <b>", "metadata": {"a": {"b": ["1", 1, 1.5, None, True, "two\nlines"]}, "<<": "x"}}),
]
REFUSED = [
    ("providers", {**P, "retry_delay_s": 120}, "retry_delay_s"),
    ("providers", {**P, "retry_delay_s": -1}, "retry_delay_s"),
    ("providers", {**P, "retry_delay_s": "nan"}, "retry_delay_s"),
    ("providers", {**P, "max_retries": 50}, "max_retries"),
    ("providers", {**P, "circuit_breaker_threshold": 0}, "circuit_breaker_threshold"),
    ("providers", {**P, "request_timeout_s": 1e6}, "request_timeout_s"),
    ("providers", {**P, "timeout_s": "nan"}, "timeout_s"),
    ("providers", {**P, "connect_timeout_s": 0.0001}, "connect_timeout_s"),
    ("providers", {**P, "weight": 2**31}, "weight"),
    ("providers", {**P, "max_connections": 100_001}, "max_connections"),
    ("providers", {**P, "headers": {"x-a": "a\x07"}}, "headers"),
    ("providers", {**P, "options": {"dialekt": "mistral"}}, "options"),
    ("providers", {**P, "options": {"region": "a\nb"}}, "options"),
    ("providers", {**P, "headers": {"x" * 101: "a"}}, "headers"),
    ("deployments", {"model": "m", "context_window": 0}, "context_window"),
    ("deployments", {"model": "m", "max_output_tokens": 0}, "max_output_tokens"),
    ("deployments", {"model": "m", "upstream_model": "a b"}, "upstream_model"),
    ("deployments", {"model": "a\u00a0b"}, "model"),
    ("model-aliases", {"name": "two words", "targets": ["m"]}, "name"),
    ("model-aliases", {"name": "a", "targets": ["two words"]}, "targets"),
    ("model-aliases", {"name": "a", "targets": []}, "targets"),
    ("model-aliases", {"name": "a"}, "targets"),
    ("model-aliases", {"name": "a", "targets": ["a"]}, "targets"),
    ("model-aliases", {"name": "a", "targets": ["m"], "fallbacks": ["b", "b"]}, "fallbacks"),
    ("model-aliases", {"name": "a", "targets": ["m", "nobodys"]}, "targets"),
    ("model-aliases", {"name": "a", "targets": ["m"], "fallbacks": ["nobodys"]}, "fallbacks"),
    ("route-policies", {"name": "a", "fallbacks": ["nobodys"]}, "fallbacks"),
    ("route-policies", {"name": "a", "context_fallbacks": ["nobodys"]}, "context_fallbacks"),
    ("route-policies", {"name": "a\tb"}, "name"),
    ("route-policies", {"name": "a", "pattern": "two words"}, "pattern"),
    ("route-policies", {"name": "a", "options": {"hedge_after": -1}}, "options"),
    ("route-policies", {"name": "a", "options": []}, "options"),
    ("route-policies", {"name": "a", "options": {"hedge_afer": 1}}, "options"),
    ("budgets", {"scope": "team", "tokens": 10**16}, "tokens"),
    ("limits", {"scope": "team", "tokens": 10**16}, "tokens"),
    ("limits", {"scope": "team", "requests": 2**31}, "requests"),
    ("teams", {"name": "a\tb"}, "name"),
]
SETTINGS_REFUSED = [
    ("rate_limit_rpm", 0), ("rate_limit_window_s", 86_401), ("request_timeout_s", 1e6), ("request_timeout_s", "nan"),
    ("circuit_breaker_timeout_s", 1e6), ("app_name", "a\x07b"), ("log_file", "a\tb"), ("max_attempts", 21),
]  # fmt: skip


@pytest.fixture(autouse=True)
def owners(db: None) -> dict[str, int]:
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    served = Provider.objects.create(name="served", base_url="https://s.example/v1")
    for model in ("m", "1", "<<"):
        Deployment.objects.create(provider=served, model=model)
    return {"provider": provider.pk, "team": Team.objects.create(name="red").pk}


def send(client: Client, path: str, body: dict[str, Any], owners: dict[str, int]) -> Any:
    needed = {"deployments": "provider", "budgets": "team", "limits": "team"}.get(path)
    whole = {**body, **({needed: owners[needed]} if needed else {})}
    return client.post(f"/api/{path}/", json.dumps(whole), content_type="application/json")


@pytest.mark.parametrize("style", ["yaml", "json"])
@pytest.mark.parametrize(("path", "body"), TAKEN)
def test_what_is_taken_is_said_by_a_dump_that_changes_nothing(
    admin: Client, owners: dict[str, int], tmp_path: Path, path: str, body: dict[str, Any], style: str
) -> None:
    answer = send(admin, path, body, owners)
    assert answer.status_code == 201, answer.content
    file = tmp_path / f"dump.{style}"
    file.write_text(render(read_configuration(), style=style))
    applied = load_file(str(file), dry_run=True)
    assert applied.changes == ()
    assert load_table().left_out == ()


@pytest.mark.parametrize(("path", "body", "param"), REFUSED)
def test_what_no_document_could_say_is_refused(
    admin: Client, owners: dict[str, int], path: str, body: dict[str, Any], param: str
) -> None:
    answer = send(admin, path, body, owners)
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


def test_no_alias_is_made_to_lead_to_an_alias(admin: Client, owners: dict[str, int]) -> None:
    first = ModelAlias.objects.create(name="a", targets=["b"]).pk
    answer = send(admin, "model-aliases", {"name": "b", "targets": ["a"]}, owners)
    assert "a is an alias" in answer.json()["error"]["message"]
    second = send(admin, "model-aliases", {"name": "c", "targets": ["served/m"], "fallbacks": ["a"]}, owners).json()[
        "id"
    ]
    for number, change, status in (
        (second, {"targets": ["a"]}, 400),
        (first, {"name": "b"}, 400),
        (first, {"enabled": False}, 200),
    ):
        answer = admin.patch(f"/api/model-aliases/{number}/", json.dumps(change), content_type="application/json")
        assert answer.status_code == status, answer.content


def test_an_alias_whose_model_is_gone_can_still_be_switched_off(admin: Client, owners: dict[str, int]) -> None:
    alias = ModelAlias.objects.create(name="a", targets=["gone"])
    for change, status in (({"enabled": False}, 200), ({"targets": ["gone"]}, 400), ({"targets": ["m"]}, 200)):
        answer = admin.patch(f"/api/model-aliases/{alias.pk}/", json.dumps(change), content_type="application/json")
        assert answer.status_code == status, answer.content


@pytest.mark.parametrize(("name", "value"), SETTINGS_REFUSED)
def test_settings_that_no_document_could_say_are_refused(admin: Client, name: str, value: Any) -> None:
    answer = admin.patch("/api/settings/", json.dumps({name: value}), content_type="application/json")
    assert (answer.status_code, answer.json()["error"]["param"]) == (400, name)
