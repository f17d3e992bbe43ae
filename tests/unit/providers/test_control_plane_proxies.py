"""Probes, lists of models and sources of discovery through a proxy."""

import asyncio
from typing import Any

import pytest
from django.test import override_settings

from providers.control_plane import Answer, ControlPlaneClient
from providers.discovery import registry
from providers.discovery.found import AddressRules, SourceFailed
from providers.discovery.settings import RegistryPlace
from providers.errors import ConnectFailed
from providers.loading import provider_spec
from providers.models import Provider
from providers.proxies import Proxies, read_direct_hosts
from providers.transport import Endpoint, UpstreamRequest
from tests.transport.authority import Authority
from tests.upstreams.proxies import OutgoingProxy, outgoing_proxy
from tests.upstreams.servers import run_asgi

USER = "robot:hunter2"
SECURE, PLAIN = "secure.example", "plain.example"
GET = UpstreamRequest(method="GET", path="/list?a=b")


class Answering:
    """What it was asked, and how many of its answers it was giving at the same time at most."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        self.now = self.most = 0

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "lifespan":
            for name in ("startup", "shutdown"):
                await receive()
                await send({"type": f"lifespan.{name}.complete"})
            return
        headers = dict(scope["headers"])
        self.asked.append(f"{headers[b'host'].decode()}{scope['path']}?{scope['query_string'].decode()}")
        assert b"proxy-authorization" not in headers
        self.now += 1
        self.most = max(self.now, self.most)
        await asyncio.sleep(0.02)
        self.now -= 1
        await send({"type": "http.response.start", "status": 200, "headers": [(b"x-served", b"yes")]})
        await send({"type": "http.response.body", "body": b"[]"})


@pytest.fixture
def served():
    return Answering()


@pytest.fixture
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def proxy(served, authority):
    with run_asgi(served) as plain, run_asgi(served, certificate=authority.certificate(SECURE)) as secure:
        ports = {PLAIN: int(plain.rsplit(":", 1)[1]), SECURE: int(secure.rsplit(":", 1)[1])}
        with outgoing_proxy(ports, user=USER) as running:
            yield running


def through(proxy: OutgoingProxy, scheme: str, host: str, *, user: str = f"{USER}@", **more: Any) -> Endpoint:
    url = f"http://{user}127.0.0.1:{proxy.port}"
    return Endpoint(scheme=scheme, host=host, port=443 if scheme == "https" else 80, proxy=url, **more)


async def nothing_is_resolved(host: str, port: int) -> list[str]:
    raise AssertionError(f"{host} was to be resolved by the proxy")


def ask(*endpoints: Endpoint, connections: int = 100) -> list[Answer]:
    async def run() -> list[Answer]:
        client = ControlPlaneClient(timeout_s=5, connections=connections, resolve=nothing_is_resolved)
        async with client:
            return list(await asyncio.gather(*(client.send(endpoint, GET) for endpoint in endpoints)))

    return asyncio.run(run())


def test_https_is_tunnelled_and_the_name_behind_the_proxy_verified(proxy, served, authority):
    (answer,) = ask(through(proxy, "https", SECURE, ca_file=authority.ca_file))
    assert (answer.status, answer.headers["x-served"], answer.body) == (200, "yes", b"[]")
    assert proxy.asked == [f"CONNECT {SECURE}:443"]
    assert served.asked == [f"{SECURE}/list?a=b"]
    proxy.leads_to["other.example"] = proxy.leads_to[SECURE]
    with pytest.raises(ConnectFailed, match=r"TLS with other\.example failed"):
        ask(through(proxy, "https", "other.example", ca_file=authority.ca_file))


def test_http_is_handed_over(proxy, served):
    assert ask(through(proxy, "http", PLAIN))[0].body == b"[]"
    assert proxy.asked == [f"GET http://{PLAIN}/list?a=b"]
    assert served.asked == [f"{PLAIN}/list?a=b"]


def test_no_more_connections_than_it_may_have(proxy, served):
    ask(*[through(proxy, "http", PLAIN)] * 6, connections=2)
    assert (len(served.asked), served.most) == (6, 2)


def test_a_wrong_password_and_an_inner_address_are_told(proxy, served):
    with pytest.raises(ConnectFailed, match="refused the tunnel with status 407"):
        ask(through(proxy, "https", SECURE, user="robot:wrong@"))
    with pytest.raises(ConnectFailed, match="may not be connected to"):
        ask(through(proxy, "https", "10.0.0.1", allow_private=False))
    assert served.asked == []
    assert proxy.asked == [f"CONNECT {SECURE}:443"]


def test_sources_of_discovery_go_through_it_but_for_what_no_proxy_names(proxy):
    url = f"http://{USER}@127.0.0.1:{proxy.port}"

    async def look() -> None:
        async with ControlPlaneClient(timeout_s=5, resolve=nobody) as client:
            place, rules = (
                RegistryPlace(url=f"http://{PLAIN}/list"),
                AddressRules(allow_cidrs=(), allow_env=frozenset()),
            )
            await registry.look(client, place, rules)

    async def nobody(host: str, port: int) -> list[str]:
        raise OSError("there is no name server")

    with override_settings(UPSTREAM_PROXIES=Proxies(http=url)):
        asyncio.run(look())
    assert proxy.asked == [f"GET http://{PLAIN}/list"]
    direct = read_direct_hosts(".example")
    with (
        override_settings(UPSTREAM_PROXIES=Proxies(http=url, direct=direct)),
        pytest.raises(SourceFailed, match="cannot be resolved"),
    ):
        asyncio.run(look())
    assert len(proxy.asked) == 1


@pytest.mark.django_db
def test_a_providers_endpoint_has_the_proxy_of_its_address():
    def proxy_of(base_url: str) -> str | None:
        row = Provider.objects.create(name=f"p{Provider.objects.count()}", kind="openai", base_url=base_url)
        return provider_spec(row, ()).endpoint.proxy

    proxies = Proxies(
        https="http://proxy.example:1", http="http://proxy.example:2", direct=read_direct_hosts("b.example")
    )
    with override_settings(UPSTREAM_PROXIES=proxies):
        assert proxy_of("https://a.example/v1") == "http://proxy.example:1"
        assert proxy_of("http://a.example/v1") == "http://proxy.example:2"
        assert proxy_of("https://b.example/v1") is None
        assert proxy_of("http://127.0.0.1:11434/v1") is None
