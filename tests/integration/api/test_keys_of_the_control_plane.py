from datetime import timedelta
from typing import Any

import pytest
from django.db import DatabaseError
from django.test import Client, override_settings
from django.utils import timezone

from accounts.callers import caller_of_token
from accounts.errors import AccountsUnavailable
from accounts.keys import free_form_key
from accounts.models import ApiKey
from accounts.provisioning import KeyOrder, create_key, revoke_key, rotate_key
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

pytestmark = [pytest.mark.django_db]


def status(token: str, path: str = "/providers", header: str = "Authorization", form: str = "Bearer {}") -> int:
    return int(Client(headers={header: form.format(token)}).get(path).status_code)


@pytest.fixture
def token(worker: FakeLive) -> str:
    return create_key(KeyOrder(name="reader", scopes=("read",))).token


def test_takes_a_key_from_either_header(token: str) -> None:
    assert status(token) == 200
    assert status(token, form="bearer {}") == 200
    assert status(token, header="X-API-Key", form="{}") == 200


def test_takes_a_key_from_the_configured_header_only(token: str, worker: FakeLive) -> None:
    worker.header = "X-Our-Key"
    assert status(token, header="X-Our-Key", form="{}") == 200
    assert status(token, header="X-API-Key", form="{}") == 401


def test_takes_a_key_of_any_form_that_a_configuration_file_brought(worker: FakeLive, settings: Any) -> None:
    found = free_form_key("your-own-api-key", settings.KEY_PEPPER.encode())
    assert found is not None
    ApiKey.objects.create(name="file", public_id=found.public_id, digest=found.digest, hint=found.hint, scopes=["read"])
    assert status("your-own-api-key") == 200
    assert status("your-own-api-keY") == 401


def test_refuses_a_key_that_differs_in_one_character(token: str) -> None:
    changed = token[:-1] + ("A" if token[-1] != "A" else "B")
    assert status(changed) == 401


def test_refuses_what_is_not_a_key_at_all(worker: FakeLive) -> None:
    for wrong in ("", "x", "llmp-", "llmp-0123456789abcdef-é" + "x" * 42, "\x00", "x" * 5000):
        assert caller_status(wrong) == 401, wrong


def caller_status(wrong: str) -> int:
    try:
        caller_of_token(wrong, None)
    except Exception as error:
        return int(error.status)  # type: ignore[attr-defined]
    return 200


def test_refuses_revoked_expired_and_disabled_keys(worker: FakeLive) -> None:
    revoked, expired, disabled = (create_key(KeyOrder(name=name, scopes=("read",))) for name in "abc")
    revoke_key(revoked.key.pk)
    ApiKey.objects.filter(pk=expired.key.pk).update(expires_at=timezone.now() - timedelta(seconds=1))
    ApiKey.objects.filter(pk=disabled.key.pk).update(enabled=False)
    assert [status(issued.token) for issued in (revoked, expired, disabled)] == [401, 401, 401]


def test_takes_the_secret_before_a_rotation_while_it_overlaps(worker: FakeLive) -> None:
    first = create_key(KeyOrder(name="a", scopes=("read",)))
    second = rotate_key(first.key.pk, overlap=timedelta(hours=1))
    assert [status(first.token), status(second.token)] == [200, 200]
    rotate_key(first.key.pk, overlap=timedelta(0))
    assert status(first.token) == 401


def test_refuses_a_key_from_a_network_it_may_not_be_used_from(worker: FakeLive) -> None:
    issued = create_key(KeyOrder(name="a", scopes=("read",), networks=("10.0.0.0/8",)))
    assert status(issued.token) == 403


def test_never_falls_back_to_a_session_when_a_key_is_wrong(client_for: ClientFor, worker: FakeLive) -> None:
    staff = client_for("staff")
    assert staff.get("/providers").status_code == 200
    assert staff.get("/providers", headers={"Authorization": "Bearer llmp-wrong"}).status_code == 401


def test_lets_staff_write_with_a_csrf_token(client_for: ClientFor, worker: FakeLive) -> None:
    staff = client_for("superuser")
    staff.get("/admin/login/")
    token = "a" * 32
    staff.cookies["csrftoken"] = token
    answer = staff.post("/circuit-breakers/reset", headers={"X-CSRFToken": token})
    assert answer.status_code == 200
    assert worker.was_reset == [(1,)]


def test_a_database_that_is_away_is_no_wrong_key(token: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise DatabaseError("gone")

    # The driver, which is not ours.
    monkeypatch.setattr("django.db.models.query.QuerySet.__iter__", away)
    with pytest.raises(AccountsUnavailable):
        caller_of_token(token, None)
    answer = Client(headers={"Authorization": f"Bearer {token}"}).get("/providers")
    assert answer.status_code == 503
    assert answer.json()["error"]["code"] == "accounts_unavailable"
    assert Client().get("/livez").status_code == 200


@override_settings(METRICS_TOKEN="scrape-me-please")
def test_the_scrape_token_opens_metrics_and_nothing_else(worker: FakeLive) -> None:
    assert status("scrape-me-please", "/metrics") == 200
    assert status("scrape-me-pleasE", "/metrics") == 401
    assert status("scrape-me-please", "/providers") == 401


@override_settings(METRICS_PUBLIC=True)
def test_metrics_are_public_where_that_is_configured(worker: FakeLive) -> None:
    assert Client().get("/metrics").status_code == 200


def test_an_unset_scrape_token_is_no_password(worker: FakeLive) -> None:
    assert status("", "/metrics") == 401
