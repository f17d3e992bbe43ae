"""The pages of providers, credentials and deployments, and the wizard, through Django's test client."""

from collections.abc import Iterator

import pytest
from django.contrib.admin.models import LogEntry
from django.test import Client
from django.urls import reverse

from providers.demo import create_app
from providers.models import Credential, Deployment, Provider
from tests.upstreams.servers import run_asgi

pytestmark = pytest.mark.django_db
SECRET = "sk-upstream-0123456789abcdef3f2a"


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    with run_asgi(create_app()) as url:
        yield url


def add_provider(name: str = "first", **fields: object) -> Provider:
    return Provider.objects.create(**{"name": name, "base_url": "http://127.0.0.1:9/v1", **fields})


def add_credential(provider: Provider) -> Credential:
    credential = Credential(provider=provider)
    credential.store(SECRET)
    credential.save()
    return credential


def page(client: Client, name: str, *arguments: object) -> str:
    answer = client.get(reverse(f"admin:{name}", args=arguments))
    assert answer.status_code == 200
    return answer.content.decode()


def formset(prefix: str, **rows: object) -> dict[str, object]:
    counts = {"TOTAL_FORMS": 0, "INITIAL_FORMS": 0, "MIN_NUM_FORMS": 0, "MAX_NUM_FORMS": 1000}
    return {f"{prefix}-{name}": value for name, value in {**counts, **rows}.items()}


def provider_form(**changes: object) -> dict[str, object]:
    fields = {
        "name": "first", "kind": "openai", "base_url": "https://api.example.com/v1", "priority": 1, "weight": 1,
        "enabled": "on", "options": "{}", "max_retries": 3, "retry_delay_s": 0.25, "max_connections": 100,
        "keepalive_timeout_s": 30, "allow_private": "on",
    }  # fmt: skip
    return {**fields, **formset("credentials"), **formset("deployments"), **changes}


def test_a_provider_is_added_with_its_key_and_models_on_one_page(admin_client: Client) -> None:
    body = provider_form(
        **formset("credentials", TOTAL_FORMS=1),
        **formset("deployments", TOTAL_FORMS=1),
        **{"credentials-0-name": "main", "credentials-0-secret": SECRET, "credentials-0-weight": 1},
        **{"credentials-0-enabled": "on", "deployments-0-model": "gpt-4o", "deployments-0-enabled": "on"},
        **{"deployments-0-input_nano_usd_per_mtok": "2.5", "deployments-0-output_nano_usd_per_mtok": "10"},
    )
    answer = admin_client.post(reverse("admin:providers_provider_add"), body)
    assert answer.status_code == 302
    provider = Provider.objects.get(name="first")
    assert provider.credentials.get().reveal() == SECRET
    assert provider.deployments.get().input_nano_usd_per_mtok == 2_500_000_000


@pytest.mark.parametrize(
    ("field", "value", "complaint"),
    [
        ("base_url", "ftp://example.com", "A base URL looks like"),
        ("base_url", "https://user:pw@example.com", "Put the key into a credential"),
        ("name", "has spaces", "Letters, digits, dots"),
        ("headers", "Authorization: Bearer x", "is set by the gateway itself"),
        ("options", "{not json", "Enter a valid JSON"),
        ("priority", "-1", "greater than or equal to 0"),
    ],
)
def test_mistakes_are_answered_in_words(admin_client: Client, field: str, value: str, complaint: str) -> None:
    answer = admin_client.post(reverse("admin:providers_provider_add"), provider_form(**{field: value}))
    assert answer.status_code == 200
    assert complaint in answer.content.decode()
    assert not Provider.objects.exists()


def test_two_deployments_of_one_model_are_refused_with_a_sentence(admin_client: Client) -> None:
    models = {f"deployments-{row}-model": "gpt-4o" for row in (0, 1)}
    answer = admin_client.post(
        reverse("admin:providers_provider_add"), provider_form(**formset("deployments", TOTAL_FORMS=2), **models)
    )
    assert "Please correct the duplicate" in answer.content.decode()


