"""A whole gateway with canaries planted wherever a secret lives, all its logging on, and an indiscreet provider."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.gateway_process import GatewayProcess, fresh_copy
from tests.security.canaries import ADMIN_PASSWORD, ENVIRONMENT_SECRETS, PROVIDER_HEADER, PROVIDER_SECRETS
from tests.security.echoing_upstream import echoing_upstream
from tests.upstreams.servers import run_asgi

KINDS = {"usual": "openai", "plain": "openai"}
MODELS = (
    "good", "status-400", "status-401", "status-403", "status-404", "status-422", "status-429", "status-500", "status-503",
    "html-200", "html-500", "redirect", "not-json", "event", "broken", "header", "cut",
)  # fmt: skip


@pytest.fixture(scope="module")
def indiscreet() -> Iterator[str]:
    with run_asgi(echoing_upstream) as url:
        yield url


@pytest.fixture(scope="module")
def watched(
    migrated_data_dir: Path, tmp_path_factory: pytest.TempPathFactory, indiscreet: str
) -> Iterator[GatewayProcess]:
    """Models are named `usual-<behaviour>` and `plain-<behaviour>`, for providers with one credential each."""
    data = fresh_copy(migrated_data_dir, tmp_path_factory.mktemp("watched") / "data")
    gateway = GatewayProcess(data, env={**ENVIRONMENT_SECRETS, "LOG_LEVEL": "DEBUG"})
    providers = [
        {
            "name": name,
            "kind": KINDS[name],
            "base_url": f"{indiscreet}/v1",
            "secret": PROVIDER_SECRETS[name],
            "headers": {"X-Own": PROVIDER_HEADER},
            "models": [{"model": f"{name}-{model}", "upstream_model": model} for model in MODELS],
        }
        for name in PROVIDER_SECRETS
    ]
    staff = {"username": "auditor", "password": ADMIN_PASSWORD}
    gateway.seed({"providers": providers, "administrators": [staff]})
    gateway.start()
    yield gateway
    gateway.end()
