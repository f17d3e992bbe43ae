"""The onboarding test and the adoption of models, through the API, against providers on real sockets."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from django.test import Client

from providers.demo import create_app
from providers.models import ConformanceReport, Credential, Deployment, Provider
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db
SECRET = "sk-canary-0123456789abcdef"


@pytest.fixture(scope="module")
def upstream() -> Iterator[str]:
    with run_asgi(create_app(require_key=SECRET)) as url:
        yield f"{url}/v1"


def make(base_url: str, secret: str = SECRET, **fields: Any) -> Provider:
    row = Provider.objects.create(name="new", base_url=base_url, **fields)
    credential = Credential(provider=row)
    credential.store(secret)
    credential.save()
    return row


def post(client: Client, path: str, body: dict[str, Any] | None = None) -> Any:
    return client.post(path, json.dumps(body or {}), content_type="application/json")


def test_a_provider_that_does_everything_passes_and_is_remembered(admin: Client, upstream: str) -> None:
    row = make(upstream)
    answer = post(admin, f"/api/providers/{row.pk}/test/")
    assert answer.status_code == 200, answer.content
    report = answer.json()
    assert report["passed"] is True
    assert {each["name"]: each["outcome"] for each in report["results"]} == dict.fromkeys(
        ("reachability", "authentication", "model_list", "chat", "stream", "usage_in_stream", "tools",
         "structured_output", "limit_error_shape", "cancel"), "passed",
    )  # fmt: skip
    assert ConformanceReport.objects.get().results == report["results"]
    assert admin.get(f"/api/providers/{row.pk}/reports/").json()["count"] == 1


def test_a_wrong_key_fails_with_the_remedy_and_without_the_key(admin: Client, upstream: str) -> None:
    row = make(upstream, secret="sk-wrong-canary-987654321")
    answer = post(admin, f"/api/providers/{row.pk}/test/")
    results = {each["name"]: each for each in answer.json()["results"]}
    assert answer.json()["passed"] is False
    assert results["reachability"]["outcome"] == "passed"
    assert results["authentication"]["outcome"] == "failed"
    assert results["authentication"]["detail"].startswith("Check the credential")
    assert b"canary" not in answer.content


def test_an_address_that_is_refused_is_never_connected_to(admin: Client) -> None:
    for base_url, private in (("http://169.254.169.254/latest", True), ("http://127.0.0.1:9/v1", False)):
        row = make(base_url, allow_private=private)
        report = post(admin, f"/api/providers/{row.pk}/test/").json()
        first = report["results"][0]
        assert (first["name"], first["outcome"]) == ("reachability", "failed")
        assert "not be connected to" in first["detail"] or "may be connected to" in first["detail"]
        assert {each["outcome"] for each in report["results"][1:]} == {"skipped"}
        row.delete()


def test_works_for_a_provider_that_a_file_manages(admin: Client, upstream: str) -> None:
    row = make(upstream, source="file")
    assert post(admin, f"/api/providers/{row.pk}/test/").status_code == 200


def test_refuses_an_order_that_makes_no_sense(admin: Client, upstream: str) -> None:
    row = make(upstream)
    for body in ({"max_cost_usd": -1}, {"max_cost_usd": 1000}, {"model": ["x"]}):
        assert post(admin, f"/api/providers/{row.pk}/test/", body).status_code == 400
    assert post(admin, "/api/providers/999/test/").status_code == 404


def test_adopts_the_whole_list_once(admin: Client, upstream: str) -> None:
    row = make(upstream)
    listed = admin.get(f"/api/providers/{row.pk}/models/").json()["models"]
    assert [each["adopted"] for each in listed] == [False, False, False]
    adopted = post(admin, f"/api/providers/{row.pk}/adopt-models/", {"all": True})
    assert adopted.status_code == 201
    assert sorted(each["model"] for each in adopted.json()["adopted"]) == [each["id"] for each in listed]
    again = post(admin, f"/api/providers/{row.pk}/adopt-models/", {"all": True})
    assert again.json()["adopted"] == []
    assert Deployment.objects.get(model="demo-small").context_window == 8192
    assert Deployment.objects.get(model="demo-embedding").capabilities == ["embeddings"]


def test_adopts_named_models_though_the_list_cannot_be_had(admin: Client) -> None:
    row = make("http://127.0.0.1:9/v1")
    refused = admin.get(f"/api/providers/{row.pk}/models/")
    assert (refused.status_code, refused.json()["error"]["code"]) == (502, "upstream_error")
    assert post(admin, f"/api/providers/{row.pk}/adopt-models/", {"all": True}).status_code == 502
    adopted = post(admin, f"/api/providers/{row.pk}/adopt-models/", {"models": ["own-model", "own-model", "a b"]})
    assert [each["model"] for each in adopted.json()["adopted"]] == ["own-model"]


def test_fills_in_prices_and_windows_of_a_vendors_own_address_only(admin: Client) -> None:
    vendor = Provider.objects.create(name="vendor", base_url="https://api.openai.invalid/v1")
    post(admin, f"/api/providers/{vendor.pk}/adopt-models/", {"models": ["gpt-4o"]})
    assert Deployment.objects.get(provider=vendor).input_nano_usd_per_mtok is None


def test_an_order_names_models_or_says_all(admin: Client, upstream: str) -> None:
    row = make(upstream)
    for body in ({}, {"models": []}, {"models": ["a"], "all": True}, {"models": "a"}):
        assert post(admin, f"/api/providers/{row.pk}/adopt-models/", body).status_code == 400


def test_an_option_that_cannot_be_used_is_told_and_is_no_failure_of_ours(admin: Client, upstream: str) -> None:
    row = make(upstream, kind="azure", options={"api_version": "v9"})
    answer = post(admin, f"/api/providers/{row.pk}/test/")
    assert answer.status_code == 200, answer.content
    found = {each["name"]: each for each in answer.json()["results"]}
    assert found["model_list"]["outcome"] == "failed"
    assert "api_version" in found["model_list"]["detail"]

    listed = admin.get(f"/api/providers/{row.pk}/models/")
    assert listed.status_code == 502
    assert "api_version" in listed.json()["error"]["message"]
