"""Nothing outside the pages for people answers in HTML, whatever the client accepts and whatever went wrong."""

import pytest
from django.db import DataError, IntegrityError, OperationalError, connection
from django.http import HttpRequest
from django.test import Client, override_settings
from django.urls import include, path
from rest_framework.exceptions import ValidationError

from proxy_site.rest_defaults import openai_errors
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}


def breaks(request: HttpRequest) -> None:
    raise RuntimeError("a secret sk-canary-1234567890 in a message")


def finds_no_room(request: HttpRequest) -> None:
    raise DataError("PostgreSQL text fields cannot contain NUL (0x00) bytes")


def finds_nobody(request: HttpRequest) -> None:
    raise OperationalError("couldn't get a connection after 5.00 sec")


def comes_too_late(request: HttpRequest) -> None:
    raise IntegrityError("duplicate key value violates unique constraint")


urlpatterns = [
    path("api/breaks/", breaks),
    path("status/breaks", breaks),
    path("holds-no-such-value", finds_no_room),
    path("is-there-already", comes_too_late),
    path("finds-nobody", finds_nobody),
    path("i18n/", include("django.conf.urls.i18n")),
]


def assert_error(answer: object, status: int) -> dict[str, object]:
    assert answer.status_code == status, answer.content  # type: ignore[attr-defined]
    assert answer["Content-Type"].startswith("application/json")  # type: ignore[index]
    assert answer["X-Request-Id"]  # type: ignore[index]
    error = answer.json()["error"]  # type: ignore[attr-defined]
    assert set(error) == {"message", "type", "param", "code"}
    return dict(error)


@pytest.mark.parametrize("headers", [{}, BROWSER, {"Accept": "application/json"}])
@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/nope/", 404),
        ("GET", "/status/a/b/c", 404),
        ("GET", "/check", 405),
        ("DELETE", "/providers", 405),
        ("POST", "/metrics", 405),
        ("PUT", "/api/teams/", 405),
        ("GET", "/api/teams/12345/", 404),
        ("POST", "/api/teams/", 400),
    ],
)
def test_answers_as_openai_does(
    headers: dict[str, str], method: str, path: str, status: int, client_for: ClientFor, worker: FakeLive
) -> None:
    client = client_for("admin")
    assert_error(client.generic(method, path, "{}", content_type="application/json", headers=headers), status)


@pytest.mark.parametrize(
    "path",
    [
        "/requests/%00", "/status/a%00b", "/check?provider=%00", "/api/teams/?search=%00", "/api/teams/?name=%00",
        "/routes/explain?model=a%00", "/usage?group_by=%00",
    ],
)  # fmt: skip
def test_an_address_with_a_nul_is_the_clients_fault(path: str, client_for: ClientFor, worker: FakeLive) -> None:
    assert assert_error(client_for("admin").get(path), 400)["code"] != "database_unavailable"


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/dashboard/requests/?model=%00", "/dashboard/requests/?provider=a%00", "/x%00"])
def test_a_page_at_an_address_with_a_nul_says_that_it_makes_no_sense(path: str, admin_client: Client) -> None:
    answer = admin_client.get(path, headers=BROWSER)
    assert (answer.status_code, answer["Content-Type"].split(";")[0]) == (400, "text/html")
    assert (answer["X-Frame-Options"], answer["X-Content-Type-Options"]) == ("DENY", "nosniff")
    assert (answer["Referrer-Policy"], answer["Cross-Origin-Opener-Policy"]) == ("same-origin", "same-origin")
    assert admin_client.get("/dashboard/requests/?model=%2500").status_code == 200


@override_settings(ROOT_URLCONF=__name__)
def test_a_value_that_no_column_holds_is_not_a_database_that_is_away() -> None:
    assert_error(Client().get("/holds-no-such-value"), 400)


@override_settings(ROOT_URLCONF=__name__)
def test_what_does_not_fit_what_is_stored_is_not_a_database_that_is_away() -> None:
    assert assert_error(Client().get("/is-there-already"), 409)["code"] == "conflict"
    page = Client().get("/is-there-already", headers=BROWSER)
    assert (page.status_code, page["Content-Type"].split(";")[0]) == (409, "text/html")
    assert "somebody else was quicker" in page.content.decode()


