"""Options and metadata in the admin: an object, and nothing typed is an empty one."""

import pytest
from django.test import Client
from django.urls import reverse
from django.utils.translation import override
from django.utils.translation.trans_real import translation

from accounts.models import Team
from providers.adapter_options import COMMON
from providers.adapters import REGISTRY
from providers.admin.option_help import _of_kind
from providers.models import Deployment, Provider

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize("text", ["[]", "5", '"x"', "[1]"])
def test_what_is_no_object_is_refused(admin_client: Client, text: str) -> None:
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    for address, body, column in (
        ("providers_deployment_add", {"provider": provider.pk, "model": "m", "weight": 1}, "options"),
        ("accounts_team_add", {"name": "red"}, "metadata"),
    ):
        answer = admin_client.post(reverse(f"admin:{address}"), {**body, column: text})
        assert "This is a JSON object such as {}" in answer.content.decode()
    wizard = reverse("admin:providers_provider_wizard_create", args=["openai"])
    body = {"name": "mine", "base_url": "https://a.example/v1", "secret": "sk-12345678", "options": text}
    assert "This is a JSON object such as {}" in admin_client.post(wizard, body).content.decode()
    assert (Deployment.objects.count(), Team.objects.count(), Provider.objects.count()) == (0, 0, 1)


def test_nothing_typed_is_an_empty_object(admin_client: Client) -> None:
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    body = {"provider": provider.pk, "model": "m", "weight": 1, "options": ""}
    assert admin_client.post(reverse("admin:providers_deployment_add"), body).status_code == 302
    assert admin_client.post(reverse("admin:accounts_team_add"), {"name": "red", "metadata": ""}).status_code == 302
    assert (Deployment.objects.get().options, Team.objects.get().metadata) == ({}, {})


def test_what_an_option_means_is_said_in_portuguese() -> None:
    every = [*COMMON, *(option for adapter in REGISTRY.values() for option in adapter.own_options)]
    texts = {text for option in every for text in (option.meaning, option.rule.label)}
    catalogue = translation("pt-br")
    assert sorted(text for text in texts if catalogue.gettext(text) == text) == []
    with override("pt-br"):
        assert 'title="Se valem os preços de tabela do fornecedor. (true ou false)"' in _of_kind(
            "openai", of_model=False
        )
