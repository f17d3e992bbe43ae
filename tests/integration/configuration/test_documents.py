"""What is written about configuration is true: examples load, the reference is current, every variable is listed."""

import contextlib
import inspect
import json
import re
import socket
from io import StringIO
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command

from providers import secrets
from providers.models import Credential, Provider
from providers.proxies import Proxies, read_direct_hosts
from proxy_site import environment
from proxy_site.bootstrap import prepare
from routing.configuration.reference import reference
from routing.environment_first import VARIABLE_AND_SETTING
from routing.models import ConfigurationRevision
from tests.integration.configuration.conftest import Load

ROOT = Path(__file__).resolve().parents[3]
DOCUMENTS = Path(__file__).parent / "documents"
# Set by other programs (Kubernetes, our own supervisor, the tests), not by people.
NOT_FOR_PEOPLE = {
    "KUBERNETES_SERVICE_HOST",
    "KUBERNETES_SERVICE_PORT",
    "PROXY_API_ENV_FILE",
    "PROXY_API_ROLE",
    "PROXY_API_SUPERVISOR_PID",
}
READERS = "|".join(name for name, _ in inspect.getmembers(environment, inspect.isfunction))


def test_the_reference_is_what_the_reader_reads():
    assert (ROOT / "docs" / "configuration.md").read_text() == reference(), "run manage.py configuration_reference"


def test_a_reference_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    with pytest.raises(CommandError, match="cannot be written: No such file or directory"):
        call_command("configuration_reference", "--output", str(tmp_path / "none" / "configuration.md"))


@pytest.mark.django_db
def test_the_example_loads(load: Load):
    assert load((ROOT / "config.example.yaml").read_text()).revision is not None


