"""One OpenAPI document: complete, sound, and shown by a page that asks no other host."""

import json
import re
from typing import Any

import pytest
from django.test import Client
from jsonschema import Draft202012Validator

from providers.models import Provider
from proxy_site.openapi import build_document
from tests.integration.api.conftest import ClientFor
from tests.integration.api.test_access import GUARDED


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    return build_document()


def test_holds_every_route(document: dict[str, Any]) -> None:
    described = {re.sub(r"\{\w+\}", "{}", path) for path in document["paths"]}
    missing = {"/" + re.sub(r"<\w+>", "{}", route) for route in GUARDED} - described
    assert missing == {"/docs", "/openapi.json", "/favicon.ico", "/api/"}
    ours = {"chat/completions", "completions", "responses", "embeddings", "models", "models/{}"}
    assert {f"/v1/{name}" for name in ours} <= described


def test_refers_only_to_what_it_holds(document: dict[str, Any]) -> None:
    for name in set(re.findall(r'"\$ref": "#/components/schemas/([^"]+)"', json.dumps(document))):
        assert name in document["components"]["schemas"], name


def test_names_every_operation_once_and_says_how_it_fails(document: dict[str, Any]) -> None:
    names = []
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["tags"], path
            assert "401" in operation["responses"], (path, method)
            names.append(operation.get("operationId", f"{method} {path}"))
    assert len(names) == len(set(names))


def test_says_what_needs_no_key(document: dict[str, Any]) -> None:
    public = [path for path, methods in document["paths"].items() if {} in methods.get("get", {}).get("security", ())]
    assert sorted(public) == ["/health", "/livez", "/readyz"]


def validator(document: dict[str, Any], schema: dict[str, Any]) -> Draft202012Validator:
    return Draft202012Validator({**schema, "components": document["components"]})


@pytest.mark.django_db
def test_describes_what_the_management_api_takes_and_answers(document: dict[str, Any], client_for: ClientFor) -> None:
    client = client_for("admin")
    provider = Provider.objects.create(name="openai", base_url="https://api.openai.com/v1").pk
    for name, body in (
        ("teams", {"name": "red"}),
        ("providers", {"name": "other", "base_url": "https://a.example"}),
        ("credentials", {"provider": provider, "name": "first", "secret": "sk-canary-0123456789"}),
        ("deployments", {"provider": provider, "model": "m", "upstream_model": "m"}),
        ("model-aliases", {"name": "fast", "targets": ["m"]}),
        ("route-policies", {"name": "all", "pattern": "*"}),
        ("api-keys", {"name": "app"}),
        ("limits", {"scope": "default", "requests": 5}),
        ("budgets", {"name": "b", "scope": "all", "tokens": 5}),
        ("prices", {"model": "m", "input_nano_usd": 1, "output_nano_usd": 2, "effective_from": "2026-01-01T00:00:00Z"}),
    ):
        path = document["paths"][f"/api/{name}/"]
        validator(document, path["post"]["requestBody"]["content"]["application/json"]["schema"]).validate(body)
        made = client.post(f"/api/{name}/", json.dumps(body), content_type="application/json")
        unread = client.post(f"/api/{name}/", "<a/>", content_type="application/xml")
        for method, answer in (("post", made), ("post", unread), ("get", client.get(f"/api/{name}/"))):
            described = path[method]["responses"][str(answer.status_code)]["content"]["application/json"]["schema"]
            validator(document, described).validate(answer.json())
    history = document["paths"]["/api/history/"]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    validator(document, history).validate(client.get("/api/history/").json())
    assert '"nullable"' not in json.dumps(document)


def test_shows_no_secret_field_in_an_answer(document: dict[str, Any]) -> None:
    for name, schema in document["components"]["schemas"].items():
        for field, shape in schema.get("properties", {}).items():
            assert field not in ("ciphertext", "digest", "previous_digest"), name
            if field == "secret":
                assert shape.get("writeOnly") or "Request" in name, name


def test_is_served_to_everybody() -> None:
    answer = Client().get("/openapi.json")
    assert (answer.status_code, answer["Content-Type"]) == (200, "application/json")
    assert answer.json()["openapi"].startswith("3.1")


@pytest.mark.django_db
def test_the_page_asks_no_other_host() -> None:
    page = Client().get("/docs", headers={"Accept": "text/html"}).content.decode()
    assert re.findall(r"(?:src|href)=\"(?!/)[^\"]*\"", page) == []
    for path in set(re.findall(r"(?:src|href)=\"(/static/[^\"]+)\"", page)):
        answer = Client().get(path)
        assert answer.status_code == 200, path
        b"".join(answer.streaming_content)
        answer.close()
