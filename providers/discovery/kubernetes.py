"""Kubernetes: Services with our label, one provider each; or their EndpointSlices, one provider for each ready endpoint.

Annotations of the Service describe it: `llm-proxy/kind`, `llm-proxy/models` (separated by commas), `llm-proxy/scheme`,
`llm-proxy/port` (name or number), `llm-proxy/path`, `llm-proxy/priority`, `llm-proxy/weight`, `llm-proxy/tags`,
`llm-proxy/api-key-env`.

A Service is known by its namespace and name, an endpoint by its Service and pod: what is deleted and made anew, with
another uid or address, is the same to whoever decided about it.

Credentials are those of the pod's service account; the token is read anew at every look, because Kubernetes renews it.
Shapes: core/v1 ServiceList, discovery.k8s.io/v1 EndpointSliceList, both paged by `limit` and `continue`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
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
    words,
)
from providers.discovery.settings import KubernetesPlace
from providers.lenient import a_list, an_object

SOURCE: Final = "kubernetes"
ACCOUNT: Final = Path("/var/run/secrets/kubernetes.io/serviceaccount")
PREFIX: Final = "llm-proxy/"
PAGE: Final = 250
MOST_PAGES: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """How to ask the API server. `token` never leaves for another host."""

    api_url: str
    namespace: str
    token: str
    ca_file: str | None


def _cluster(place: KubernetesPlace, account: Path) -> Cluster:
    """Raises `SourceFailed`."""
    url = place.api_url or place.own_api_url
    if not url:
        raise SourceFailed("this is no pod (KUBERNETES_SERVICE_HOST is not set): give discovery.kubernetes.api_url")
    authority = Path(place.ca_file) if place.ca_file else account / "ca.crt"
    return Cluster(
        api_url=url.rstrip("/"),
        namespace=place.namespace or _read(account / "namespace") or "default",
        token=_read(Path(place.token_file) if place.token_file else account / "token"),
        ca_file=str(authority) if authority.exists() else None,
    )


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8").strip()
    except OSError:
        return ""


async def look(
    client: ControlPlaneClient, place: KubernetesPlace, rules: AddressRules, *, account: Path = ACCOUNT
) -> Findings:
    cluster = _cluster(place, account)
    services = await _all(client, cluster, "/api/v1", "services", place.label_selector)
    if place.resource == "services":
        entries = [_of_service(service) for service in services]
    else:
        slices = await _all(client, cluster, "/apis/discovery.k8s.io/v1", "endpointslices", "")
        entries = _of_slices(services, slices)
    return collect(SOURCE, entries, rules)


async def _all(
    client: ControlPlaneClient, cluster: Cluster, api: str, resource: str, selector: str
) -> list[Mapping[str, Any]]:
    items: list[Mapping[str, Any]] = []
    more = ""
    headers = (("authorization", f"Bearer {cluster.token}"),) if cluster.token else ()
    for _ in range(MOST_PAGES):
        query = {"limit": str(PAGE)}
        query |= {"labelSelector": selector} if selector else {}
        query |= {"continue": more} if more else {}
        url = f"{cluster.api_url}{api}/namespaces/{quote(cluster.namespace, safe='')}/{resource}?{urlencode(query)}"
        page, _ = await get_json(client, url, headers=headers, ca_file=cluster.ca_file)
        if not isinstance(page, Mapping) or not isinstance(page.get("items"), list):
            raise SourceFailed(f"Kubernetes' list of {resource} has no items")
        items += [item for item in page["items"] if isinstance(item, Mapping)]
        more = str(an_object(page.get("metadata")).get("continue") or "")
        if not more:
            return items
    raise SourceFailed(f"Kubernetes' list of {resource} does not end")


def _notes(item: Mapping[str, Any]) -> dict[str, str]:
    annotations = an_object(an_object(item.get("metadata")).get("annotations"))
    return {
        name.removeprefix(PREFIX).replace("-", "_"): str(value)
        for name, value in annotations.items()
        if name.startswith(PREFIX)
    }


def _name(item: Mapping[str, Any]) -> str:
    return str(an_object(item.get("metadata")).get("name", ""))


def _of_service(service: Mapping[str, Any]) -> Shown:
    metadata = an_object(service.get("metadata"))
    notes = _notes(service)
    port = _port(a_list(an_object(service.get("spec")).get("ports")), notes.get("port"))
    namespace = metadata.get("namespace", "default")
    host = f"{_name(service)}.{namespace}.svc"
    return Shown(
        external_id=f"{namespace}/{_name(service)}",
        entry=described(_name(service), host, port, notes, tags=words(notes.get("tags", ""))),
        former_id=str(metadata.get("uid") or host),
    )


def _of_slices(services: list[Mapping[str, Any]], slices: list[Mapping[str, Any]]) -> list[Shown]:
    notes = {_name(service): _notes(service) for service in services}
    found = []
    for piece in slices:
        labels = an_object(an_object(piece.get("metadata")).get("labels"))
        service = str(labels.get("kubernetes.io/service-name", ""))
        if service not in notes:
            continue
        port = _port(a_list(piece.get("ports")), notes[service].get("port"))
        for endpoint in map(an_object, a_list(piece.get("endpoints"))):
            if _is_ready(endpoint):
                found += [
                    _of_address(service, str(ip), endpoint, port, notes[service]) for ip in endpoint["addresses"][:1]
                ]
    return found


def _is_ready(endpoint: Mapping[str, Any]) -> bool:
    """`ready` may be absent, which the API says to read as true; a terminating endpoint gets no new calls."""
    conditions = an_object(endpoint.get("conditions"))
    return (
        bool(a_list(endpoint.get("addresses")))
        and conditions.get("ready") is not False
        and not conditions.get("terminating")
    )


def _of_address(service: str, ip: str, endpoint: Mapping[str, Any], port: Any, notes: Mapping[str, str]) -> Shown:
    pod = str(an_object(endpoint.get("targetRef")).get("name") or "")
    by_address = f"{service}/{ip}:{port}"
    return Shown(
        external_id=f"{service}/{pod}" if pod else by_address,
        entry=described(pod or f"{service}-{ip}", ip, port, notes, tags=words(notes.get("tags", ""))),
        former_id=by_address,
    )


def _port(ports: list[Any], wanted: str | None) -> Any:
    """The port that the annotation names, else the one named http or https, else the first."""
    known = [port for port in ports if isinstance(port, Mapping)]
    for names in ((wanted,), ("http", "https")):
        for port in known:
            if port.get("name") in names or (wanted and str(port.get("port")) in names):
                return port.get("port")
    return known[0].get("port") if known else None
