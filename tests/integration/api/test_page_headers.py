"""What every page tells browsers: what may run in it, that nobody may frame it, and what not to guess or to pass on."""

import re
from collections.abc import Iterator

import pytest
from django.http import HttpResponse
from django.test import Client, RequestFactory
from django.test.utils import override_settings

from proxy_site.content_policy import SECTIONS, ContentPolicyMiddleware
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive
from tests.integration.api.test_access import ALL

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
POLICY = "Content-Security-Policy"
EVERYWHERE = {
    "default-src": "'self'", "connect-src": "'self'", "object-src": "'none'", "base-uri": "'self'",
    "form-action": "'self'", "frame-ancestors": "'none'",
}  # fmt: skip
OTHER_HEADERS = {
    "X-Frame-Options": "DENY", "X-Content-Type-Options": "nosniff", "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}  # fmt: skip


def directives(answer: HttpResponse, name: str = POLICY) -> dict[str, str]:
    return dict(part.strip().split(" ", 1) for part in answer[name].split(";"))


def is_page(answer: HttpResponse) -> bool:
    return answer.get("Content-Type", "").startswith("text/html")


def answers(client: Client) -> Iterator[tuple[str, HttpResponse]]:
    """Of every route, for a browser; `1` is a row that may be there, `999` one that is not."""
    for route in ALL:
        for row in ("1", "999") if "<" in route else ("1",):
            path = "/" + re.sub(r"<\w+>", row, route)
            for method in ("GET", "POST"):
                if "logout" not in path:
                    yield f"{method} {path}", client.generic(method, path, headers=BROWSER)


@pytest.mark.parametrize("role", ["superuser", "staff", "nobody"])
def test_every_page_has_them_and_no_other_answer_pays_for_the_policy(
    role: str, client_for: ClientFor, worker: FakeLive
) -> None:
    client = client_for(role)
    client.raise_request_exception = False
    pages, wrong = 0, []
    for name, answer in answers(client):
        if not is_page(answer):
            wrong += [name] if POLICY in answer else []
            continue
        pages += 1
        found = directives(answer) if POLICY in answer else {}
        wrong += [f"{name}: {each}" for each, value in EVERYWHERE.items() if found.get(each) != value]
        wrong += [f"{name}: {each}" for each, value in OTHER_HEADERS.items() if answer.get(each) != value]
        if "'unsafe-inline'" in found.get("script-src", "'unsafe-inline'"):
            wrong.append(f"{name}: script-src")
    assert wrong == []
    assert pages > 100, "the pages were not found"


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/no/such/page", 404),
        ("GET", "/a%00b", 400),
        ("POST", "/admin/login/", 403),
        ("GET", "/dashboard/usage/?by=nothing", 302),
    ],
)
def test_pages_about_errors_have_them_too(method: str, path: str, status: int) -> None:
    answer = Client(enforce_csrf_checks=True).generic(method, path, headers=BROWSER)
    assert answer.status_code == status
    assert directives(answer)["script-src"] == ("'self' 'unsafe-eval'" if "/admin/" in path else "'self'")
    assert {name: answer.get(name) for name in OTHER_HEADERS} == OTHER_HEADERS


@pytest.mark.django_db
def test_an_error_for_programs_in_the_place_of_a_page_has_them_too() -> None:
    with override_settings(SECURE_HSTS_SECONDS=60):
        answer = Client().post("/metrics", secure=True)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert {name: answer.get(name) for name in OTHER_HEADERS} == OTHER_HEADERS
    assert answer["Strict-Transport-Security"] == "max-age=60"
    assert answer["Allow"] == "GET, HEAD"


@pytest.mark.django_db
def test_a_page_about_a_failure_of_ours_has_them_too(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise RuntimeError("broken")

    monkeypatch.setattr("proxy_site.openapi.render", fail)
    answer = Client(raise_request_exception=False).get("/docs", headers=BROWSER)
    assert (answer.status_code, directives(answer)["default-src"]) == (500, "'self'")


def page_of(path: str, status: int = 200, content_type: str = "text/html; charset=utf-8") -> HttpResponse:
    middleware = ContentPolicyMiddleware(lambda request: HttpResponse("…", status=status, content_type=content_type))
    answer = middleware(RequestFactory().get(path))
    assert isinstance(answer, HttpResponse)
    return answer


@pytest.mark.parametrize("path", ["/", "/dashboard/", "/playground/", "/administration", "/x/admin/", "/no/such/page"])
def test_pages_of_our_own_need_no_exception(path: str) -> None:
    assert "unsafe" not in page_of(path)[POLICY]
    assert "data:" not in page_of(path)[POLICY]


def test_what_libraries_need_is_allowed_where_they_are_and_nothing_more() -> None:
    assert directives(page_of("/admin/login/"))["script-src"] == "'self' 'unsafe-eval'"
    assert directives(page_of("/docs"))["style-src"] == directives(page_of("/api/teams/"))["style-src"] == "'self'"
    assert sorted(SECTIONS) == ["admin", "api", "docs"]


def test_an_operator_may_have_violations_only_told() -> None:
    with override_settings(CONTENT_SECURITY_POLICY="report-only"):
        answer = page_of("/dashboard/")
    assert POLICY not in answer
    assert directives(answer, f"{POLICY}-Report-Only")["default-src"] == "'self'"


@pytest.mark.django_db
def test_an_operator_whose_proxy_sets_a_policy_switches_ours_off() -> None:
    with override_settings(CONTENT_SECURITY_POLICY="off"):
        answer = Client().get("/docs", headers=BROWSER)
    assert answer.status_code == 200
    assert POLICY not in answer


@pytest.mark.django_db
def test_djangos_page_about_an_error_works_while_debugging_and_only_then() -> None:
    with override_settings(DEBUG=True):
        assert "'unsafe-inline'" in directives(page_of("/dashboard/", 500))["script-src"]
        assert "unsafe" not in page_of("/dashboard/")[POLICY]
    assert "unsafe" not in page_of("/dashboard/", 500)[POLICY]
