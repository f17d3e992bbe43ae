"""The pages of aliases, policies, settings and revisions, through Django's test client."""

import pytest
from django.test import Client
from django.urls import reverse

from providers.models import Deployment, Provider
from routing.models import ConfigurationRevision, GatewaySettings, ModelAlias, RoutePolicy

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def deployments() -> None:
    provider = Provider.objects.create(name="first", base_url="http://127.0.0.1:9/v1")
    Deployment.objects.create(provider=provider, model="gpt-4o", upstream_model="gpt-4o-2024")


def save_alias(client: Client, **fields: str) -> str:
    body = {"name": "best", "targets": "gpt-4o", "fallbacks": "", "strategy": "", "enabled": "on", **fields}
    return client.post(reverse("admin:routing_modelalias_add"), body).content.decode()


def test_an_aliass_targets_are_typed_as_words(admin_client: Client) -> None:
    save_alias(admin_client, name="gpt-4o", targets="gpt-4o,\nfirst/gpt-4o")
    assert ModelAlias.objects.get().targets == ["gpt-4o", "first/gpt-4o"]


def test_a_switch_of_an_alias_says_what_it_follows(admin_client: Client) -> None:
    page = admin_client.get(reverse("admin:routing_modelalias_add")).content.decode()
    assert page.count("as the gateway settings say") == 2


@pytest.mark.parametrize(
    ("fields", "complaint"),
    [
        ({"targets": "gpt4o"}, "Nothing serves gpt4o."),
        ({"targets": "GPT-4"}, "Did you mean first/gpt-4o, gpt-4o?"),
        ({"targets": ""}, "This field is required"),
        ({"fallbacks": "nothing"}, "Nothing serves nothing."),
        ({"targets": "first/gpt-4o-2024"}, "Nothing serves first/gpt-4o-2024."),
        ({"targets": "best"}, "best is an alias"),
        ({"name": "two words"}, "no spaces"),
    ],
)
def test_an_alias_that_leads_nowhere_is_refused(admin_client: Client, fields: dict[str, str], complaint: str) -> None:
    assert complaint in save_alias(admin_client, **fields)
    assert not ModelAlias.objects.exists()


def test_an_alias_may_fall_back_to_an_alias(admin_client: Client) -> None:
    ModelAlias.objects.create(name="cheap", targets=["gpt-4o"])
    save_alias(admin_client, fallbacks="cheap")
    assert ModelAlias.objects.get(name="best").fallbacks == ["cheap"]
    assert "cheap is an alias" in save_alias(admin_client, name="other", targets="cheap")


def test_policies_are_ordered_in_the_list_but_for_those_of_a_file(admin_client: Client) -> None:
    fixed = RoutePolicy.objects.create(name="a", source="file")
    free = RoutePolicy.objects.create(name="b")
    body = {
        "form-TOTAL_FORMS": 2, "form-INITIAL_FORMS": 2, "_save": "Save",
        "form-0-id": fixed.pk, "form-0-position": 5, "form-1-id": free.pk, "form-1-position": 5,
    }  # fmt: skip
    admin_client.post(reverse("admin:routing_routepolicy_changelist"), body)
    assert dict(RoutePolicy.objects.values_list("name", "position")) == {"a": 100, "b": 5}


def settings_form(**changes: object) -> dict[str, object]:
    fields = {
        "app_name": "Gateway", "api_key_header": "X-API-Key", "rate_limit_window_s": 60, "request_timeout_s": 600,
        "circuit_breaker_threshold": 5, "circuit_breaker_timeout_s": 60, "default_strategy": "priority",
        "max_attempts": 3, "discovery": "{}",
    }  # fmt: skip
    return {**fields, **changes}


def save_settings(client: Client, **changes: object) -> str:
    row = GatewaySettings.load()
    return client.post(
        reverse("admin:routing_gatewaysettings_change", args=[row.pk]), settings_form(**changes)
    ).content.decode()


def test_there_is_one_page_of_settings(admin_client: Client) -> None:
    answer = admin_client.get(reverse("admin:routing_gatewaysettings_changelist"))
    assert answer["Location"] == reverse(
        "admin:routing_gatewaysettings_change", args=[GatewaySettings.objects.get().pk]
    )
    assert admin_client.get(reverse("admin:routing_gatewaysettings_add")).status_code == 403


def test_keys_inside_json_are_fields_and_unknown_keys_stay(admin_client: Client) -> None:
    row = GatewaySettings.load()
    row.response_cache = {"ttl": 60, "of_another_version": True}
    row.save()
    save_settings(
        admin_client, cache_enabled="on", cache_ttl_s=300, condensation_factor="0.5",
        condensation_keywords="too long\ncontext_length_exceeded", cors_origins="https://app.example.com",
    )  # fmt: skip
    row.refresh_from_db()
    assert row.response_cache == {"enabled": True, "ttl": 300, "of_another_version": True}
    assert row.condensation == {"adaptive_factor": 0.5, "error_keywords": ["too long", "context_length_exceeded"]}
    assert row.cors_origins == ["https://app.example.com"]


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("cors_origins", "app.example.com", "is not an origin"),
        ("cors_origins", "https://app.example.com/path", "is not an origin"),
        ("discovery", "[1]", "This is a JSON object"),
        ("discovery", '{"registy": "https://a.example"}', "expected registry?"),
        ("api_key_header", "Authorization", "header that is not taken"),
        ("api_key_header", "X Key", "header that is not taken"),
        ("cache_max_entries", "99999999", "a whole number from 1 to 10000000"),
        ("payloads_retention_days", "9999", "a whole number from 1 to 3650"),
        ("condensation_factor", "2", "less than or equal to 1"),
        ("max_attempts", "0", "greater than or equal to 1"),
    ],
)
def test_settings_that_make_no_sense_are_refused(admin_client: Client, field: str, value: str, complaint: str) -> None:
    assert complaint in save_settings(admin_client, **{field: value})


@pytest.mark.django_db(transaction=True)
def test_revisions_tell_who_changed_what_and_cannot_be_changed(admin_client: Client) -> None:
    save_alias(admin_client)
    text = admin_client.get(reverse("admin:routing_configurationrevision_changelist")).content.decode()
    assert "created model alias best" in text
    newest = ConfigurationRevision.objects.order_by("-pk").first()
    assert newest is not None
    assert newest.author is not None
    assert newest.author.get_username() == "admin"
    change = reverse("admin:routing_configurationrevision_change", args=[newest.pk])
    assert admin_client.get(change).status_code == 200
    assert admin_client.post(change, {}).status_code == 403
