"""Two people with one row: the second is told what the first has changed, and loses nothing of what was typed."""

import re
from typing import Any

import pytest
from django.contrib import admin as admin_pages
from django.contrib.auth.models import Group, Permission, User
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from accounts.models import ApiKey, Team
from accounts.provisioning import KeyOrder, create_key
from providers.models import Credential, Deployment, Provider
from proxy_site.admin_versions import FirstCome
from routing.models import RoutePolicy
from tests.integration.api.pages import controls

pytestmark = pytest.mark.django_db


def opened(client: Client, address: str) -> dict[str, Any]:
    answer = client.get(address)
    assert answer.status_code == 200
    return controls(answer.content.decode())


def change_page(row: Any) -> str:
    return reverse(f"admin:{row._meta.app_label}_{row._meta.model_name}_change", args=[row.pk])


def cells(page: str) -> list[list[str]]:
    table = page.partition('<table class="findings">')[2].partition("</table>")[0]
    return [re.findall(r"<td>(.*?)</td>", line, re.S) for line in table.split("<tr>")[2:]]


@pytest.fixture
def provider(db: None) -> Provider:
    row = Provider.objects.create(name="first", base_url="https://a.example/v1")
    Deployment.objects.create(provider=row, model="m", upstream_model="m")
    Credential.objects.create(provider=row, environment_variable="OWN_KEY")
    return row


def test_the_later_save_is_told_what_is_stored_and_keeps_what_was_typed(admin_client: Client) -> None:
    row = Team.objects.create(name="red")
    one, other = (opened(admin_client, change_page(row)) for _ in range(2))
    assert admin_client.post(change_page(row), {**one, "metadata": '{"centre": 7}'}).status_code == 302
    answer = admin_client.post(change_page(row), {**other, "name": "crimson"})
    page = answer.content.decode()
    assert answer.status_code == 200
    assert "Somebody else has changed this since you opened the page" in page.partition('<table class="findings">')[0]
    assert cells(page) == [["name", "red", "crimson"], ["metadata", "{&quot;centre&quot;: 7}", "{}"]]
    assert "by admin" in page
    row.refresh_from_db()
    assert (row.name, row.metadata) == ("red", {"centre": 7})
    again = controls(page)
    assert again["name"] == ["crimson"]
    assert admin_client.post(change_page(row), again).status_code == 302
    row.refresh_from_db()
    assert (row.name, row.metadata) == ("crimson", {})


def test_a_form_that_nobody_was_quicker_than_is_saved(admin_client: Client, provider: Provider) -> None:
    key = create_key(KeyOrder(name="app")).key
    for row in (provider, key, provider.credentials.get(), provider.deployments.get()):
        sent = opened(admin_client, change_page(row))
        assert admin_client.post(change_page(row), sent).status_code == 302, row
        assert admin_client.post(change_page(row), sent).status_code == 302, "saved as it was, nothing has changed"
    user = User.objects.get()
    assert admin_client.post(change_page(user), opened(admin_client, change_page(user))).status_code == 302


def test_what_the_gateway_notes_by_itself_is_nobodys_change(admin_client: Client, provider: Provider) -> None:
    key = create_key(KeyOrder(name="app")).key
    sent = [(row, opened(admin_client, change_page(row))) for row in (key, provider)]
    ApiKey.objects.update(last_used_at=timezone.now())
    Credential.objects.update(last_worked_at=timezone.now())
    for row, form in sent:
        assert admin_client.post(change_page(row), form).status_code == 302, row


def test_a_key_that_was_given_a_new_secret_or_revoked_meanwhile_is_shown_first(admin_client: Client) -> None:
    key = create_key(KeyOrder(name="app")).key
    sent = opened(admin_client, change_page(key))
    ApiKey.objects.filter(pk=key.pk).update(revoked_at=timezone.now())
    page = admin_client.post(change_page(key), {**sent, "name": "other"}).content.decode()
    assert cells(page) == [["name", "app", "other"]]


def test_rows_on_the_page_of_another_count_and_secrets_are_not_shown(admin_client: Client, provider: Provider) -> None:
    sent = opened(admin_client, change_page(provider))
    Deployment.objects.update(input_nano_usd_per_mtok=3_000_000_000)
    secret = "sk-typed-0123456789"
    page = admin_client.post(change_page(provider), {**sent, "credentials-0-secret": secret}).content.decode()
    found = dict((name, rest) for name, *rest in cells(page))
    assert found.pop("deployment first/m: input price") == ["3", "–"]
    assert [rest for name, rest in found.items() if "secret" in name] == [["●●●", "●●●"]]
    assert secret not in page
    assert Deployment.objects.get().input_nano_usd_per_mtok == 3_000_000_000


def test_members_of_a_group_count(admin_client: Client) -> None:
    group = Group.objects.create(name="readers")
    sent = opened(admin_client, change_page(group))
    group.permissions.add(Permission.objects.order_by("pk")[0])
    assert admin_client.post(change_page(group), {**sent, "name": "others"}).status_code == 200
    assert Group.objects.get().name == "readers"


def test_a_list_leaves_alone_what_was_not_changed_in_it(admin_client: Client, provider: Provider) -> None:
    other = Provider.objects.create(name="second", base_url="https://b.example/v1")
    address = reverse("admin:providers_provider_changelist")
    sent = opened(admin_client, address)
    Provider.objects.filter(pk=provider.pk).update(priority=5)
    place = {sent[f"form-{at}-id"][0]: f"form-{at}-priority" for at in range(2)}
    saved = admin_client.post(address, {**sent, place[str(other.pk)]: 7, "_save": ""})
    assert saved.status_code == 302
    assert list(Provider.objects.order_by("pk").values_list("priority", flat=True)) == [5, 7]


@pytest.mark.parametrize(("model", "field"), [(Provider, "priority"), (RoutePolicy, "position")])
def test_a_list_does_not_undo_what_was_changed_meanwhile(admin_client: Client, model: Any, field: str) -> None:
    more = {"base_url": "https://a.example/v1"} if model is Provider else {}
    row = model.objects.create(name="only", **{field: 10}, **more)
    address = reverse(f"admin:{model._meta.app_label}_{model._meta.model_name}_changelist")
    sent = opened(admin_client, address)
    model.objects.update(**{field: 5})
    answer = admin_client.post(address, {**sent, f"form-0-{field}": 7, "_save": ""})
    page = answer.content.decode()
    assert (answer.status_code, "has changed this to 5" in page) == (200, True)
    row.refresh_from_db()
    assert getattr(row, field) == 5
    assert admin_client.post(address, {**controls(page), "_save": ""}).status_code == 302
    row.refresh_from_db()
    assert getattr(row, field) == 7


def test_every_page_takes_part() -> None:
    assert [page for page in admin_pages.site._registry.values() if not isinstance(page, FirstCome)] == []
