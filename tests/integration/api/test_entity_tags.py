"""`ETag` and `If-Match`: of two programs that read one row, the second to change it is told so, if it asks."""

import json
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from accounts.models import ApiKey, Team
from accounts.provisioning import KeyOrder, create_key
from providers.models import Credential, Deployment, Provider
from routing.models import GatewaySettings
from rows.locks import about_to_lock
from tests.integration.api.conftest import ClientFor
from tests.integration.api.test_document import document as document
from tests.integration.api.test_unknown_fields import BODIES

pytestmark = pytest.mark.django_db


def send(client: Client, method: str, path: str, body: Any = None, tag: str | None = None) -> HttpResponse:
    headers = {} if tag is None else {"If-Match": tag}
    text = "" if body is None else json.dumps(body)
    answer: HttpResponse = getattr(client, method)(
        f"/api/{path}/", text, content_type="application/json", headers=headers
    )
    return answer


def is_stale(answer: HttpResponse) -> bool:
    if answer.status_code != 412:
        return False
    error = json.loads(answer.content)["error"]
    assert (error["type"], error["code"]) == ("invalid_request_error", "precondition_failed")
    assert "somebody else has changed it" in error["message"]
    return True


@pytest.mark.parametrize("name", BODIES)
def test_a_row_is_changed_and_deleted_as_it_was_read_only(admin: Client, name: str) -> None:
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    body = {**BODIES[name], **({"provider": provider.pk} if name in ("credentials", "deployments") else {})}
    if name == "model-aliases":
        Deployment.objects.create(provider=provider, model="m")
    made = send(admin, "post", name, body)
    row = f"{name}/{json.loads(made.content)['id']}"
    first = admin.get(f"/api/{row}/")["ETag"]
    assert first == made["ETag"]
    change = {"environment_variable": "OTHER"} if name == "credentials" else CHANGES.get(name, {"enabled": False})
    changed = send(admin, "patch", row, change, first)
    assert (changed.status_code, changed["ETag"] != first) == (200, True)
    for method, sent in (("patch", change), ("put", body), ("delete", None)):
        assert is_stale(send(admin, method, row, sent, first)), method
    assert send(admin, "patch", row, change, f'"other", W/{changed["ETag"]}').status_code == 200
    assert send(admin, "patch", row, change).status_code == 200
    assert send(admin, "delete", row, tag=changed["ETag"]).status_code == 204


CHANGES: dict[str, dict[str, Any]] = {"limits": {"requests": 6}, "prices": {"note": "x"}}


def test_settings_are_a_row_as_well(admin: Client) -> None:
    first = admin.get("/api/settings/")["ETag"]
    assert send(admin, "patch", "settings", {"app_name": "mine"}, first).status_code == 200
    assert is_stale(send(admin, "patch", "settings", {"app_name": "other"}, first))
    assert is_stale(send(admin, "put", "settings", {}, first))
    assert GatewaySettings.load().app_name == "mine"
    assert send(admin, "patch", "settings", {"app_name": "other"}, "*").status_code == 200


def test_a_key_that_was_changed_is_neither_rotated_nor_revoked(admin: Client) -> None:
    key = create_key(KeyOrder(name="app")).key
    first = admin.get(f"/api/api-keys/{key.pk}/")["ETag"]
    rotated = send(admin, "post", f"api-keys/{key.pk}/rotate", {}, first)
    assert (rotated.status_code, rotated["ETag"]) == (200, admin.get(f"/api/api-keys/{key.pk}/")["ETag"])
    assert is_stale(send(admin, "post", f"api-keys/{key.pk}/rotate", {}, first))
    assert is_stale(send(admin, "post", f"api-keys/{key.pk}/revoke", {}, first))
    assert ApiKey.objects.get(pk=key.pk).revoked_at is None


def test_what_the_gateway_notes_by_itself_is_nobodys_change(admin: Client) -> None:
    key = create_key(KeyOrder(name="app")).key
    row = Credential.objects.create(
        provider=Provider.objects.create(name="first", base_url="https://a.example/v1"), environment_variable="OWN_KEY"
    )
    places = (f"api-keys/{key.pk}", f"credentials/{row.pk}")
    tags = [admin.get(f"/api/{place}/")["ETag"] for place in places]
    ApiKey.objects.update(last_used_at=timezone.now(), updated_at=timezone.now())
    Credential.objects.update(last_worked_at=timezone.now())
    assert [admin.get(f"/api/{place}/")["ETag"] for place in places] == tags


def test_who_may_not_change_a_row_learns_nothing_of_its_state(client_for: ClientFor, team: Team) -> None:
    assert send(client_for("read"), "patch", f"teams/{team.pk}", {"name": "x"}, '"wrong"').status_code == 403
    assert send(client_for("nobody"), "delete", f"teams/{team.pk}", tag='"wrong"').status_code == 401


def test_a_tag_that_a_compressing_proxy_has_marked_as_weak_still_fits(admin: Client, team: Team) -> None:
    tag = admin.get(f"/api/teams/{team.pk}/")["ETag"]
    assert send(admin, "patch", f"teams/{team.pk}", {"enabled": False}, f"W/{tag}").status_code == 200
    assert is_stale(send(admin, "patch", f"teams/{team.pk}", {"enabled": True}, f"W/{tag}"))


def test_a_row_that_goes_while_it_is_waited_for_does_not_come_back(admin: Client, team: Team) -> None:
    place, tag = f"teams/{team.pk}", admin.get(f"/api/teams/{team.pk}/")["ETag"]

    def leave(**_: Any) -> None:
        Team.objects.filter(pk=team.pk).delete()

    about_to_lock.connect(leave)
    try:
        assert send(admin, "patch", place, {"enabled": False}, tag).status_code == 404
    finally:
        about_to_lock.disconnect(leave)
    assert not Team.objects.filter(pk=team.pk).exists()


def test_asking_what_may_be_sent_is_no_change(admin: Client, team: Team) -> None:
    answer = send(admin, "options", f"teams/{team.pk}", tag='"other"')
    assert (answer.status_code, "PUT" in json.loads(answer.content)["actions"]) == (200, True)
    assert "ETag" not in admin.options("/api/settings/")


def test_the_document_tells_of_it(document: dict[str, Any]) -> None:
    for path, method in (
        ("/api/teams/{id}/", "patch"),
        ("/api/settings/", "put"),
        ("/api/api-keys/{id}/rotate/", "post"),
    ):
        operation = document["paths"][path][method]
        assert "If-Match" in [each["name"] for each in operation["parameters"]]
        assert "412" in operation["responses"]
    assert "412" not in document["paths"]["/api/teams/"]["post"]["responses"]
