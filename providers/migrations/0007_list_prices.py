from urllib.parse import urlsplit

from django.db import migrations

VENDORS = {
    "openai": ("api.openai.com",),
    "openai_responses": ("api.openai.com",),
    "anthropic": ("api.anthropic.com",),
    "grok": ("api.x.ai",),
    "perplexity": ("api.perplexity.ai",),
    "openrouter": ("openrouter.ai",),
    "cohere": ("api.cohere.com", "api.cohere.ai"),
    "azure": ("azure.com", "azure.us", "azure.cn", "azure-api.net"),
}
"""As of this migration."""


def keep_prices(apps, schema_editor):
    """Calls to another address than the vendor's cost the vendor's price until now. Without it a budget of money would
    refuse them from one moment to the next: who has such a provider keeps the price, and sees why."""
    for row in apps.get_model("providers", "Provider").objects.filter(kind__in=VENDORS).exclude(source="demo"):
        if not isinstance(row.options, dict) or "list_prices" in row.options or is_vendors(row.kind, row.base_url):
            continue
        row.options = {**row.options, "list_prices": True}
        row.save(update_fields=["options"])


def is_vendors(kind, base_url):
    try:
        host = urlsplit(base_url).hostname or ""
    except ValueError:
        return False
    return any(host == own or host.endswith(f".{own}") for own in VENDORS[kind])


def forget(apps, schema_editor):
    """Not what keeps the catalogue out: that is an operator's word, and would not come back."""
    for row in apps.get_model("providers", "Provider").objects.filter(kind__in=VENDORS):
        if isinstance(row.options, dict) and row.options.get("list_prices") is True:
            row.options = {name: value for name, value in row.options.items() if name != "list_prices"}
            row.save(update_fields=["options"])


class Migration(migrations.Migration):
    dependencies = [("providers", "0006_kept_off")]

    operations = [migrations.RunPython(keep_prices, forget)]
