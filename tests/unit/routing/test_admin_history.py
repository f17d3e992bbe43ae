"""The pages of revisions and loaded files, the way back to a revision, and settings that a file manages."""

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import Team
from accounts.provisioning import KeyOrder, create_key
from providers.models import Credential, Provider
from routing.models import ConfigurationFile, ConfigurationRevision, GatewaySettings, ModelAlias
from routing.revisions import one_revision

pytestmark = pytest.mark.django_db

SECRET = "sk-canary-0123456789abcdef"


def newest() -> ConfigurationRevision:
    return ConfigurationRevision.objects.latest("pk")


def page_of(row: ConfigurationRevision, name: str = "change") -> str:
    return reverse(f"admin:routing_configurationrevision_{name}", args=[row.pk])


def roll_back_page(row: ConfigurationRevision) -> str:
    return reverse("admin:routing_configurationrevision_roll_back", args=[row.pk])


@pytest.fixture
def with_alias() -> ConfigurationRevision:
    """After it the alias was deleted."""
    with one_revision(source="test", reason="in the beginning"):
        ModelAlias.objects.create(name="fast", targets=["m"])
    made = newest()
    with one_revision(source="test"):
        ModelAlias.objects.get().delete()
    return made


def test_a_revision_is_gone_back_to_after_a_question(admin_client: Client, with_alias: ConfigurationRevision) -> None:
    page = admin_client.get(page_of(with_alias)).content.decode()
    assert "in the beginning" in page
    assert roll_back_page(with_alias) in page

    question = admin_client.get(roll_back_page(with_alias)).content.decode()
    assert "deleted model alias fast" in question
    assert not ModelAlias.objects.exists(), "a question changes nothing"

    answer = admin_client.post(roll_back_page(with_alias), {"reason": "too early"}, follow=True)
    assert ModelAlias.objects.get().targets == ["m"]
    made = newest()
    assert (made.source, made.reason) == ("rollback", "too early")
    assert made.author is not None
    assert made.author.get_username() == "admin"
    assert f"r{with_alias.pk} is in force again, as revision r{made.pk}." in answer.content.decode()

    again = admin_client.post(roll_back_page(made), follow=True).content.decode()
    assert f"Nothing differs from r{made.pk}." in again
    assert newest() == made


def test_a_refused_way_back_says_why(admin_client: Client, with_alias: ConfigurationRevision) -> None:
    with one_revision(source="test"):
        team = Team.objects.create(name="blue")
    create_key(KeyOrder(name="app", team=team))
    answer = admin_client.post(roll_back_page(with_alias), follow=True).content.decode()
    assert "move or delete them first" in answer
    assert not ModelAlias.objects.exists()


def test_who_may_only_look_cannot_go_back(client: Client, with_alias: ConfigurationRevision) -> None:
    reader = get_user_model().objects.create_user(username="reader", password="x", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_configurationrevision"))
    client.force_login(reader)
    page = client.get(page_of(with_alias))
    assert page.status_code == 200
    assert roll_back_page(with_alias) not in page.content.decode()
    assert client.post(roll_back_page(with_alias)).status_code == 403
    assert not ModelAlias.objects.exists()


def test_a_difference_is_shown_without_what_undoes_it(admin_client: Client) -> None:
    with one_revision(source="test"):
        row = Provider.objects.create(name="first", base_url="https://a.example", headers={"X-Secret": SECRET})
        credential = Credential(provider=row, name="main")
        credential.store(SECRET)
        credential.save()
    with one_revision(source="test"):
        row.priority, row.headers = 7, {"X-Secret": SECRET + "2"}
        row.save()
        credential.delete()
    made = newest()
    assert credential.ciphertext in str(made.undo), "there is something to hide"
    text = admin_client.get(page_of(made)).content.decode()
    assert "<td>priority</td><td>1</td><td>7</td>" in text
    assert SECRET not in text
    assert credential.ciphertext not in text
    assert "$sealed" not in text


def test_a_refused_file_needs_attention(admin_client: Client) -> None:
    row = ConfigurationFile.objects.create(path="/etc/proxy/config.yaml", loaded_at=timezone.now())
    assert row.path not in admin_client.get(reverse("admin:index")).content.decode()
    row.refusal = "config.yaml:3:5: unknown key 'providrs'\nwrite 'providers'"
    row.refused_at = timezone.now()
    row.save()
    home = admin_client.get(reverse("admin:index")).content.decode()
    page = reverse("admin:routing_configurationfile_change", args=[row.pk])
    assert "unknown key &#x27;providrs&#x27;" in home
    assert page in home
    assert "write &#x27;providers&#x27;" in admin_client.get(page).content.decode()
    assert admin_client.post(page, {"refusal": ""}).status_code == 403


def test_settings_of_a_file_are_read_only_and_say_so(admin_client: Client) -> None:
    row = GatewaySettings.load()
    row.file_keys, row.max_attempts, row.response_cache = ["max_attempts", "response_cache"], 4, {"ttl": 60}
    row.save()
    page = reverse("admin:routing_gatewaysettings_change", args=[row.pk])
    assert admin_client.get(page).content.decode().count("A configuration file manages this") == 4
    form = {
        "app_name": "Renamed", "api_key_header": "X-API-Key", "rate_limit_window_s": 60, "request_timeout_s": 600,
        "circuit_breaker_threshold": 5, "circuit_breaker_timeout_s": 60, "default_strategy": "priority",
        "max_attempts": 9, "discovery": "{}", "cache_ttl_s": 999,
    }  # fmt: skip
    assert admin_client.post(page, form).status_code == 302
    row.refresh_from_db()
    assert (row.app_name, row.max_attempts, row.response_cache) == ("Renamed", 4, {"ttl": 60})
