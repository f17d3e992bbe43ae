"""Registry, Consul and Kubernetes as servers that speak their documented answers, and everything that must be refused."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from providers.control_plane import ControlPlaneClient
from providers.discovery import consul, kubernetes, registry
from providers.discovery.found import AddressRules, Findings, NotUsable, SourceFailed, checked_url, provider_document
from providers.discovery.settings import ConsulPlace, KubernetesPlace, RegistryPlace
from providers.errors import ConnectFailed
from providers.http1 import Http1Transport
from providers.transport import Endpoint, UpstreamRequest
from tests.upstreams.servers import run_asgi

RULES = AddressRules(allow_cidrs=("10.0.0.0/8",), allow_env=frozenset({"ALLOWED"}))


class Source:
    """An ASGI server that answers paths from a table and remembers what it was asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: list[tuple[str, str, dict[str, str]]] = []
        self.headers: list[tuple[bytes, bytes]] = []
        self.status = 200

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for name in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{name}.complete"})
            return
        path, query = scope["path"], scope["query_string"].decode()
        sent = {name.decode(): value.decode() for name, value in scope["headers"]}
        self.asked.append((path, query, sent))
        answer = self.answers.get(f"{path}?{query}", self.answers.get(path))
        status = self.status if answer is not None else 404
        await send({"type": "http.response.start", "status": status, "headers": self.headers})
        body = answer if isinstance(answer, bytes) else orjson.dumps(answer)
        await send({"type": "http.response.body", "body": body})


@pytest.fixture
def source() -> Source:
    return Source()


@pytest.fixture
def url(source: Source) -> Iterator[str]:
    with run_asgi(source) as address:
        yield address


def ask(look: Callable[[ControlPlaneClient], Any]) -> Findings:
    async def run() -> Findings:
        async with ControlPlaneClient(timeout_s=5) as client:
            return await look(client)

    return asyncio.run(run())


# ----------------------------------------------------------------------------------------------------------- registry


def test_a_cookie_is_given_back_to_nobody(source: Source, url: str):
    source.headers = [(b"set-cookie", b"session=of-one-vendor; Path=/")]
    source.answers["/"] = []

    async def twice(client: ControlPlaneClient) -> Findings:
        await registry.look(client, RegistryPlace(url=url), RULES)
        return await registry.look(client, RegistryPlace(url=url), RULES)

    ask(twice)
    assert ["cookie" in headers for _, _, headers in source.asked] == [False, False]


def test_a_registry_lists_providers(source: Source, url: str):
    source.answers["/providers.json"] = [
        {
            "name": "eu",
            "base_url": "https://eu.example/v1",
            "kind": "anthropic",
            "models": ["m", {"name": "n"}],
            "priority": 3,
        },
        {"name": "us", "base_url": "https://us.example", "api_key_env": "ALLOWED", "unknown": 1},
        {"name": "bad name", "base_url": "https://x.example"},
    ]
    findings = ask(
        lambda client: registry.look(client, RegistryPlace(url=f"{url}/providers.json", token="t0ken"), RULES)
    )

    assert [item.document["name"] for item in findings.found] == ["eu", "us"]
    assert findings.found[0].document["models"] == ["m", "n"]
    assert findings.found[1].document["api_key_env"] == "ALLOWED"
    assert findings.refused[0][0] == "bad name"
    assert source.asked[0][2]["authorization"] == "Bearer t0ken"


@pytest.mark.parametrize("answer", [{"nothing": 1}, [1], b"<html>", b"", "text"])
def test_a_registry_that_says_something_else_has_failed(source: Source, url: str, answer: Any):
    source.answers["/"] = answer
    with pytest.raises(SourceFailed):
        ask(lambda client: registry.look(client, RegistryPlace(url=url), RULES))


def test_a_redirect_is_not_followed(source: Source, url: str):
    with run_asgi(target := Source()) as elsewhere:
        source.answers["/"] = []
        source.status, source.headers = 302, [(b"location", elsewhere.encode())]
        with pytest.raises(SourceFailed, match="redirects are not followed"):
            ask(lambda client: registry.look(client, RegistryPlace(url=url), RULES))
    assert target.asked == []


# ------------------------------------------------------------------------------------------------------------- Consul

INSTANCE = {
    "Node": {"ID": "40e4a748", "Node": "foobar", "Address": "10.1.10.12", "Datacenter": "dc1"},
    "Service": {
        "ID": "llm-1",
        "Service": "llm",
        "Tags": ["llm-proxy", "kind=openai", "eu", "models=wrong"],
        "Address": "10.1.10.13",
        "Meta": {"models": "gpt-4o, gpt-4o-mini", "path": "v1", "priority": "2"},
        "Port": 8000,
        "Weights": {"Passing": 7, "Warning": 1},
    },
    "Checks": [{"CheckID": "service:llm", "Status": "passing"}],
}


