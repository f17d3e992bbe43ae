"""One installation parted into a gateway and a control plane, as real processes over one database and one Redis."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from tests.e2e.gateway_process import GatewayProcess, fresh_copy

REDIS_URL = os.environ.get("TEST_REDIS_URL", "redis://127.0.0.1:6379/0")
CHAT = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}


def handshake_status(gateway: GatewayProcess, path: str) -> int:
    try:
        with connect(
            gateway.url.replace("http", "ws", 1) + path, additional_headers={"Authorization": f"Bearer {gateway.key}"}
        ):
            return 101
    except InvalidStatus as error:
        return error.response.status_code


@pytest.fixture
def parted(migrated_data_dir: Path, tmp_path: Path, demo_url: str) -> Iterator[tuple[GatewayProcess, GatewayProcess]]:
    data = fresh_copy(migrated_data_dir, tmp_path / "data")
    pair = tuple(GatewayProcess(data, env={"REDIS_URL": REDIS_URL}) for _ in range(2))
    gateway, admin = pair
    gateway.seed({"providers": [{"name": "first", "base_url": f"{demo_url}/v1", "models": ["demo-small"]}]})
    admin.key = gateway.key
    gateway.start("--role", "gateway", "--workers", "1")
    admin.start("--role", "admin", "--no-beat")
    yield gateway, admin
    for each in pair:
        each.end()


@pytest.mark.redis
def test_each_role_serves_its_part_and_a_change_in_one_reaches_the_other(
    parted: tuple[GatewayProcess, GatewayProcess],
) -> None:
    gateway, admin = parted
    assert gateway.post("/v1/chat/completions", CHAT)[0] == 200
    assert admin.post("/v1/chat/completions", CHAT)[0] == 404
    for path in ("/livez", "/readyz", "/health", "/metrics"):
        assert (gateway.get(path)[0], admin.get(path)[0]) == (200, 200), path
    for path in ("/providers", "/api/providers/", "/openapi.json", "/admin/login/"):
        assert (gateway.get(path)[0], admin.get(path)[0]) == (404, 200), path
    assert handshake_status(gateway, "/ws/v1/chat/completions") == 101
    assert handshake_status(gateway, "/ws/dashboard/") == 404
    assert handshake_status(admin, "/ws/dashboard/") == 401

    made = admin.post("/api/api-keys/", {"name": "made in the admin", "scopes": ["completions"]})
    assert made[0] == 201, made[2]

    gateway.key = json.loads(made[2])["key"]
    deadline = time.monotonic() + 5
    while (status := gateway.get("/v1/models")[0]) != 200 and time.monotonic() < deadline:
        time.sleep(0.1)
    assert status == 200


def test_parted_roles_without_redis_are_refused_with_the_remedy(gateway: GatewayProcess) -> None:
    for options in (["--role", "gateway"], ["--role", "admin"], ["--workers", "2"]):
        with pytest.raises(AssertionError, match="REDIS_URL"):
            gateway.manage("serve", *options)
