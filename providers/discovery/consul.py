"""Consul: every passing instance of every service with our tag is a provider.

Its catalogue (`/v1/catalog/services`) names the services, the health API (`/v1/health/service/NAME?passing=true`) their
healthy instances. Both are blocking queries: with `index` and `wait`, Consul answers when something changed or the time
is over. An index that went down is forgotten, as its documentation asks for.

Metadata of the service, or tags of the form `key=value`, describe the provider: `kind`, `models` (separated by commas),
`scheme`, `path`, `priority`, `weight`, `api_key_env`. Other tags become tags.

The ID of an instance is unique on its node only, so it is known by both.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final
from urllib.parse import quote, urlencode

from providers.control_plane import ControlPlaneClient
from providers.discovery.asking import get_json
from providers.discovery.found import (
    AddressRules,
    Findings,
    Shown,
    SourceFailed,
    collect,
    described,
)
from providers.discovery.settings import ConsulPlace
from providers.lenient import a_list, an_object

SOURCE: Final = "consul"
FIELDS: Final = ("kind", "models", "scheme", "path", "priority", "weight", "api_key_env")


async def look(
    client: ControlPlaneClient,
    place: ConsulPlace,
    rules: AddressRules,
    *,
    position: str = "",
    wait_s: float = 0.0,
) -> Findings:
    """With `wait_s` and the `position` of the look before, waits so long for a change of the catalogue."""
    base = place.url.rstrip("/").removesuffix("/v1")
    headers = (("x-consul-token", place.token),) if place.token else ()
    where = {"dc": place.datacenter} if place.datacenter else {}
    blocking = {"index": position, "wait": f"{int(wait_s)}s"} if position.isdigit() and wait_s >= 1 else {}
    services, answer = await get_json(
        client, f"{base}/v1/catalog/services?{urlencode({**where, **blocking})}", headers=headers
    )
    if not isinstance(services, Mapping):
        raise SourceFailed("Consul's catalogue is not an object")
    entries: list[Shown] = []
    for name, tags in sorted(services.items()):
        if isinstance(tags, list) and place.tag in tags:
            query = urlencode({"passing": "true", "tag": place.tag, **where})
            instances, _ = await get_json(
                client, f"{base}/v1/health/service/{quote(name, safe='')}?{query}", headers=headers
            )
            entries += _instances(instances, place.tag)
    position = _next_position(position, answer.headers.get("x-consul-index", ""))
    return replace(collect(SOURCE, entries, rules), position=position)


def _next_position(before: str, now: str) -> str:
    if not now.isdigit() or int(now) < 1:
        return ""
    return "" if before.isdigit() and int(now) < int(before) else now


def _instances(instances: object, tag: str) -> list[Shown]:
    if not isinstance(instances, list):
        raise SourceFailed("Consul's health answer is not a list")
    found = []
    for instance in instances:
        service = instance.get("Service") if isinstance(instance, Mapping) else None
        if not isinstance(service, Mapping):
            raise SourceFailed("Consul's health answer holds an instance without its service")
        node = an_object(instance.get("Node"))
        own_id = str(service.get("ID", ""))
        found.append(
            Shown(
                external_id=f"{node.get('Node', '')}/{own_id}",
                entry=_entry(service, str(node.get("Address", "")), tag),
                former_id=own_id,
            )
        )
    return found


def _entry(service: Mapping[str, Any], node_address: str, tag: str) -> Mapping[str, Any]:
    tags = [str(item) for item in a_list(service.get("Tags"))]
    notes = {name: value for name, _, value in (item.partition("=") for item in tags) if name in FIELDS and value}
    meta = an_object(service.get("Meta"))
    notes |= {name: str(meta[name]) for name in FIELDS if meta.get(name)}
    return described(
        str(service.get("ID", "")),
        str(service.get("Address") or node_address),
        service.get("Port"),
        notes,
        tags=[item for item in tags if item != tag and item.partition("=")[0] not in FIELDS],
        weight=an_object(service.get("Weights")).get("Passing", 1),
    )
