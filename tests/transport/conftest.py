import asyncio
from pathlib import Path

import pytest
import uvloop

from providers.aiohttp_transport import AiohttpTransport
from providers.http1 import Http1Transport
from providers.transport import Endpoint
from tests.transport.authority import Authority
from tests.transport.wire import WireServer

TRANSPORTS = {"http1": Http1Transport, "aiohttp": AiohttpTransport}


def pytest_asyncio_loop_factories(config, item):
    """Both event loops: uvloop is what production runs, asyncio is what Windows and debuggers run."""
    return {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}


def pytest_collection_modifyitems(config, items):
    """The reference is compared on one event loop, and the cuts over a socket are made on one for each client: the
    parser's own tests make them all without a socket."""

    def wanted(name: str) -> bool:
        if "[uvloop-aiohttp" in name:
            return False
        return "[asyncio-http1" not in name or not ("cut_in_two" in name or "byte_by_byte" in name)

    here = Path(__file__).parent
    items[:] = [item for item in items if here not in item.path.parents or wanted(item.name)]


@pytest.fixture(params=sorted(TRANSPORTS))
def transport_class(request):
    return TRANSPORTS[request.param]


@pytest.fixture
async def server():
    async with WireServer() as running:
        yield running
        assert not running.failures


@pytest.fixture
async def transport(transport_class, server):
    """Closed at the end, after which no socket may be left."""
    opened = transport_class()
    yield opened
    await opened.aclose()
    assert await server.all_ended(), "sockets were left open"


@pytest.fixture
def endpoint(server):
    return Endpoint(scheme="http", host="127.0.0.1", port=server.port)


@pytest.fixture(scope="session")
def authority(tmp_path_factory):
    return Authority(tmp_path_factory.mktemp("authority"))
