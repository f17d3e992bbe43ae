"""The gateway's own secrets go nowhere, whoever names their variables: a file, the admin, the wizard, an old row."""

import pytest
from django.test import Client
from django.urls import reverse

from providers.discovery.found import AddressRules, NotUsable, provider_document
from providers.models import Credential, Deployment, Provider
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.schema import read
from routing.discovery_settings import read_discovery_settings
from routing.models import GatewaySettings
from routing.table_loader import load_table
from tests.integration.configuration.conftest import Load

pytestmark = pytest.mark.django_db
P = "providers:\n  - name: p\n    base_url: http://10.0.0.1\n    "
OWN = [
    "PROXY_API_SECRET_KEY",
    "DATABASE_URL",
    "PROXY_API_ENCRYPTION_KEYS_FILE",
    "https_proxy",
    "PGPASSWORD",
    "PROXY_API_ENV",
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OWN:
        monkeypatch.setenv(name, "it-stays-here")


@pytest.mark.parametrize("name", OWN)
@pytest.mark.parametrize(
    ("document", "line"),
    [
        (P + "api_key_env: %s", 4),
        (P + "api_keys_env: [OTHER, %s]", 4),
        (P + "credentials:\n      - {env: %s}", 5),
        ("discovery:\n  registry: {url: 'https://a.example', token_env: %s}", 2),
        ("discovery:\n  consul: {url: 'http://10.0.0.1', token_env: %s}", 2),
        ("discovery:\n  allow_env: [%s]", 2),
    ],
)
def test_a_file_that_names_one_is_refused_with_its_line(load: Load, document, line, name):
    with pytest.raises(ConfigurationRefused) as refused:
        load(document % name)
    assert refused.value.problems[0].at.line == line
    assert "gateway's own secrets" in str(refused.value)
    assert not Credential.objects.exists()


def test_a_clients_key_may_be_one_since_it_is_only_compared():
    assert read(b"api_keys: [{env: PROXY_API_METRICS_TOKEN}]", file="c.yaml").api_keys


@pytest.mark.parametrize("name", OWN)
def test_the_admin_and_the_wizard_refuse_one(admin_client: Client, name: str) -> None:
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    forms = {
        reverse("admin:providers_credential_add"): {"provider": provider.pk, "name": "default", "weight": 1},
        reverse("admin:providers_provider_wizard_create", args=["openai"]): {
            "name": "mine", "base_url": "https://a.example/v1", "options": "{}",
        },
    }  # fmt: skip
    for address, body in forms.items():
        answer = admin_client.post(address, {**body, "environment_variable": name})
        assert "own secret" in answer.content.decode()
    assert not Credential.objects.exists()
    assert Provider.objects.count() == 1


@pytest.mark.usefixtures("environment")
@pytest.mark.parametrize("name", OWN)
def test_a_stored_credential_that_names_one_is_as_good_as_none(name: str) -> None:
    provider = Provider.objects.create(name="first", base_url="https://a.example/v1")
    Deployment.objects.create(provider=provider, model="m")
    credential = Credential.objects.create(provider=provider, environment_variable=name)
    assert credential.reveal() == ""
    table = load_table()
    assert table.providers["first"].credentials == ()
    assert table.left_out == (f"credential first/{credential.name}: {name} is the gateway's own secret",)


@pytest.mark.usefixtures("environment")
def test_discovery_sends_none_to_its_sources_and_lets_no_source_name_one() -> None:
    row = GatewaySettings.load()
    row.discovery = {"registry": {"url": "https://a.example", "token_env": "DATABASE_URL"}}
    row.save()
    found = read_discovery_settings()
    assert found.registry is None or found.registry.token == ""
    rules = AddressRules(allow_env=frozenset(OWN))
    with pytest.raises(NotUsable, match="own secret"):
        provider_document({"name": "a", "base_url": "https://a.example", "api_key_env": OWN[0]}, rules)
