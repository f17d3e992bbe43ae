"""What an address asks for that there is not is refused: left out in silence, everything would be answered, or done."""

import json
from typing import Any

import pytest
from django.test import Client

from proxy_site.management_api import VIEW_SETS
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive
from tests.integration.api.test_document import document as document

pytestmark = pytest.mark.django_db


def refusal(answer: Any) -> tuple[int, str | None, str]:
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    return answer.status_code, error["param"], error["message"]


@pytest.mark.parametrize(
    ("method", "address", "name", "near"),
    [
        ("post", "/check?providr=a", "providr", "provider"),
        ("post", "/cache/clear?scop=health", "scop", "scope"),
        ("post", "/circuit-breakers/reset?providers=a", "providers", "provider"),
        ("post", "/discover?source=consul", "source", None),
        ("get", "/providers?status=unhealthy", "status", None),
        ("get", "/status?name=a", "name", None),
        ("get", "/status/a?models=1", "models", None),
        ("get", "/usage?groupby=key", "groupby", "group_by"),
        ("get", "/usage?start=2026-01-01", "start", None),
        ("get", "/routes/explain?model=m&strategi=x", "strategi", None),
        ("get", "/requests/req_1?full=1", "full", None),
        ("head", "/providers?status=unhealthy", "status", None),
        ("get", "/api/teams/?nam=red", "nam", "name"),
        ("get", "/api/api-keys/?enable=true", "enable", "enabled"),
        ("get", "/api/limits/?search=a", "search", None),
        ("get", "/api/history/?created_at__gt=2026-01-01", "created_at__gt", "created_at__gte"),
        ("get", "/api/teams/?page=2", "page", None),
        ("get", "/api/settings/?name=a", "name", None),
        ("post", "/api/teams/?nam=red", "nam", "name"),
    ],
)
def test_a_parameter_that_there_is_not_is_refused_with_the_nearest(
    admin: Client, method: str, address: str, name: str, near: str | None
) -> None:
    answer = getattr(admin, method)(address, content_type="application/json")
    if method == "head":
        assert answer.status_code == 400
        return
    advice = f"There is no such parameter; did you mean '{near}'?" if near else "There is no such parameter."
    assert refusal(answer) == (400, name, advice)


def test_nothing_is_done_when_a_parameter_is_not_known(admin: Client, worker: FakeLive) -> None:
    admin.post("/cache/clear?scop=health")
    admin.post("/circuit-breakers/reset?providr=a")
    assert (worker.cleared, worker.was_reset) == ([], [])


@pytest.mark.parametrize("body", ['{"provider": "a"}', '{"scope": "health"}', "provider=a", "[]"])
def test_a_body_where_none_is_read_is_refused(admin: Client, worker: FakeLive, body: str) -> None:
    for path in ("/check", "/cache/clear", "/circuit-breakers/reset", "/discover"):
        answer = admin.post(path, body, content_type="application/json")
        assert refusal(answer)[0] == 400, path
        assert "?name=value" in refusal(answer)[2]
    assert (worker.cleared, worker.was_reset) == ([], [])
    assert admin.post("/cache/clear?scope=responses", " {} ", content_type="application/json").status_code == 200


def test_who_may_not_ask_is_not_told_what_could_be_asked(client_for: ClientFor, worker: FakeLive) -> None:
    nobody = client_for("nobody")
    for address in ("/providers?a=1", "/api/teams/?a=1"):
        assert nobody.get(address).status_code == 401


@pytest.mark.parametrize("path", ["/livez", "/readyz", "/health", "/metrics"])
def test_probes_may_add_to_an_address_what_they_like(admin: Client, path: str) -> None:
    assert admin.get(f"{path}?now=1").status_code == admin.get(path).status_code


def test_one_row_is_not_filtered(admin: Client) -> None:
    made = admin.post("/api/teams/", json.dumps({"name": "red"}), content_type="application/json").json()
    for address in (f"/api/teams/{made['id']}/?limit=1", f"/api/teams/{made['id']}/?name=red"):
        assert refusal(admin.get(address))[0] == 400
    assert admin.get(f"/api/teams/{made['id']}/?format=json").status_code == 200


@pytest.mark.parametrize(
    ("query", "name", "said"),
    [
        ("limit=many", "limit", "a whole number of at least 1"),
        ("limit=0", "limit", "a whole number of at least 1"),
        ("offset=-1", "offset", "a whole number of at least 0"),
        ("enabled=maybe", "enabled", "neither true nor false"),
        ("ordering=nme", "ordering", "did you mean 'name'?"),
        ("ordering=name,-created", "ordering", "There is no such column"),
    ],
)
def test_a_value_that_means_nothing_is_refused(admin: Client, query: str, name: str, said: str) -> None:
    status, param, message = refusal(admin.get(f"/api/teams/?{query}"))
    assert (status, param) == (400, name)
    assert said in message


@pytest.mark.parametrize(
    "query",
    [
        "name=red&enabled=True&ordering=-name&limit=5&offset=0&search=r&format=json",
        "enabled=1", "enabled=false", "enabled=", "name=", "ordering=", "limit=100000", "managed_by=file",
    ],
)  # fmt: skip
def test_what_there_is_may_be_asked_for(admin: Client, query: str) -> None:
    assert admin.get(f"/api/teams/?{query}").status_code == 200


def test_flags_filter(admin: Client) -> None:
    for name, enabled in (("on", True), ("off", False)):
        admin.post("/api/teams/", json.dumps({"name": name, "enabled": enabled}), content_type="application/json")
    for text, names in (("true", ["on"]), ("0", ["off"]), ("", ["off", "on"])):
        rows = admin.get(f"/api/teams/?enabled={text}&ordering=name").json()["results"]
        assert [row["name"] for row in rows] == names


def test_every_parameter_of_the_document_is_taken_and_no_other(admin: Client, document: dict[str, Any]) -> None:
    lists = [path for path in document["paths"] if path.startswith("/api/") and "{" not in path]
    assert {path.split("/")[2] for path in lists} == {*VIEW_SETS, "settings"}
    for path in lists:
        for each in document["paths"][path]["get"].get("parameters", ()):
            assert admin.get(f"{path}?{each['name']}=").status_code == 200, (path, each)
        assert admin.get(f"{path}?of_my_own=1").status_code == 400, path


def test_the_page_of_a_list_for_staff_follows_its_own_links_and_forms(client_for: ClientFor) -> None:
    person = client_for("superuser")
    page = {"Accept": "text/html"}
    for address in ("/api/teams/", "/api/teams/?format=api", "/api/teams/?name=&enabled=&managed_by=", "/api/history/"):
        assert person.get(address, headers=page).status_code == 200, address
    refused = person.get("/api/teams/?ordering=nme", headers=page)
    assert (refused.status_code, refused["Content-Type"].split(";")[0]) == (400, "text/html")
