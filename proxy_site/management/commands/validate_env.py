"""`manage.py validate_env`: environment, configuration and connections, each finding with its remedy."""

import json
import socket
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import DatabaseError, connection
from django.db.migrations.executor import MigrationExecutor
from django.db.models import Model
from redis import Redis, RedisError

from accounts.models import ApiKey
from providers.bounds import is_own_secret
from providers.models import Credential, Deployment, Provider
from providers.resolution import in_words
from providers.secrets import UndecipherableSecret
from providers.validation import check_options, check_secret
from proxy_site.bootstrap import keys_without_address, mistaken_variables
from proxy_site.databases.last_word import cause
from routing.configuration.dump import read_configuration
from routing.configuration.findings import Finding, error, of_document, of_refusal, warning
from routing.configuration.loading import read_file
from routing.configuration.problems import ConfigurationRefused
from routing.configuration.schema import read
from routing.revisions import CONFIGURATION_MODELS
from rows.counted import counted

CONNECT_TIMEOUT_S = 3.0
SHORTEST_TIMEOUT_S = 0.1


class Command(BaseCommand):
    help = "Checks environment, configuration and connections; says what is wrong and what to do about it."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--config", metavar="FILE", help="a configuration file to check (default: PROXY_API_CONFIG)"
        )
        parser.add_argument("--json", action="store_true", help="print JSON")

    def handle(self, *args: Any, **options: Any) -> None:
        findings = [
            *_environment(),
            *_proxies(),
            *_connections(),
            *_configuration(options["config"] or settings.CONFIG_FILE),
            *_mistaken(),
        ]
        if options["json"]:
            fields = ("level", "key", "problem", "remedy")
            shown = [{name: getattr(finding, name) for name in fields} for finding in findings]
            self.stdout.write(json.dumps({"findings": shown}))
        else:
            for finding in findings:
                style = self.style.ERROR if finding.level == "error" else self.style.WARNING
                self.stdout.write(style(finding.describe()))
        errors = sum(finding.level == "error" for finding in findings)
        if errors:
            raise CommandError(f"{counted(errors, 'error')}, {counted(len(findings) - errors, 'warning')}.")
        if not options["json"]:
            self.stdout.write(f"No errors, {counted(len(findings), 'warning')}.")


# -------------------------------------------------------------------------------------------------------- environment


def _environment() -> Iterator[Finding]:
    if settings.DEBUG:
        yield warning(
            "PROXY_API_DEBUG", "it is on: error pages show internals", "Turn it off where others can reach it"
        )
    if settings.WORKERS > 1 and not settings.REDIS_URL:
        yield error("REDIS_URL", "it is not set, with several workers", "Set REDIS_URL, or serve with one worker")
    if "*" in settings.ALLOWED_HOSTS and not settings.EMBEDDED:
        yield warning("PROXY_API_ALLOWED_HOSTS", "every host name is answered", "List the names of this installation")
    if settings.HTTP_TIMEOUT_S < SHORTEST_TIMEOUT_S:
        yield error(
            "HTTP_TIMEOUT",
            f"{settings.HTTP_TIMEOUT_S} is less than {SHORTEST_TIMEOUT_S}",
            f"Set it to {SHORTEST_TIMEOUT_S} or more",
        )
    try:
        socket.getaddrinfo(settings.HOST, settings.PORT)
    except OSError:
        yield error(
            "PROXY_API_HOST", f"{settings.HOST} is no address of this machine", "Set it to 127.0.0.1 or 0.0.0.0"
        )


def _proxies() -> Iterator[Finding]:
    proxies = settings.UPSTREAM_PROXIES
    for scheme, proxy in proxies.known():
        try:
            socket.create_connection((proxy.host, proxy.port), timeout=CONNECT_TIMEOUT_S).close()
        except OSError as failure:
            problem = f"the proxy at {proxy.host}:{proxy.port} does not answer ({in_words(failure)})"
            yield error(
                f"{scheme.upper()}_PROXY", problem, "Start it, or correct the address; without a proxy, unset it"
            )
    if any(proxies.known()):
        for entry in proxies.direct.unread:
            # Somebody may have copied an address there, with the password in it.
            shown = entry.rpartition("@")[2]
            yield warning("NO_PROXY", f"'{shown}' is no host, address or network, and names nobody",
                          "Write example.com, 192.0.2.1, 10.0.0.0/8 or *, each but * with or without a port")  # fmt: skip


# -------------------------------------------------------------------------------------------------------- connections


