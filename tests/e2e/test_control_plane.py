"""The control plane of a real server: it sees the worker it runs in, and what it orders happens."""

import json
import time

from tests.e2e.gateway_process import GatewayProcess

CHAT = {"model": "demo-small", "messages": [{"role": "user", "content": "hi"}]}


def test_shows_what_happened_to_a_request(demo_gateway: GatewayProcess) -> None:
    status, headers, _ = demo_gateway.post("/v1/chat/completions", CHAT)
    assert status == 200
    status, _, body = demo_gateway.get(f"/requests/{headers['x-request-id']}")
    decision = json.loads(body)
    assert (status, decision["order"]) == (200, ["first/demo-small"])
    assert [attempt["outcome"] for attempt in decision["attempts"]] == ["success"]
    status, _, body = demo_gateway.get("/routes/explain?model=demo-small")
    assert (status, json.loads(body)["order"]) == (200, ["first/demo-small"])


def test_is_ready_healthy_and_measured(demo_gateway: GatewayProcess) -> None:
    assert [demo_gateway.get(path)[0] for path in ("/livez", "/readyz", "/health", "/metrics", "/docs")] == [200] * 5
    shown = json.loads(demo_gateway.get("/providers")[2])["providers"]
    assert [(each["name"], each["models"]) for each in shown] == [
        ("first", ["demo-embedding", "demo-large", "demo-small"])
    ]


def test_a_provider_made_over_http_serves_within_two_seconds(demo_gateway: GatewayProcess, demo_url: str) -> None:
    _, _, body = demo_gateway.post("/api/providers/", {"name": "fresh", "base_url": f"{demo_url}/v1"})
    number = json.loads(body)["id"]
    demo_gateway.post("/api/credentials/", {"provider": number, "secret": "sk-upstream-secret"})
    assert json.loads(demo_gateway.post(f"/api/providers/{number}/test/", {})[2])["passed"] is True
    status, _, _ = demo_gateway.post(
        "/api/deployments/", {"provider": number, "model": "renamed", "upstream_model": "demo-small"}
    )
    assert status == 201
    deadline = time.monotonic() + 2.0
    while demo_gateway.post("/v1/chat/completions", {**CHAT, "model": "renamed"})[0] != 200:
        assert time.monotonic() < deadline
        time.sleep(0.05)


def test_reset_closes_a_breaker_that_opened(gateway: GatewayProcess) -> None:
    gateway.seed(
        {
            "providers": [{"name": "dead", "base_url": "http://127.0.0.1:9/v1", "models": ["m"], "max_retries": 1}],
            "settings": {"circuit_breaker_threshold": 2},
        }
    ).start()

    def breaker() -> dict[str, object]:
        return dict(json.loads(gateway.get("/status/dead")[2])["circuit_breaker"])

    for _ in range(2):
        gateway.post("/v1/chat/completions", {**CHAT, "model": "m"})
    assert breaker()["state"] == "open"
    assert gateway.post("/circuit-breakers/reset?provider=dead", {})[0] == 200
    assert breaker()["state"] == "closed"