def consul_of(source: Source) -> None:
    source.answers["/v1/catalog/services"] = {"consul": [], "llm": ["llm-proxy", "eu"], "other": ["web"]}
    source.answers["/v1/health/service/llm"] = [INSTANCE]
    source.headers = [(b"x-consul-index", b"42")]


def test_consuls_passing_instances_become_providers(source: Source, url: str):
    consul_of(source)
    findings = ask(lambda client: consul.look(client, ConsulPlace(url=url, token="acl", datacenter="dc1"), RULES))

    assert findings.found[0].document == {
        "name": "llm-1", "base_url": "http://10.1.10.13:8000/v1", "kind": "openai", "models": ["gpt-4o", "gpt-4o-mini"],
        "tags": ["eu"], "priority": 2, "weight": 7,
    }  # fmt: skip
    assert findings.position == "42"
    assert [path for path, _, _ in source.asked] == ["/v1/catalog/services", "/v1/health/service/llm"]
    assert "passing=true" in source.asked[1][1]
    assert source.asked[1][2]["x-consul-token"] == "acl"


def test_consul_is_asked_to_answer_when_something_changes(source: Source, url: str):
    consul_of(source)
    ask(lambda client: consul.look(client, ConsulPlace(url=url), RULES, position="41", wait_s=30))

    assert source.asked[0][1] == "index=41&wait=30s"


def test_an_index_that_went_down_is_forgotten(source: Source, url: str):
    consul_of(source)
    findings = ask(lambda client: consul.look(client, ConsulPlace(url=url), RULES, position="99", wait_s=30))

    assert findings.position == ""


def test_a_service_without_an_address_has_its_nodes(source: Source, url: str):
    consul_of(source)
    service = {**INSTANCE["Service"], "Address": ""}
    source.answers["/v1/health/service/llm"] = [{**INSTANCE, "Service": service}]
    findings = ask(lambda client: consul.look(client, ConsulPlace(url=url), RULES))

    assert findings.found[0].document["base_url"] == "http://10.1.10.12:8000/v1"


# --------------------------------------------------------------------------------------------------------- Kubernetes

NOTES = {"llm-proxy/models": "m1,m2", "llm-proxy/path": "/v1", "llm-proxy/kind": "openai", "llm-proxy/weight": "3"}
SERVICE = {
    "metadata": {"name": "vllm", "namespace": "ai", "uid": "u-1", "annotations": NOTES},
    "spec": {"ports": [{"name": "metrics", "port": 9000}, {"name": "http", "port": 8000}]},
}
SLICE = {
    "metadata": {"name": "vllm-abc", "labels": {"kubernetes.io/service-name": "vllm"}},
    "addressType": "IPv4",
    "ports": [{"name": "http", "port": 8000, "protocol": "TCP"}],
    "endpoints": [
        {"addresses": ["10.2.0.1"], "conditions": {"ready": True}, "targetRef": {"kind": "Pod", "name": "vllm-0"}},
        {"addresses": ["10.2.0.2"], "conditions": {"ready": False}},
        {"addresses": ["10.2.0.3"], "conditions": {}},
        {"addresses": ["10.2.0.4"], "conditions": {"ready": True, "terminating": True}},
    ],
}


def in_pod(tmp_path: Path, **place: str) -> Findings:
    (tmp_path / "token").write_text("pod-token\n")
    (tmp_path / "namespace").write_text("ai")
    return ask(lambda client: kubernetes.look(client, KubernetesPlace(**place), RULES, account=tmp_path))


def test_kubernetes_services_become_providers(source: Source, url: str, tmp_path: Path):
    source.answers["/api/v1/namespaces/ai/services"] = {"kind": "ServiceList", "metadata": {}, "items": [SERVICE]}
    findings = in_pod(tmp_path, own_api_url=url, label_selector="a=b")

    document = findings.found[0].document
    assert (document["name"], document["base_url"]) == ("vllm", "http://vllm.ai.svc:8000/v1")
    assert (document["models"], document["weight"]) == (["m1", "m2"], 3)
    assert (findings.found[0].external_id, findings.found[0].former_id) == ("ai/vllm", "u-1")
    _, query, headers = source.asked[0]
    assert headers["authorization"] == "Bearer pod-token"
    assert "labelSelector=a%3Db" in query


def test_kubernetes_ready_endpoints_become_providers(source: Source, url: str, tmp_path: Path):
    source.answers["/api/v1/namespaces/ai/services"] = {"items": [SERVICE]}
    source.answers["/apis/discovery.k8s.io/v1/namespaces/ai/endpointslices"] = {"items": [SLICE]}
    findings = in_pod(tmp_path, own_api_url=url, resource="endpointslices")

    assert {item.document["base_url"] for item in findings.found} == {
        "http://10.2.0.1:8000/v1",
        "http://10.2.0.3:8000/v1",
    }
    assert [(item.name, item.external_id) for item in findings.found] == [
        ("vllm-0", "vllm/vllm-0"),
        ("vllm-10.2.0.3", "vllm/10.2.0.3:8000"),
    ]


