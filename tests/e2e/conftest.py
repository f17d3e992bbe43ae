"""Upstreams for end-to-end tests: the demo provider and the scripted fault upstream, each on a real socket."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from providers.demo import create_app
from tests.e2e.gateway_process import GatewayProcess
from tests.e2e.private_servers import PrivateServer, private_redis
from tests.upstreams.faults import FaultUpstream
from tests.upstreams.servers import run_asgi


@pytest.fixture(scope="module")
def demo_url() -> Iterator[str]:
    with run_asgi(create_app()) as url:
        yield url


@pytest.fixture
async def upstream() -> AsyncIterator[FaultUpstream]:
    # In the clients' own loop: a thread of its own would wait for the interpreter longer than what is measured.
    async with FaultUpstream() as upstream:
        yield upstream


@pytest.fixture
def redis(tmp_path: Path) -> Iterator[PrivateServer]:
    with private_redis(tmp_path) as server:
        yield server


@pytest.fixture
def demo_gateway(gateway: GatewayProcess, demo_url: str) -> GatewayProcess:
    """Started, with one provider that serves demo-small, demo-large and demo-embedding."""
    models = ["demo-small", "demo-large", "demo-embedding"]
    return gateway.seed({"providers": [{"name": "first", "base_url": f"{demo_url}/v1", "models": models}]}).start()