def _connections() -> Iterator[Finding]:
    try:
        connection.ensure_connection()
    except DatabaseError as failure:
        yield error(
            "DATABASE_URL", f"the database does not answer ({_first_line(failure)})", "Start it, or correct the URL"
        )
        return
    executor = MigrationExecutor(connection)
    if executor.migration_plan(executor.loader.graph.leaf_nodes()):
        yield warning(
            "DATABASE_URL", "the database lacks migrations", "Run manage.py migrate (serve does it by itself)"
        )
    else:
        yield from _stored_secrets()
        yield from _stored_values()
        yield from _stored_options()
        yield from _idle_keys()
    if settings.REDIS_URL:
        yield from _redis()


def _redis() -> Iterator[Finding]:
    patience = {"socket_connect_timeout": CONNECT_TIMEOUT_S, "socket_timeout": CONNECT_TIMEOUT_S}
    try:
        with Redis.from_url(settings.REDIS_URL, **patience) as client:
            client.ping()
    except (RedisError, OSError) as failure:
        yield error("REDIS_URL", f"Redis does not answer ({_first_line(failure)})", "Start it, or correct the URL")


def _stored_secrets() -> Iterator[Finding]:
    for credential in Credential.objects.filter(enabled=True).select_related("provider"):
        try:
            secret = credential.reveal()
        except UndecipherableSecret:
            yield error(f"credential {credential}", "no configured key decrypts it",
                        "Add the key it was written with to PROXY_API_ENCRYPTION_KEYS, or enter it again")  # fmt: skip
            continue
        variable = credential.environment_variable
        if is_own_secret(variable):
            continue
        if variable and not secret:
            yield warning(f"credential {credential}", f"{variable} is not set", f"Set {variable} or {variable}_FILE")
        elif not variable and not secret:
            yield warning(f"credential {credential}", "no secret was entered yet", "Enter it in the admin")
        try:
            check_secret(secret)
        except ValidationError as refused:
            remedy = f"Correct {variable}" if variable else "Enter it in the admin"
            yield error(f"credential {credential}", refused.messages[0].rstrip("."), remedy)


def _stored_values() -> Iterator[Finding]:
    """Rows of before there was a check, or written past it."""
    models: tuple[type[Model], ...] = (*CONFIGURATION_MODELS, ApiKey)
    for model in models:
        owners = {field.name for field in model._meta.concrete_fields if field.is_relation}
        for row in model._default_manager.all():
            try:
                row.clean_fields(exclude=owners)
            except ValidationError as refused:
                for column, messages in refused.message_dict.items():
                    named = f"{model._meta.verbose_name} {row}".strip()
                    yield error(f"{named}: {column}", " ".join(messages).rstrip("."), "Correct it in the admin")


def _stored_options() -> Iterator[Finding]:
    """Of before they were checked: they are kept, and mean nothing."""
    models = Deployment.objects.select_related("provider")
    rows: list[tuple[Provider | Deployment, str]] = [(row, row.kind) for row in Provider.objects.all()]
    for row, kind in [*rows, *((row, row.provider.kind) for row in models)]:
        try:
            check_options(kind, row.options, of_model=isinstance(row, Deployment))
        except ValidationError as refused:
            named = f"{row._meta.verbose_name} {row}: options"
            yield warning(named, " ".join(refused.messages), "Correct it in the admin")


def _idle_keys() -> Iterator[Finding]:
    for variable in keys_without_address():
        address = variable.replace("_API_KEY", "_BASE_URL")
        yield warning(address, f"it is not set, so no provider is made of {variable}",
                      "Set it to the address of your resource, or name the variable in a configuration file")  # fmt: skip


def _first_line(failure: BaseException) -> str:
    return (cause(failure).splitlines() or [type(failure).__name__])[0]


def _mistaken() -> Iterator[Finding]:
    """At the end: by then all that the configuration names has been read."""
    try:
        found = mistaken_variables()
    except DatabaseError:
        return
    for variable, meant in found.items():
        yield warning(variable, "it is read by nothing", f"Set {meant} if that was meant, or leave it out")


# ------------------------------------------------------------------------------------------------------ configuration


def _configuration(path: str) -> Iterator[Finding]:
    if path:
        try:
            wanted = read(read_file(path).data, file=path)
        except ConfigurationRefused as refusal:
            yield from of_refusal(refusal)
            return
        yield from of_document(wanted, settings.PROVIDER_SECRET)
        return
    try:
        stored = read_configuration()
    except DatabaseError:
        return
    if not stored.providers:
        yield warning("providers", "none is configured: only the demo answers",
                      "Set PROXY_API_OPENAI_API_KEY, load a configuration, or add one in the admin")  # fmt: skip