@pytest.mark.parametrize(
    ("prefix", "row"),
    [
        ("deployments", {"0-model": "gpt-4o"}),
        ("credentials", {"0-name": "default", "0-weight": 1, "0-environment_variable": "OTHER_KEY"}),
    ],
)
def test_a_row_that_its_provider_has_already_is_refused_with_a_sentence(
    admin_client: Client, prefix: str, row: dict[str, object]
) -> None:
    """Such as a model that stands on another page of its provider's."""
    provider = add_provider()
    Deployment.objects.create(provider=provider, model="gpt-4o")
    add_credential(provider)
    new = formset(prefix, TOTAL_FORMS=1, **row)
    answer = admin_client.post(
        reverse("admin:providers_provider_change", args=[provider.pk]), provider_form(priority=7, **new)
    )
    assert answer.status_code == 200
    assert "already exists" in answer.content.decode()
    assert Provider.objects.get().priority == 1


def test_a_stored_secret_is_on_no_page(admin_client: Client) -> None:
    provider = add_provider()
    credential = add_credential(provider)
    pages = [
        page(admin_client, "providers_provider_change", provider.pk),
        page(admin_client, "providers_credential_change", credential.pk),
        page(admin_client, "providers_credential_changelist"),
        page(admin_client, "providers_credential_history", credential.pk),
        page(admin_client, "providers_provider_wizard_connection", provider.pk),
    ]
    assert all(SECRET not in text and credential.ciphertext not in text for text in pages)
    assert "sk-…3f2a" in pages[1]


HEADERS = {"X-Key": SECRET, "X-Team": "blue"}


@pytest.mark.parametrize("source", ["admin", "file"])
def test_the_values_of_headers_are_on_no_page(admin_client: Client, source: str) -> None:
    provider = add_provider(headers=HEADERS, source=source)
    pages = [page(admin_client, f"providers_provider_{name}", provider.pk) for name in ("change", "history")]
    if source == "admin":
        pages.append(page(admin_client, "providers_provider_wizard_connection", provider.pk))
    assert [text for text in pages if SECRET in text] == []
    assert "X-Key: •••" in pages[0]


@pytest.mark.parametrize(
    ("typed", "stored"),
    [
        ("X-Key: •••\r\nX-Team: •••", HEADERS),
        ("X-Key: •••\r\nX-Team: red", {**HEADERS, "X-Team": "red"}),
        ("X-Team: •••", {"X-Team": "blue"}),
        ("", {}),
    ],
)
def test_what_was_shown_of_a_header_keeps_its_value(admin_client: Client, typed: str, stored: dict[str, str]) -> None:
    provider = add_provider(headers=HEADERS)
    answer = admin_client.post(
        reverse("admin:providers_provider_change", args=[provider.pk]), provider_form(headers=typed)
    )
    assert answer.status_code == 302
    assert Provider.objects.get().headers == stored
    assert LogEntry.objects.get().get_change_message().count("xtra headers") == (stored != HEADERS)


@pytest.mark.parametrize("name", ["providers_provider_change", "providers_provider_wizard_connection"])
def test_a_header_whose_value_was_never_stored_needs_one(admin_client: Client, name: str) -> None:
    provider = add_provider(headers=HEADERS)
    answer = admin_client.post(reverse(f"admin:{name}", args=[provider.pk]), provider_form(headers="X-Other: •••"))
    assert "No value is stored for X-Other" in answer.content.decode()
    assert Provider.objects.get().headers == HEADERS


def test_an_empty_secret_field_keeps_the_secret(admin_client: Client) -> None:
    credential = add_credential(add_provider())
    body = {"provider": credential.provider_id, "name": "renamed", "secret": "", "weight": 2, "enabled": "on"}
    answer = admin_client.post(reverse("admin:providers_credential_change", args=[credential.pk]), body)
    assert answer.status_code == 302
    credential.refresh_from_db()
    assert (credential.name, credential.reveal()) == ("renamed", SECRET)


def test_naming_a_variable_forgets_the_stored_secret(admin_client: Client) -> None:
    credential = add_credential(add_provider())
    body = {"provider": credential.provider_id, "name": "default", "environment_variable": "SOME_KEY", "weight": 1}
    admin_client.post(reverse("admin:providers_credential_change", args=[credential.pk]), body)
    credential.refresh_from_db()
    assert (credential.environment_variable, credential.ciphertext, credential.hint) == ("SOME_KEY", "", "")