def test_kubernetes_lists_are_read_page_by_page(source: Source, url: str, tmp_path: Path):
    other = {**SERVICE, "metadata": {**SERVICE["metadata"], "name": "two", "uid": "u-2"}}
    path = "/api/v1/namespaces/ai/services"
    source.answers[f"{path}?limit=250"] = {"metadata": {"continue": "next"}, "items": [SERVICE]}
    source.answers[f"{path}?limit=250&continue=next"] = {"metadata": {}, "items": [other]}
    findings = in_pod(tmp_path, own_api_url=url)

    assert [item.name for item in findings.found] == ["vllm", "two"]


def test_outside_a_cluster_kubernetes_says_what_is_missing(tmp_path: Path):
    with pytest.raises(SourceFailed, match="api_url"):
        in_pod(tmp_path)


# --------------------------------------------------------------------------------------- what discovered ones may not

BAD_URLS = [
    "http://169.254.169.254/latest/meta-data", "http://[fd00:ec2::254]/", "http://100.100.100.200/", "http://[fe80::1]/",
    "http://127.0.0.1/", "http://[::1]/", "http://[::ffff:127.0.0.1]/", "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/", "http://[2002:a9fe:a9fe::1]/", "http://192.168.0.1/", "http://172.16.0.1/",
    "http://2130706433/", "http://0x7f000001/", "http://0x7f.1/", "http://017700000001/", "http://127.1/", "http://0/",
    "http://0.0.0.0/", "http://user:pass@example.com/", "http://example.com@127.0.0.1/", "http://example.com\\@127.0.0.1/",
    "http://example.com#@127.0.0.1/", "http://example.com?@127.0.0.1", "file:///etc/passwd", "gopher://127.0.0.1:70/",
    "http://１２７.0.0.1/", "http://127。0.0.1/", "//127.0.0.1/", "http://", "", None, 5, "http://[::1%25eth0]/",
    "http://example.com/../x", "http://exa mple.com/", "http://example.com:99999/", "http://example.com:0/",
]  # fmt: skip


@pytest.mark.parametrize("bad", BAD_URLS)
def test_an_address_that_no_discovered_provider_may_have_is_refused(bad: Any):
    with pytest.raises(NotUsable):
        checked_url(bad, RULES)


def test_a_private_range_must_be_allowed_by_name():
    assert checked_url("http://10.0.0.5:8000/v1", RULES)
    with pytest.raises(NotUsable):
        checked_url("http://10.0.0.5:8000/v1", AddressRules())


def test_metadata_addresses_stay_refused_inside_an_allowed_range():
    with pytest.raises(NotUsable):
        checked_url("http://169.254.169.254/", AddressRules(allow_cidrs=("0.0.0.0/0",)))


def test_a_source_cannot_have_a_secret_sent_where_it_likes():
    with pytest.raises(NotUsable, match="allow_env"):
        provider_document({"name": "x", "base_url": "https://evil.example", "api_key_env": "DATABASE_URL"}, RULES)


class Listener:
    """A port that must never be connected to."""

    def __init__(self) -> None:
        self.socket = socket.create_server(("127.0.0.1", 0))
        self.socket.setblocking(False)
        self.port = self.socket.getsockname()[1]

    def connects(self) -> int:
        count = 0
        while True:
            try:
                self.socket.accept()[0].close()
            except BlockingIOError:
                return count
            count += 1


@pytest.mark.parametrize("answer", ["127.0.0.1", "::1", "::ffff:127.0.0.1", "169.254.169.254", "10.0.0.1"])
async def test_a_name_that_turns_to_an_inner_address_is_never_connected_to(answer: str):
    """As of a name that showed a public address when it was approved: each connection resolves and checks anew."""
    listener = Listener()

    async def rebinding(host: str, port: int) -> list[str]:
        return [answer]

    endpoint = Endpoint(
        scheme="http",
        host="good.example",
        port=listener.port,
        allow_private=False,
        private_networks=("192.168.0.0/16",),
    )
    transport = Http1Transport(resolve=rebinding)
    with pytest.raises(ConnectFailed):
        await transport.send(endpoint, UpstreamRequest(path="/"), timeout_s=2)
    async with ControlPlaneClient(timeout_s=2, resolve=rebinding) as client:
        with pytest.raises(ConnectFailed):
            await client.send(endpoint, UpstreamRequest(path="/", method="GET"))
    await transport.aclose()
    assert listener.connects() == 0
    listener.socket.close()


async def test_an_allowed_range_is_connected_to():
    async def inner(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    source = Source()
    source.answers["/"] = {"ok": True}
    with run_asgi(source) as url:
        port = int(url.rsplit(":", 1)[1])
        endpoint = Endpoint(
            scheme="http", host="inner.example", port=port, allow_private=False, private_networks=("127.0.0.0/8",)
        )
        transport = Http1Transport(resolve=inner)
        response = await transport.send(endpoint, UpstreamRequest(path="/", method="GET"), timeout_s=5)
        assert response.status == 200
        response.close()
        await transport.aclose()
