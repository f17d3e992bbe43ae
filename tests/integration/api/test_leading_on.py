"""What a person types or a browser asks for by itself leads on, and one failure has one name wherever it is met."""

import pytest
from django.test import Client

from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

BROWSER = {"Accept": "text/html,application/xhtml+xml,*/*;q=0.8"}
LOG_OUT = "/admin/logout/"


def test_opening_the_address_that_logs_out_asks_and_logs_nobody_out(client_for: ClientFor) -> None:
    person = client_for("staff")
    page = person.get(LOG_OUT, headers=BROWSER)
    assert page.status_code == 200
    assert "signed in as staff" in page.content.decode()
    assert 'action="/admin/logout/" method="post"' in page.content.decode()
    assert "no-store" in page["Cache-Control"]
    assert "_auth_user_id" in person.session


def test_its_button_logs_out_and_nothing_else_does(client_for: ClientFor) -> None:
    person = client_for("staff")
    token = person.get(LOG_OUT, headers=BROWSER).cookies["csrftoken"].value
    assert person.post(LOG_OUT, headers=BROWSER).status_code == 403
    assert "_auth_user_id" in person.session
    assert person.post(LOG_OUT, {"csrfmiddlewaretoken": token}, headers=BROWSER).status_code in (200, 302)
    assert "_auth_user_id" not in person.session


def test_who_is_not_signed_in_is_led_to_the_login_page(db: None) -> None:
    answer = Client().get(LOG_OUT, headers=BROWSER)
    assert (answer.status_code, answer["Location"]) == (302, "/admin/login/")


def test_a_program_is_told_which_method_it_takes(client_for: ClientFor) -> None:
    answer = client_for("staff").get(LOG_OUT)
    assert (answer.status_code, answer.json()["error"]["code"]) == (405, "method_not_allowed")
    assert "POST" in answer["Allow"]


def test_the_icon_that_browsers_ask_for_is_there(db: None) -> None:
    answer = Client().get("/favicon.ico", follow=True)
    assert (answer.status_code, answer["Content-Type"]) == (200, "image/svg+xml")
    assert b"<svg" in b"".join(answer)
    answer.close()


def test_a_refusal_has_one_name_on_pages_and_in_the_apis(client_for: ClientFor, worker: FakeLive) -> None:
    person = client_for("staff")
    names = {}
    for address in ("/playground/", "/admin/providers/provider/", "/api/providers/"):
        answer = person.get(address)
        error = answer.json()["error"]
        names[address] = (answer.status_code, error["type"], error["code"])
    forged = person.post("/i18n/setlang/", {"language": "en"})
    error = forged.json()["error"]
    names["a form without its token"] = (forged.status_code, error["type"], error["code"])
    assert set(names.values()) == {(403, "permission_error", "permission_denied")}, names


@pytest.mark.parametrize(
    ("path", "status"), [("/nothing", 404), ("/api/nothing/", 404), ("/x%00", 400), ("/api/x%00", 400)]
)
def test_so_has_an_address_that_means_nothing(path: str, status: int, db: None) -> None:
    answer = Client().get(path)
    assert answer.status_code == status
    assert answer.json()["error"]["type"] == "invalid_request_error"
    assert answer.json()["error"]["code"] == ("not_found" if status == 404 else None)