def test_rows_of_a_file_are_read_only_and_say_so(admin_client: Client) -> None:
    provider = add_provider(source="file")
    Deployment.objects.create(provider=provider, model="m", source="file")
    assert "A configuration file manages this row" in page(admin_client, "providers_provider_change", provider.pk)
    address = reverse("admin:providers_provider_change", args=[provider.pk])
    assert admin_client.post(address, provider_form(name="changed")).status_code == 403
    delete = admin_client.post(reverse("admin:providers_provider_delete", args=[provider.pk]), {"post": "yes"})
    assert delete.status_code == 403
    assert Provider.objects.get().name == "first"


def test_a_secret_that_a_file_only_names_is_entered_here(admin_client: Client) -> None:
    provider = add_provider(source="file")
    named = Credential.objects.create(provider=provider, name="named", environment_variable="A_KEY")
    stored = Credential.objects.create(provider=provider, name="stored")
    body = {"secret": SECRET, "name": "changed", "weight": 7, "environment_variable": "B_KEY"}
    change = "providers_credential_change"

    assert "but for its secret" in page(admin_client, change, stored.pk)
    assert admin_client.post(reverse(f"admin:{change}", args=[stored.pk]), body).status_code == 302
    stored.refresh_from_db()
    assert (stored.reveal(), stored.name, stored.weight, stored.environment_variable) == (SECRET, "stored", 1, "")
    assert "here it can only be read" in page(admin_client, change, named.pk)
    assert admin_client.post(reverse(f"admin:{change}", args=[named.pk]), body).status_code == 403


def test_rows_of_a_file_keep_their_priority_in_the_list(admin_client: Client) -> None:
    fixed, free = add_provider("fixed", source="file"), add_provider("free")
    body = {
        **formset("form", TOTAL_FORMS=2, INITIAL_FORMS=2), "_save": "Save",
        "form-0-id": fixed.pk, "form-0-priority": 7, "form-1-id": free.pk, "form-1-priority": 7,
    }  # fmt: skip
    assert admin_client.post(reverse("admin:providers_provider_changelist"), body).status_code == 302
    assert dict(Provider.objects.values_list("name", "priority")) == {"fixed": 1, "free": 7}


def test_enabling_and_disabling_is_recorded_and_leaves_rows_of_a_file(admin_client: Client) -> None:
    fixed, free = add_provider("fixed", source="file"), add_provider("free")
    body = {"action": "disable", "_selected_action": [fixed.pk, free.pk]}
    admin_client.post(reverse("admin:providers_provider_changelist"), body)
    assert dict(Provider.objects.values_list("name", "enabled")) == {"fixed": True, "free": False}
    assert free.history.count() == 2
    assert free.history.first().history_user.username == "admin"


def test_the_list_tells_what_is_missing(admin_client: Client) -> None:
    add_provider("keyless", kind="anthropic")
    add_provider("modelless")
    add_provider("off", enabled=False)
    Deployment.objects.create(provider=add_provider("good"), model="m")
    text = page(admin_client, "providers_provider_changelist")
    for word in ("no key", "no models", "disabled", "ready"):
        assert f">{word}<" in text


# ------------------------------------------------------------------------------------------------------------ the wizard


def test_the_wizard_leads_from_kind_to_live_models(admin_client: Client, demo_url: str) -> None:
    assert "OpenAI or compatible" in page(admin_client, "providers_provider_wizard")
    create = reverse("admin:providers_provider_wizard_create", args=["openai"])
    assert 'value="https://api.openai.com/v1"' in admin_client.get(create).content.decode()
    body = {"name": "mine", "base_url": f"{demo_url}/v1", "secret": SECRET, "options": "{}"}
    answer = admin_client.post(create, body)
    provider = Provider.objects.get(name="mine")
    assert answer["Location"] == reverse("admin:providers_provider_wizard_test", args=[provider.pk])
    assert not provider.enabled

    result = admin_client.post(answer["Location"]).content.decode()
    assert "mine works" in result
    assert provider.credentials.get().last_worked_at is not None

    models = reverse("admin:providers_provider_wizard_models", args=[provider.pk])
    assert 'value="demo-small"' in admin_client.get(models).content.decode()
    chosen = {"model": ["demo-small"], "in:demo-small": "0.5", "out:demo-small": "1,5", "typed": "by-hand"}
    assert admin_client.post(models, chosen).status_code == 302
    provider.refresh_from_db()
    rows = provider.deployments.order_by("model").values_list(
        "model", "input_nano_usd_per_mtok", "output_nano_usd_per_mtok"
    )
    assert list(rows) == [("by-hand", None, None), ("demo-small", 500_000_000, 1_500_000_000)]
    assert provider.enabled
    assert "curl http://testserver/v1/chat/completions" in page(
        admin_client, "providers_provider_wizard_done", provider.pk
    )


