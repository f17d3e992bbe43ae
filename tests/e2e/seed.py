"""Fills a gateway's database; run as a process of its own.

    python -m tests.e2e.seed             fills it from the JSON on standard input, and prints the API key
    python -m tests.e2e.seed --template FILE
                                         migrates it, leaves SQLite's as it is then in FILE, and makes an administrator
    python -m tests.e2e.seed --forks     a line each: {"env", "document"} fills the database of that environment and is
                                         answered; {"env", "arguments", "files"} is `manage.py` with these arguments, and
                                         what it reads, writes and complains to; answered with its process

The JSON: {"providers": [{"name", "base_url", "kind"?, "priority"?, …model fields, "models": [name or {…}]}],
 "settings": {…GatewaySettings fields}, "aliases": [{…ModelAlias fields}], "policies": [{…RoutePolicy fields}],
 "administrators": [{"username", "password"}]}
"""

import json
import os
import sys
import time
import traceback
from importlib import import_module, reload
from pathlib import Path

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")

from proxy_site.lean_start import set_up

set_up()

from django.conf import settings  # noqa: E402
from django.contrib.auth import get_user_model  # noqa: E402
from django.db import connection, connections, transaction  # noqa: E402

from accounts.models import ApiKey  # noqa: E402
from providers.models import Credential, Deployment, Provider  # noqa: E402
from proxy_site.bootstrap import migrate_if_needed, prepare  # noqa: E402
from routing.models import GatewaySettings, ModelAlias, RoutePolicy  # noqa: E402


def seed(document: dict) -> None:
    for fields in document.get("providers", []):
        models = fields.pop("models", ["gpt-4o"])
        secret = fields.pop("secret", "sk-upstream-secret")
        provider = Provider.objects.create(**fields)
        if secret:
            credential = Credential(provider=provider)
            credential.store(secret)
            credential.save()
        for model in models:
            Deployment.objects.create(provider=provider, **(model if isinstance(model, dict) else {"model": model}))
    if settings := document.get("settings"):
        GatewaySettings.objects.update_or_create(pk=1, defaults=settings)
    crowd(document)
    for fields in document.get("aliases", []):
        ModelAlias.objects.create(**fields)
    for fields in document.get("policies", []):
        RoutePolicy.objects.create(**fields)
    for fields in document.get("administrators", []):
        get_user_model().objects.create_superuser(**fields)


def crowd(document: dict) -> None:
    """Many rows at once; without signals, so before the first start only."""
    count = document.get("idle_providers", 0)
    url = "http://127.0.0.1:9/v1"
    providers = Provider.objects.bulk_create(
        [Provider(name=f"idle{n}", base_url=url, priority=9) for n in range(count)], 500
    )
    rows = [Deployment(provider=provider, model=f"idle-{provider.name}", upstream_model="x") for provider in providers]
    if extra := document.get("idle_deployments", 0):
        owner = Provider.objects.create(name="crowded", base_url=url, priority=9)
        rows += [Deployment(provider=owner, model=f"idle-model-{n}", upstream_model="x") for n in range(extra)]
    Deployment.objects.bulk_create(rows, 500)


def crowd_of_keys(document: dict) -> None:
    """After the first key was made: where there are keys, no start makes one."""
    keys = document.get("idle_keys", 0)
    blank = {"digest": "0" * 64, "hint": "none", "scopes": ["completions"]}
    ApiKey.objects.bulk_create([ApiKey(public_id=f"{n:016x}", name=f"k{n}", **blank) for n in range(keys)], 500)


def filled(document: dict) -> dict[str, str | None]:
    migrate_if_needed()
    with transaction.atomic():
        seed(document)
    answer = {"api_key": prepare(demo_base_url="http://127.0.0.1:9/v1").api_key}
    crowd_of_keys(document)
    return answer


def make_template(migrated: Path) -> None:
    migrate_if_needed()
    if connection.vendor == "sqlite" and not migrated.exists():
        with connection.cursor() as cursor:
            cursor.execute("VACUUM INTO %s", [str(migrated)])
    # Hashing a password takes half a second, which every copy would pay at its first start.
    get_user_model().objects.create_superuser("admin", password=os.urandom(12).hex())


NEEDED = (
    "manage", "proxy_site.management.commands.serve", "proxy_site.http_router", "proxy_site.websockets", "proxy_site.worker",
    "routing.endpoints.data_plane", "uvloop", "unfold.sites", "unfold.admin", "unfold.contrib.filters.admin", "ninja",
    "simple_history.admin", "axes.middleware", "django.contrib.auth.admin", "django.core.asgi", "whitenoise.middleware",
    "rest_framework.viewsets", "rest_framework.routers", "drf_spectacular.views", "django_filters.rest_framework",
)  # fmt: skip
"""What a server imports and what keeps nothing of the settings that differ from copy to copy."""


def serve_forks() -> None:
    """Importing takes two seconds; who fills or serves is a fork of this process, which has done it once."""
    for module in NEEDED:
        import_module(module)
    for line in sys.stdin:
        asked = json.loads(line)
        if "document" in asked:
            if (child := os.fork()) == 0:
                fill_one(asked["env"], asked["document"])
            os.waitpid(child, 0)
        elif (child := orphaned()) == 0:
            be_for(asked["env"])
            manage(asked["arguments"], asked["files"])
            return
        else:
            print(json.dumps({"pid": child}), flush=True)


def orphaned() -> int:
    """A fork whose parent is nobody here, but who takes orphans: its number, and 0 in itself."""
    reading, writing = os.pipe()
    if (between := os.fork()) == 0:
        between = os.getpid()
        if (child := os.fork()) == 0:
            os.close(reading)
            os.close(writing)
            while os.getppid() == between:
                time.sleep(0.001)
            return 0
        os.write(writing, str(child).encode())
        os._exit(0)
    os.waitpid(between, 0)
    child = int(os.read(reading, 20))
    os.close(reading)
    os.close(writing)
    return child


def be_for(env: dict[str, str]) -> None:
    """Reads the settings again: nothing that is imported here keeps what an environment says of them."""
    os.environ.clear()
    os.environ.update(env)
    read = reload(import_module(os.environ["DJANGO_SETTINGS_MODULE"]))
    for name in filter(str.isupper, dir(read)):
        setattr(settings, name, getattr(read, name))
    settings.PASSWORD_HASHERS = ["tests.e2e.quick_hasher.QuickHasher"]
    connections.settings = connections.configure_settings(settings.DATABASES)
    del connections["default"]  # made while importing, and never opened


def manage(arguments: list[str], files: list[str]) -> None:
    modes = os.O_RDONLY, *[os.O_WRONLY | os.O_APPEND | os.O_CREAT] * 2
    for number, (file, mode) in enumerate(zip(files, modes, strict=True)):
        opened = os.open(file, mode, 0o644)
        os.dup2(opened, number)
        os.close(opened)
    sys.argv = ["manage.py", *arguments]
    sys.modules["manage"].main()


def fill_one(env: dict[str, str], document: dict) -> None:
    status = 1
    try:
        be_for(env)
        answer: dict[str, str | None] = filled(document)
        connections.close_all()
        status = 0
    except BaseException:
        answer = {"error": traceback.format_exc()}
    print(json.dumps(answer), flush=True)
    os._exit(status)


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["--template", file]:
            make_template(Path(file))
        case ["--forks"]:
            serve_forks()
        case _:
            print(json.dumps(filled(json.load(sys.stdin))))