def test_the_example_of_the_environment_lists_every_variable():
    read_by_us = set()
    for path in (ROOT / "proxy_site").glob("*.py"):
        read_by_us |= set(re.findall(rf'(?:env\.[a-z_]+|{READERS})\(\s*"([A-Z_]+)"', path.read_text()))
    listed = set(re.findall(r"^#? ?([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert read_by_us - NOT_FOR_PEOPLE - listed == set()


def test_a_copy_of_the_example_of_the_environment_overrules_no_configuration_file():
    given = set(re.findall(r"^([A-Z][A-Z_]+)=", (ROOT / ".env.example").read_text(), re.MULTILINE))

    assert given & {variable for variable, _ in VARIABLE_AND_SETTING.values()} == set()


def validate(*arguments: str) -> list[dict[str, str]]:
    out = StringIO()
    with contextlib.suppress(CommandError):
        call_command("validate_env", "--json", *arguments, stdout=out)
    found = json.loads(out.getvalue())["findings"]
    assert all(item["key"] and item["problem"] and item["remedy"] for item in found)
    return found


@pytest.mark.django_db
def test_validate_env_warns_loudly_of_the_examples_key(settings):
    settings.PROVIDER_SECRET = lambda name: ""
    found = {item["key"]: item for item in validate("--config", str(DOCUMENTS / "config.yaml"))}

    assert "WHOEVER HAS READ" in found["api_keys[0]"]["problem"]
    assert "PROXY_API_OPENAI_API_KEY is not set" in found["providers.openai_default.api_key_env"]["problem"]


@pytest.mark.django_db
def test_validate_env_names_every_fault_of_a_broken_file(tmp_path: Path):
    path = tmp_path / "broken.yaml"
    path.write_text("port: 0\nmodel_aliases: {a: {targets: 5}}\n")
    with pytest.raises(CommandError, match="2 errors"):
        call_command("validate_env", "--config", str(path), stdout=StringIO())
    assert [item["key"].split(" ")[-1] for item in validate("--config", str(path)) if item["level"] == "error"] == [
        "port",
        "model_aliases.a.targets",
    ]


@pytest.mark.django_db
def test_validate_env_checks_connections_numbers_and_stored_secrets(settings):
    settings.REDIS_URL = "redis://127.0.0.1:9/0"
    settings.HTTP_TIMEOUT_S = 0.0
    provider = Provider.objects.create(name="p", base_url="http://10.0.0.1")
    Credential.objects.create(provider=provider, ciphertext=Fernet(Fernet.generate_key()).encrypt(b"x").decode())
    keys = {item["key"] for item in validate() if item["level"] == "error"}

    assert {"REDIS_URL", "HTTP_TIMEOUT", "credential p/default"} <= keys


@pytest.mark.django_db
def test_a_key_of_azure_without_an_address_is_found_by_validate_env_and_told_at_start(settings):
    settings.PROVIDER_KEYS_IN_ENVIRONMENT = {"PROXY_API_AZURE_API_KEY": "x", "PROXY_API_OPENAI_API_KEY": "x"}
    settings.AZURE_BASE_URL = ""
    assert (
        "PROXY_API_AZURE_API_KEY" in {item["key"]: item for item in validate()}["PROXY_API_AZURE_BASE_URL"]["problem"]
    )
    assert prepare(demo_base_url="http://127.0.0.1:9/v1").idle_keys == ("PROXY_API_AZURE_API_KEY",)
    settings.AZURE_BASE_URL = "https://mine.openai.azure.com"
    assert prepare(demo_base_url="http://127.0.0.1:9/v1").idle_keys == ()
    assert Provider.objects.filter(kind="azure").exists()
    assert "PROXY_API_AZURE_BASE_URL" not in {item["key"] for item in validate()}


@pytest.mark.django_db
def test_secrets_move_to_the_newest_key_and_unreadable_ones_stay(settings):
    provider = Provider.objects.create(name="p", base_url="http://10.0.0.1")
    credential = Credential(provider=provider, name="good")
    credential.store("sk-the-secret-itself")
    credential.save()
    lost = Fernet(Fernet.generate_key()).encrypt(b"x").decode()
    Credential.objects.create(provider=provider, name="lost", ciphertext=lost)
    revisions = ConfigurationRevision.objects.count()
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]

    with pytest.raises(CommandError, match="p/lost"):
        call_command("rotate_encryption_keys", stdout=StringIO())

    settings.ENCRYPTION_KEYS = [new]
    assert Credential.objects.get(name="good").reveal() == "sk-the-secret-itself"
    with pytest.raises(secrets.UndecipherableSecret):
        Credential.objects.get(name="lost").reveal()
    assert ConfigurationRevision.objects.count() == revisions


@pytest.mark.django_db
def test_validate_env_tells_of_a_proxy_that_is_away_and_of_entries_that_mean_nothing(settings):
    direct = read_direct_hosts("10.*,a.example,http://robot:hunter2-hunter2@b.example")
    with socket.socket() as nobody:
        # Taken, and not listened on: of a port that is free others may make something meanwhile.
        nobody.bind(("127.0.0.1", 0))
        port = nobody.getsockname()[1]
        away = f"http://robot:hunter2-hunter2@127.0.0.1:{port}"
        settings.UPSTREAM_PROXIES = Proxies(https=away, direct=direct)
        found = [item for item in validate() if item["key"].endswith("_PROXY")]
    assert [(item["level"], item["key"]) for item in found] == [
        ("error", "HTTPS_PROXY"), ("warning", "NO_PROXY"), ("warning", "NO_PROXY"),
    ]  # fmt: skip
    assert found[0]["problem"] == f"the proxy at 127.0.0.1:{port} does not answer (Connection refused)"
    assert "'10.*'" in found[1]["problem"]
    assert "hunter2" not in str(found)


@pytest.mark.django_db
def test_validate_env_says_nothing_of_entries_that_nobody_needs(settings):
    settings.UPSTREAM_PROXIES = Proxies(direct=read_direct_hosts("10.*"))
    assert not [item for item in validate() if item["key"] == "NO_PROXY"]
