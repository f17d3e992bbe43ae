"""What a first start creates: an admin user, a first API key, providers from the environment, or else the demo."""

import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

from django.apps import apps
from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection, transaction
from django.db.migrations.recorder import MigrationRecorder

from accounts.models import ApiKey
from accounts.provisioning import KeyOrder, create_key
from accounts.rules import SCOPES
from providers.adapters import REGISTRY
from providers.models import Credential, Deployment, Provider, Source
from proxy_site.early_end import asked_later
from rows.locks import about_to_lock

ADMIN_USERNAME = "admin"
QUIETLY = {"verbosity": 0, "interactive": False}
DEMO_NAME = "demo"
DEMO_MODELS = ("demo-small", "demo-large")
DEMO_EMBEDDING_MODEL = "demo-embedding"

# What a provider known only by its key is offered with, until its own list is adopted in the admin.
STARTER_MODELS = {
    "openai": ("gpt-4o", "gpt-4o-mini"),
    "anthropic": ("claude-sonnet-4-6", "claude-haiku-4-5"),
    "grok": ("grok-4.3",),
    "perplexity": ("perplexity/sonar",),
    "blackbox": ("blackboxai/openai/gpt-4",),
    "openrouter": ("openai/gpt-4o-mini",),
    "cohere": ("command-a-03-2025", "command-r7b-12-2024"),
    "azure": (),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FirstStart:
    """What was created now; None for what existed already. Secrets are printed once and kept nowhere."""

    admin_password: str | None = None
    api_key: str | None = None
    model: str | None = None
    demo: bool = False
    alone: bool = False
    """Whether nobody but the demo answers."""
    idle_keys: tuple[str, ...] = ()
    """What `keys_without_address` found."""


def migrate_if_needed() -> None:
    """In a child process: what migrations load and build takes 80 MB, which this process would keep for its whole life."""
    if _all_applied():
        return
    # Neither a connection nor a pool's threads may be shared with a child.
    connection.close()
    if hasattr(connection, "close_pool"):
        connection.close_pool()
    migration = get_context("fork").Process(target=call_command, args=("migrate",), kwargs=QUIETLY, name="migration")
    # Half a migration is none: a database that keeps its tables and not the note of them is never migrated again.
    with asked_later():
        migration.start()
        migration.join()
    if migration.exitcode:
        raise CommandError("The database could not be migrated; the reason is above.")


def _all_applied() -> bool:
    """By their names alone: to import all migrations takes a twentieth of a start. False also where it is not so simple,
    as with squashed ones."""
    applied = MigrationRecorder(connection).applied_migrations().keys()
    for app in apps.get_app_configs():
        folder = Path(app.path) / "migrations"
        names = {path.stem for path in folder.glob("[0-9a-z]*.py")} if folder.is_dir() else set()
        if any((app.label, name) not in applied for name in names):
            return False
    return True


def prepare(*, demo_base_url: str) -> FirstStart:
    """Idempotent: running it again changes nothing that exists."""
    with transaction.atomic():
        # Those who start together on an empty database make one administrator and one key, one after another.
        about_to_lock.send(sender=get_user_model())
        password = _admin()
        _providers_from_environment()
        demo = _demo(demo_base_url)
        key = _first_key()
    deployment = (
        Deployment.objects.filter(enabled=True, provider__enabled=True).order_by("provider__priority", "pk").first()
    )
    return FirstStart(
        admin_password=password,
        api_key=key,
        model=deployment.model if deployment else None,
        demo=demo,
        alone=not Provider.objects.filter(enabled=True).exclude(source=Source.DEMO).exists(),
        idle_keys=tuple(keys_without_address()),
    )


def _admin() -> str | None:
    user_model = get_user_model()
    if user_model.objects.filter(is_superuser=True).exists():
        return None
    password = secrets.token_urlsafe(12)
    user_model.objects.create_superuser(username=ADMIN_USERNAME, password=password)
    return password


def _first_key() -> str | None:
    if ApiKey.objects.exists():
        return None
    return create_key(KeyOrder(name="first key", scopes=SCOPES)).token


def keys_without_address() -> list[str]:
    """Variables with the key of a provider that every customer has at an address of their own, which is not told: no
    provider comes of them."""
    return [
        variable
        for variable, kind, base_url in _keys_in_environment()
        if not base_url and not Provider.objects.filter(kind=kind).exists()
    ]


def mistaken_variables() -> dict[str, str]:
    """What `environment.mistaken` says, once all that is configured has been read."""
    named = Credential.objects.exclude(environment_variable="").values_list("environment_variable", flat=True)
    found: dict[str, str] = settings.MISTAKEN_VARIABLES(set(named))
    return found


def _keys_in_environment() -> Iterator[tuple[str, str, str]]:
    """(variable, kind, base URL or nothing)"""
    for variable in settings.PROVIDER_KEYS_IN_ENVIRONMENT:
        kind = variable.removeprefix("PROXY_API_").removesuffix("_API_KEY").lower()
        adapter = REGISTRY.get(kind)
        if adapter is not None:
            yield variable, kind, settings.AZURE_BASE_URL if kind == "azure" else adapter.default_base_url or ""


def _providers_from_environment() -> None:
    for variable, kind, base_url in _keys_in_environment():
        if not base_url or Provider.objects.filter(kind=kind).exists():
            continue
        provider = Provider.objects.create(
            name=f"{kind}_default", kind=kind, base_url=base_url, source=Source.ENVIRONMENT
        )
        Credential.objects.create(provider=provider, name="environment", environment_variable=variable)
        for model in STARTER_MODELS.get(kind, ()):
            Deployment.objects.create(provider=provider, model=model, source=Source.ENVIRONMENT)


def _demo(base_url: str) -> bool:
    """Without any provider, the demo stands in, so that the printed curl line answers; it is labelled everywhere."""
    provider = Provider.objects.filter(source=Source.DEMO).first()
    if provider is None:
        if Provider.objects.exists():
            return False
        provider = Provider.objects.create(
            name=DEMO_NAME, kind="openai", base_url=base_url, source=Source.DEMO, priority=1000
        )
        _give_a_key(Credential(provider=provider, name=DEMO_NAME))
        for model in DEMO_MODELS:
            Deployment.objects.create(
                provider=provider, model=model, context_window=32768, max_output_tokens=4096, source=Source.DEMO,
                input_nano_usd_per_mtok=0, output_nano_usd_per_mtok=0, capabilities=["tools", "images", "structured_output"],
            )  # fmt: skip
        Deployment.objects.create(
            provider=provider, model=DEMO_EMBEDDING_MODEL, capabilities=["embeddings"], source=Source.DEMO,
            input_nano_usd_per_mtok=0, output_nano_usd_per_mtok=0,
        )  # fmt: skip
    elif provider.base_url != base_url:
        provider.base_url = base_url
        provider.save()
    for credential in provider.credentials.filter(name=DEMO_NAME, ciphertext="", environment_variable=""):
        # A document from another installation brought the provider; no document brings a secret.
        _give_a_key(credential)
    return provider.enabled


def _give_a_key(credential: Credential) -> None:
    """Any will do: the demo wants one, as the services do."""
    credential.store("sk-demo-no-secret")
    credential.save()