def test_a_nul_in_a_mapping_is_the_clients_fault_where_the_database_refuses_it(admin: Client) -> None:
    answer = admin.post("/api/teams/", '{"name": "t", "metadata": {"a": "\\u0000"}}', content_type="application/json")
    assert answer.status_code in (201, 400)


@pytest.mark.parametrize("path", ["/api/breaks/", "/status/breaks"])
@pytest.mark.parametrize("debug", [True, False])
@override_settings(ROOT_URLCONF=__name__)
def test_a_broken_view_shows_neither_trace_nor_message(path: str, debug: bool) -> None:
    client = Client(raise_request_exception=False)
    with override_settings(DEBUG=debug):
        answer = client.get(path, headers=BROWSER)
    assert assert_error(answer, 500)["code"] == "internal_error"
    assert b"canary" not in answer.content


def test_an_unknown_path_is_json_unless_a_browser_asks() -> None:
    assert_error(Client().get("/nope", headers={"Accept": "application/json"}), 404)
    assert_error(Client().get("/nope"), 404)
    assert Client().get("/nope", headers=BROWSER)["Content-Type"].startswith("text/html")


def test_keeps_a_well_formed_request_id_and_replaces_others(worker: FakeLive) -> None:
    assert Client().get("/livez", headers={"X-Request-Id": "abc-1.2"})["X-Request-Id"] == "abc-1.2"
    for wrong in ("a b", "x" * 200, "é", ""):
        assert Client().get("/livez", headers={"X-Request-Id": wrong})["X-Request-Id"].startswith("req_")


@pytest.mark.parametrize("body", ["{", "[]", "null", '"x"', '{"name": {"a": 1}}', '{"name": null}', "\x00"])
def test_bodies_that_make_no_sense_are_the_clients_fault(body: str, admin: Client) -> None:
    for route in ("teams", "providers", "credentials", "deployments", "api-keys", "limits", "budgets", "model-aliases",
                  "route-policies", "prices"):  # fmt: skip
        assert_error(admin.post(f"/api/{route}/", body, content_type="application/json"), 400)


def test_json_that_is_nested_too_deeply_is_the_clients_fault(admin: Client) -> None:
    answer = admin.post("/api/teams/", "[" * 100_000, content_type="application/json")
    assert "nested too deeply" in str(assert_error(answer, 400)["message"])


def test_an_address_without_its_slash_keeps_method_and_body(admin: Client) -> None:
    answer = admin.post("/api/teams", '{"name": "red"}', content_type="application/json", follow=True)
    assert answer.redirect_chain == [("/api/teams/", 308)]
    assert (answer.status_code, answer.json()["name"]) == (201, "red")


def test_what_is_wrong_with_the_whole_is_no_fields_fault() -> None:
    for whole in ("__all__", "non_field_errors"):
        answer = openai_errors(ValidationError({whole: ["These exist already."]}), {})
        assert answer is not None
        assert (answer.data["error"]["param"], answer.data["error"]["message"]) == (None, "These exist already.")


def test_other_media_types_are_refused(admin: Client) -> None:
    assert_error(admin.post("/api/teams/", "<a/>", content_type="application/xml"), 415)


@override_settings(ROOT_URLCONF=__name__)
def test_a_page_says_that_the_database_does_not_answer(client: Client) -> None:
    answer = client.get("/finds-nobody", headers=BROWSER)
    assert answer.status_code == 503
    page = answer.content.decode()
    assert "The database does not answer" in page
    assert 'href=""' in page, "leads to the same page again"
    assert_error(client.get("/finds-nobody"), 503)


@pytest.mark.django_db
@pytest.mark.parametrize("path", ["/admin/login/", "/dashboard/nothing"])
def test_a_page_asks_a_database_that_is_away_once(admin_client: Client, client: Client, path: str) -> None:
    """Each time it waits for as long as the pool tries to connect."""
    asked = 0

    def away(*_: object) -> None:
        nonlocal asked
        asked += 1
        raise OperationalError("couldn't get a connection after 5.00 sec")

    browser = client if "login" in path else admin_client
    browser.raise_request_exception = False
    with connection.execute_wrapper(away):
        answer = browser.get(path, headers=BROWSER)
    assert (answer.status_code, asked) == (503, 1)
    assert "The database does not answer" in answer.content.decode()
