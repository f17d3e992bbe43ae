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
    for fields in document.get("aliases", []):
        ModelAlias.objects.create(**fields)
    for fields in document.get("policies", []):
        RoutePolicy.objects.create(**fields)


if __name__ == "__main__":
    migrate_if_needed()
    with transaction.atomic():
        seed(json.load(sys.stdin))
    first = prepare(demo_base_url="http://127.0.0.1:9/v1")
    print(json.dumps({"api_key": first.api_key}))
