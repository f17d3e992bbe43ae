"""Fills a gateway's database from JSON on standard input and prints the API key; run as a process of its own.

{"providers": [{"name", "base_url", "kind"?, "priority"?, …model fields, "models": [name or {…}]}],
 "settings": {…GatewaySettings fields}, "aliases": [{…ModelAlias fields}], "policies": [{…RoutePolicy fields}]}
"""

import json
import os
import sys

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "proxy_site.settings")

import django

django.setup()

from django.db import transaction  # noqa: E402

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
    keys = document.get("idle_keys", 0)
    blank = {"digest": "0" * 64, "hint": "none", "scopes": ["completions"]}
    ApiKey.objects.bulk_create([ApiKey(public_id=f"{n:016x}", name=f"k{n}", **blank) for n in range(keys)], 500)


if __name__ == "__main__":
    migrate_if_needed()
    with transaction.atomic():
        seed(json.load(sys.stdin))
    first = prepare(demo_base_url="http://127.0.0.1:9/v1")
    print(json.dumps({"api_key": first.api_key}))
