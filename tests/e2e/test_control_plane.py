"""The control plane of a real server: it sees the worker it runs in, and what it orders happens."""

import json
import time

import pytest

from tests.e2e.gateway_process import GatewayProcess

CHAT = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}
MODELS = ["demo-small", "demo-large", "demo-embedding"]


@pytest.fixture(scope="module")
def gateway(demo_url: str, module_gateway: GatewayProcess) -> GatewayProcess:
    """Serves from "first"; nobody listens where "dead" is said to be."""
    module_gateway.seed(
        {
            "providers": [
                {"name": "first", "base_url": f"{demo_url}/v1", "models": MODELS},
                {"name": "dead", "base_url": "http://127.0.0.1:9/v1", "models": ["m"], "max_retries": 1},
            ],
            "settings": {"circuit_breaker_threshold": 2},
        }
    )
    return module_gateway.start()


def test_shows_what_happened_to_a_request(gateway: GatewayProcess) -> None:
    status, headers, _ = gateway.post("/v1/chat/completions", CHAT)
    assert status == 200
    status, _, body = gateway.get(f"/requests/{headers['x-request-id']}")
    decision = json.loads(body)
    assert (status, decision["order"]) == (200, ["first/demo-small"])
    assert [attempt["outcome"] for attempt in decision["attempts"]] == ["success"]
    status, _, body = gateway.get("/routes/explain?model=demo-small")
    assert (status, json.loads(body)["order"]) == (200, ["first/demo-small"])


def test_is_ready_healthy_and_measured(gateway: GatewayProcess) -> None:
    assert [gateway.get(path)[0] for path in ("/livez", "/readyz", "/health", "/metrics", "/docs")] == [200] * 5
    shown = json.loads(gateway.get("/providers")[2])["providers"]
    assert {"name": "first", "models": sorted(MODELS)} in [
        {"name": each["name"], "models": each["models"]} for each in shown
    ]


def test_pages_and_their_files_leave_no_warning_in_the_log(gateway: GatewayProcess) -> None:
    assert [gateway.get(path)[0] for path in ("/admin/login/", "/static/admin/css/base.css")] == [200, 200]
    time.sleep(0.3)
    assert "py.warnings" not in gateway.log.read_text()


def test_a_provider_made_over_http_serves_within_two_seconds(gateway: GatewayProcess, demo_url: str) -> None:
    _, _, body = gateway.post("/api/providers/", {"name": "fresh", "base_url": f"{demo_url}/v1"})
    number = json.loads(body)["id"]
    gateway.post("/api/credentials/", {"provider": number, "secret": "sk-upstream-secret"})
    assert json.loads(gateway.post(f"/api/providers/{number}/test/", {})[2])["passed"] is True
    status, _, _ = gateway.post(
        "/api/deployments/", {"provider": number, "model": "renamed", "upstream_model": "demo-small"}
    )
    assert status == 201
    deadline = time.monotonic() + 2.0
    while gateway.post("/v1/chat/completions", {**CHAT, "model": "renamed"})[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_reset_closes_a_breaker_that_opened(gateway: GatewayProcess) -> None:
    def breaker() -> dict[str, object]:
        return dict(json.loads(gateway.get("/status/dead")[2])["circuit_breaker"])

    for _ in range(2):
        gateway.post("/v1/chat/completions", {**CHAT, "model": "m"})
    assert breaker()["state"] == "open"
    assert gateway.post("/circuit-breakers/reset?provider=dead", {})[0] == 200
    assert breaker()["state"] == "closed"
