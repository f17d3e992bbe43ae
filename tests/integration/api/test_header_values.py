"""Any of a provider's extra headers may be a secret: `/api/providers` shows their names, and keeps what it does not show."""

import json
from typing import Any

import pytest
from django.test import Client

from providers.models import Provider
from tests.integration.api.test_management import CANARY, between_reading_and_writing, patch, post
from tests.integration.api.test_management import provider as provider

pytestmark = pytest.mark.django_db

STORED = {"X-Key": CANARY, "X-Team": "blue"}
SHOWN = {"X-Key": "•••", "X-Team": "•••"}


@pytest.fixture
def row(provider: Provider) -> str:
    Provider.objects.update(headers=STORED)
    return f"providers/{provider.pk}"


def stored() -> Any:
    return Provider.objects.get().headers


def test_headers_are_shown_by_name(admin: Client, row: str) -> None:
    assert admin.get(f"/api/{row}/").json()["headers"] == SHOWN
    changed = patch(admin, row, weight=3)
    pages = [
        admin.get(path, headers={"Accept": accept}).content.decode()
        for path in (f"/api/{row}/", "/api/providers/", "/api/history/")
        for accept in ("application/json", "text/html")
    ]
    assert [text for text in (json.dumps(changed), *pages) if CANARY in text] == []


def test_headers_stay_as_they_are_when_they_are_written_back(admin: Client, row: str) -> None:
    read = admin.get(f"/api/{row}/").json()
    assert admin.put(f"/api/{row}/", json.dumps(read), content_type="application/json").status_code == 200
    assert stored() == STORED
    patch(admin, row, headers={"X-Key": None, "X-Team": "red"})
    assert stored() == {**STORED, "X-Team": "red"}
    patch(admin, row, headers={"X-Team": "•••"})
    assert stored() == {"X-Team": "red"}


def test_headers_that_have_no_value_yet_need_one(admin: Client, row: str) -> None:
    error = patch(admin, row, 400, headers={**SHOWN, "X-New": "•••"})["error"]
    assert (error["param"], "X-New" in error["message"], "X-Key" in error["message"]) == ("headers", True, False)
    made = {"name": "b", "base_url": "https://a.example", "headers": {"X-Key": None}}
    assert post(admin, "providers", 400, **made)["error"]["param"] == "headers"
    assert stored() == STORED


def test_headers_that_were_changed_meanwhile_stay_changed(admin: Client, row: str) -> None:
    now = {"X-Key": "newer", "X-Team": "blue"}
    with between_reading_and_writing(Provider, lambda: Provider.objects.update(headers=now)) as happened:
        patch(admin, row, headers=SHOWN)
    assert (happened, stored()) == ([True], now)


def test_headers_that_have_another_value_make_another_tag(admin: Client, row: str) -> None:
    first = admin.get(f"/api/{row}/")["ETag"]
    patch(admin, row, headers={**SHOWN, "X-Key": "newer"})
    assert admin.get(f"/api/{row}/")["ETag"] != first
