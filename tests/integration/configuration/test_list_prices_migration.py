"""Who already had a provider behind another address than the vendor's keeps the price that its calls had."""

from importlib import import_module

import pytest
from django.apps import apps

from providers.models import Provider

pytestmark = pytest.mark.django_db
migration = import_module("providers.migrations.0007_list_prices")


def options_of(name: str) -> object:
    return Provider.objects.get(name=name).options


def test_providers_keep_the_prices_they_had() -> None:
    for name, kind, url, options in (
        ("vendor", "openai", "https://eu.api.openai.com/v1", {}),
        ("proxy", "openai", "http://10.0.0.5/v1", {"accepts_stream_options": False}),
        ("decided", "anthropic", "http://10.0.0.5", {"list_prices": False}),
        ("reseller", "blackbox", "http://10.0.0.5", {}),
        ("broken", "openai", "http://[", {}),
    ):
        Provider.objects.create(name=name, kind=kind, base_url=url, options=options)
    Provider.objects.create(name="demo", kind="openai", base_url="http://127.0.0.1:1", source="demo")
    migration.keep_prices(apps, None)
    assert options_of("vendor") == options_of("reseller") == options_of("demo") == {}
    assert options_of("proxy") == {"accepts_stream_options": False, "list_prices": True}
    assert options_of("decided") == {"list_prices": False}
    assert options_of("broken") == {"list_prices": True}

    migration.forget(apps, None)
    assert options_of("proxy") == {"accepts_stream_options": False}
    assert options_of("decided") == {"list_prices": False}
