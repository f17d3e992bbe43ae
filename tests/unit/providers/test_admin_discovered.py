"""What was found is approved or rejected on its page, and nothing else can be done to it there."""

from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.test import Client
from django.urls import reverse
from django.utils import timezone

from providers.models import Discovered, DiscoverySource, Provider
from routing.models import ConfigurationRevision

pytestmark = pytest.mark.django_db
LIST = reverse("admin:providers_discovered_changelist")


def found(name: str, **changes: Any) -> Discovered:
    document = {
        "name": name, "kind": "openai", "base_url": "https://eu.example/v1", "priority": 50, "weight": 1, "tags": [],
        "models": ["m1"], "api_key_env": None,
    }  # fmt: skip
    return Discovered.objects.create(
        source="registry", external_id=name, name=name, document={**document, **changes}, last_seen_at=timezone.now()
    )


def choose(client: Client, action: str, *rows: Discovered) -> str:
    body = {"action": action, "_selected_action": [row.pk for row in rows]}
    return client.post(LIST, body, follow=True).content.decode()


def test_an_approved_one_is_live_and_the_revision_names_who_approved_it(admin_client: Client) -> None:
    row = found("eu")
    assert "1 discovery waits for your approval." in admin_client.get(reverse("admin:index")).content.decode()
    assert "1 is live now." in choose(admin_client, "approve_rows", row)
    provider = Provider.objects.get(name="eu")
    assert (provider.enabled, provider.source) == (True, "discovery")
    made = ConfigurationRevision.objects.latest("pk")
    assert (str(made.author), made.reason) == ("admin", "approved registry:eu")
    assert "waits for your approval" not in admin_client.get(reverse("admin:index")).content.decode()


def test_a_rejected_one_is_switched_off(admin_client: Client) -> None:
    row = found("eu")
    choose(admin_client, "approve_rows", row)
    assert "1 was rejected" in choose(admin_client, "reject_rows", row)
    row.refresh_from_db()
    assert row.state == "rejected"
    assert not Provider.objects.get(name="eu").enabled


def test_a_difference_of_one_that_was_switched_off_takes_effect_and_leaves_it_off(admin_client: Client) -> None:
    row = found("eu")
    choose(admin_client, "approve_rows", row)
    Provider.objects.update(enabled=False)
    row.refresh_from_db()
    row.difference = {"priority": [50, 9]}
    row.save()
    text = choose(admin_client, "approve_rows", row)
    assert "registry:eu was approved and stays switched off, as its provider was." in text
    assert "live now" not in text
    assert "approved, switched off" in text
    assert (Provider.objects.get().priority, Provider.objects.get().enabled) == (9, False)
    assert "1 is live now." in choose(admin_client, "approve_rows", row)
    assert Provider.objects.get().enabled


def test_one_that_cannot_go_live_says_why_and_keeps_none_back(admin_client: Client) -> None:
    Provider.objects.create(name="taken", base_url="https://a.example")
    text = choose(admin_client, "approve_rows", found("taken"), found("bad", base_url="file:///etc"), found("eu"))
    assert "taken was entered otherwise" in text
    assert "registry:bad stays as it was" in text
    assert "1 is live now." in text
    assert dict(Discovered.objects.values_list("name", "state")) == {
        "taken": "proposed", "bad": "proposed", "eu": "approved",
    }  # fmt: skip
    assert not Provider.objects.filter(name="bad").exists()


def test_who_may_only_look_decides_nothing(client: Client) -> None:
    row = found("eu")
    reader = get_user_model().objects.create_user(username="reader", password="x", is_staff=True)
    reader.user_permissions.add(Permission.objects.get(codename="view_discovered"))
    client.force_login(reader)
    choose(client, "approve_rows", row)
    assert not Provider.objects.exists()


def test_pages_are_read_only(admin_client: Client) -> None:
    row = found("eu")
    source = DiscoverySource.objects.create(name="consul", error="connection refused")
    for name, pk in (("discovered", row.pk), ("discoverysource", source.pk)):
        page = reverse(f"admin:providers_{name}_change", args=[pk])
        assert admin_client.get(page).status_code == 200
        assert admin_client.post(page, {"name": "x"}).status_code == 403
        assert admin_client.get(reverse(f"admin:providers_{name}_add")).status_code == 403
    text = admin_client.get(reverse("admin:providers_discoverysource_changelist")).content.decode()
    assert "connection refused" in text
