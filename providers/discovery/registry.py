"""A registry: a JSON list of providers at a URL.

    [{"name": "eu-1", "base_url": "https://eu-1.example.com/v1", "kind": "openai", "models": ["gpt-4o"],
      "priority": 1, "weight": 1, "tags": ["eu"], "api_key_env": "PROXY_API_OPENAI_API_KEY"}]

or an object with that list under `providers` (as health_worker_providers.json has it). Only `name` and `base_url` are
required.
"""

from collections.abc import Mapping

from providers.control_plane import ControlPlaneClient
from providers.discovery.asking import get_json
from providers.discovery.found import AddressRules, Findings, Shown, SourceFailed, collect
from providers.discovery.settings import RegistryPlace

SOURCE = "registry"


async def look(client: ControlPlaneClient, place: RegistryPlace, rules: AddressRules) -> Findings:
    headers = (("authorization", f"Bearer {place.token}"),) if place.token else ()
    body, _ = await get_json(client, place.url, headers=headers)
    entries = body.get("providers") if isinstance(body, Mapping) else body
    if not isinstance(entries, list) or not all(isinstance(entry, Mapping) for entry in entries):
        raise SourceFailed("the registry's answer is not a list of objects")
    return collect(SOURCE, [Shown(external_id=str(entry.get("name", "")), entry=entry) for entry in entries], rules)