def test_the_wizard_notes_which_models_only_embed(admin_client: Client) -> None:
    provider = add_provider("several", enabled=False)
    models = reverse("admin:providers_provider_wizard_models", args=[provider.pk])
    assert admin_client.post(models, {"typed": "demo-small, text-Embedding-3"}).status_code == 302
    found = dict(provider.deployments.values_list("model", "capabilities"))
    assert found == {"demo-small": [], "text-Embedding-3": ["embeddings"]}


def test_the_wizard_tries_real_calls_when_asked(admin_client: Client, demo_url: str) -> None:
    provider = add_provider("tried", base_url=f"{demo_url}/v1")
    Deployment.objects.create(
        provider=provider, model="demo-small", input_nano_usd_per_mtok=0, output_nano_usd_per_mtok=0
    )
    answer = admin_client.post(reverse("admin:providers_provider_wizard_test", args=[provider.pk]), {"calls": "1"})
    text = answer.content.decode()
    assert "Tried with demo-small" in text
    assert "Structured output" in text


def test_the_wizard_says_what_to_do_when_nothing_answers(admin_client: Client) -> None:
    provider = add_provider("unreachable")
    text = admin_client.post(reverse("admin:providers_provider_wizard_test", args=[provider.pk])).content.decode()
    assert "does not work yet" in text
    assert "Check the base URL, DNS" in text


@pytest.mark.parametrize(("kind", "path"), [("openai", "/v1/chat/completions"), ("blackbox", "/v1")])
def test_the_wizard_says_that_a_provider_works_only_when_something_showed_it(
    admin_client: Client, demo_url: str, kind: str, path: str
) -> None:
    provider = add_provider("untold", kind=kind, base_url=demo_url + path)
    add_credential(provider)
    text = admin_client.post(reverse("admin:providers_provider_wizard_test", args=[provider.pk])).content.decode()
    assert "It is not known yet whether untold works" in text
    assert "Choose models" in text


@pytest.mark.parametrize("kind", ["azure", "anthropic"])
@pytest.mark.parametrize("button", ["calls", "list"])
def test_the_wizard_names_an_option_that_cannot_be_used(admin_client: Client, kind: str, button: str) -> None:
    with run_asgi(create_app()) as url:
        provider = add_provider("tried", kind=kind, base_url=url, options={"api_version": "v9"})
        add_credential(provider)
        page = reverse("admin:providers_provider_wizard_test", args=[provider.pk])
        text = admin_client.post(page, {button: "1"}).content.decode()
    assert "api_version" in text
    assert "is not configured rightly" in text
    assert "It answers." not in text


def test_the_wizard_wants_a_key_where_nothing_works_without(admin_client: Client) -> None:
    create = reverse("admin:providers_provider_wizard_create", args=["anthropic"])
    answer = admin_client.post(create, {"name": "a", "base_url": "https://api.anthropic.com", "options": "{}"})
    assert "answers nobody without a key" in answer.content.decode()

    wrong = {"name": "a", "base_url": "https://api.anthropic.com", "options": "{}", "secret": "sk-a b"}
    text = admin_client.post(create, wrong).content.decode()
    assert "A key has no spaces" in text
    assert "answers nobody" not in text, "one was given"
    assert not Provider.objects.exists()


def test_the_wizard_wants_at_least_one_model(admin_client: Client) -> None:
    provider = add_provider("empty", enabled=False)
    models = reverse("admin:providers_provider_wizard_models", args=[provider.pk])
    assert "Choose at least one model" in admin_client.post(models, {}).content.decode()
    provider.refresh_from_db()
    assert not provider.enabled


def test_the_wizard_leaves_providers_of_a_file_alone(admin_client: Client) -> None:
    provider = add_provider("fixed", source="file")
    assert admin_client.get(reverse("admin:providers_provider_wizard_test", args=[provider.pk])).status_code == 403


def test_the_wizard_is_for_those_who_may_add_providers(client: Client, django_user_model: type) -> None:
    client.force_login(django_user_model.objects.create_user("reader", is_staff=True))
    assert client.get(reverse("admin:providers_provider_wizard")).status_code == 403
