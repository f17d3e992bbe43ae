"""The pages outside the admin: all staff may read them, and who may do no more sees no button that would be refused."""

from datetime import timedelta

import pytest
from django.contrib.auth.models import Permission, User
from django.test import Client
from django.utils import timezone

from monitoring.models import Incident, OperatorRequest
from providers.models import Credential, Deployment, Provider
from tests.integration.api.conftest import ClientFor
from tests.integration.api.fake_live import FakeLive

HTML = {"Accept": "text/html"}
ACTIONS = ("check", "reset", "hold", "release")


@pytest.fixture
def provider(db: None) -> Provider:
    row = Provider.objects.create(name="own", base_url="https://own.example/v1", enabled=False)
    Deployment.objects.create(provider=row, model="m")
    Credential.objects.create(provider=row, environment_variable="OWN_KEY")
    return row


def press(client: Client, provider: Provider, action: str) -> tuple[int, str]:
    client.handler.enforce_csrf_checks = False
    answer = client.post(f"/dashboard/providers/{provider.pk}/{action}/")
    return answer.status_code, answer.json()["message"]


def granted(client_for: ClientFor, *names: str) -> Client:
    client = client_for("staff")
    User.objects.get(username="staff").user_permissions.set(Permission.objects.filter(codename__in=names))
    return client


@pytest.mark.parametrize("role", ["staff", "viewer"])
def test_who_may_not_change_a_provider_presses_nothing(
    role: str, client_for: ClientFor, worker: FakeLive, provider: Provider
) -> None:
    client = client_for(role)
    for action in ACTIONS:
        status, message = press(client, provider, action)
        assert (status, "providers.change_provider" in message) == (403, True), action
    assert not OperatorRequest.objects.exists()
    assert worker.was_reset == []
    page = client.get(f"/dashboard/providers/{provider.pk}/", headers=HTML).content.decode()
    assert "data-action=" not in page
    assert "/admin/providers/" not in page
    assert "data-may-operate" not in client.get("/dashboard/", headers=HTML).content.decode()


def test_who_may_change_a_provider_presses_everything(
    client_for: ClientFor, worker: FakeLive, provider: Provider
) -> None:
    client = granted(client_for, "change_provider")
    assert [press(client, provider, action)[0] for action in ACTIONS] == [200] * 4
    page = client.get(f"/dashboard/providers/{provider.pk}/", headers=HTML).content.decode()
    assert all(f'data-action="{action}"' in page for action in ACTIONS)
    assert "data-may-operate" in client.get("/dashboard/", headers=HTML).content.decode()


def test_credentials_are_shown_to_whom_the_admin_shows_them(
    client_for: ClientFor, worker: FakeLive, provider: Provider
) -> None:
    address = f"/dashboard/providers/{provider.pk}/"
    assert "OWN_KEY" not in client_for("staff").get(address, headers=HTML).content.decode()
    assert "OWN_KEY" in client_for("viewer").get(address, headers=HTML).content.decode()


def test_an_incident_is_told_with_its_times_and_in_words(
    client_for: ClientFor, worker: FakeLive, provider: Provider
) -> None:
    began = timezone.now() - timedelta(hours=2)
    ended = began + timedelta(minutes=9)
    Incident.objects.create(
        provider=provider, name="own", started_at=began, ended_at=ended, cause="1 failures in a row: timeout"
    )
    page = client_for("staff").get(f"/dashboard/providers/{provider.pk}/", headers=HTML).content.decode()
    assert f"{began:%m-%d %H:%M} – {ended:%m-%d %H:%M}" in page
    assert "1 failures in a row: did not answer in time" in page


@pytest.mark.parametrize("what", ["key", "team"])
def test_the_names_of_all_keys_and_teams_are_for_whom_the_admin_shows_them(what: str, client_for: ClientFor) -> None:
    field = f'<select id="{what}"'
    assert field not in client_for("staff").get("/dashboard/requests/", headers=HTML).content.decode()
    assert field in client_for("viewer").get("/dashboard/requests/", headers=HTML).content.decode()


def test_the_playground_is_for_those_who_may_see_the_providers(client_for: ClientFor, provider: Provider) -> None:
    nobody, client = client_for("staff"), client_for("viewer")
    assert nobody.get("/playground/", headers=HTML).status_code == 403
    assert client.get("/playground/", headers=HTML).status_code == 200
    for page in ("/dashboard/", "/dashboard/requests/", "/dashboard/usage/", "/admin/"):
        assert 'href="/playground/"' not in nobody.get(page, headers=HTML).content.decode(), page
        assert 'href="/playground/"' in client.get(page, headers=HTML).content.decode(), page


def test_a_provider_that_serves_no_model_is_not_said_to_wait_for_a_check(
    client_for: ClientFor, worker: FakeLive, provider: Provider
) -> None:
    bare = Provider.objects.create(name="bare", base_url="https://bare.example/v1", enabled=False)
    client = client_for("staff")
    address = f"/dashboard/providers/{bare.pk}/"
    assert "serves no model" not in client.get(address, headers=HTML).content.decode()
    Provider.objects.update(enabled=True)
    assert '<span class="state idle">serves no model</span>' in client.get(address, headers=HTML).content.decode()
