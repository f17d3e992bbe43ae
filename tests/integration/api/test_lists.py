"""Lists under `/api/`: their pages, filters, search and order, and who may look at them in a browser."""

import pytest
from django.test import Client

from providers.models import Deployment, Provider
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

pytestmark = pytest.mark.django_db


def test_a_list_is_paged_filtered_searched_and_ordered(admin: Client) -> None:
    provider = Provider.objects.create(name="openai", base_url="https://api.openai.com/v1")
    for number in range(120):
        Deployment.objects.create(provider=provider, model=f"m{number:03}", enabled=number % 2 == 0)
    first = admin.get("/api/deployments/").json()
    assert (first["count"], len(first["results"])) == (120, 50)
    assert len(admin.get("/api/deployments/?limit=100000").json()["results"]) == 120
    assert admin.get("/api/deployments/?enabled=true&limit=1").json()["count"] == 60
    assert admin.get("/api/deployments/?search=m01").json()["count"] == 10
    assert admin.get("/api/deployments/?ordering=-model&limit=1").json()["results"][0]["model"] == "m119"
    assert admin.get("/api/deployments/?enabled=perhaps").status_code == 400


def test_lists_can_be_browsed_by_staff_and_by_nobody_else(
    client_for: ClientFor, admin: Client, worker: FakeLive
) -> None:
    browser = {"Accept": "text/html"}
    page = client_for("superuser").get("/api/providers/", headers=browser)
    assert page["Content-Type"].startswith("text/html")
    assert admin.get("/api/providers/", headers=browser)["Content-Type"] == "application/json"
    assert client_for("person").get("/api/", headers=browser)["Content-Type"] == "application/json"


def test_the_root_lists_everything_that_is_below_it(admin: Client) -> None:
    listed = admin.get("/api/").json()
    assert {"providers", "api-keys", "history", "settings"} <= listed.keys()
    for address in listed.values():
        assert admin.get(address).status_code == 200, address
