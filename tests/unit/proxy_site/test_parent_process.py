"""Where no kernel tells a worker that its supervisor is gone, the worker finds out by itself."""

import asyncio
import os
from typing import Any

from proxy_site.parent_process import is_orphan
from proxy_site.server import GatewayServer, server_config


async def nothing(scope: Any, receive: Any, send: Any) -> None:
    raise AssertionError(scope)


async def test_a_server_drains_within_seconds_once_it_is_an_orphan() -> None:
    drained = asyncio.Event()
    config = server_config(host="127.0.0.1", port=0, lifespan="off")
    config.app = nothing
    server = GatewayServer(config, on_drain=drained.set, is_orphan=lambda: True)
    await asyncio.wait_for(server.serve(), 10)
    assert drained.is_set()


def test_only_a_process_whose_parent_is_another_than_its_supervisor_is_an_orphan() -> None:
    assert not is_orphan(os.getppid())
    assert is_orphan(os.getpid())
    assert not is_orphan(0)
